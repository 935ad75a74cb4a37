"""What the browser adds up is what blending.blend makes."""

import numpy as np
import pytest
from page_server import FACES, unpacked
from PIL import Image, ImageCms

from ageing.faces import alignment, blending
from ageing.faces.detector import Face
from ageing.page import preview
from ageing.photos.metadata import Metadata
from ageing.photos.photo_file import Photo

RNG = np.random.default_rng(3)


def photo_of(pixels, mode="RGB", **meta):
    return Photo(pixels, np.ascontiguousarray(pixels[..., :3]), mode, "PNG", Metadata(**meta))


def change(placements, scale=40):
    return [blending.Change(one, RNG.normal(0, scale, (32, 32, 3)).astype(np.float32)) for one in placements]


def added(answer, direction, strength, kept):
    """uint8 RGB that blend.js makes of the answer: the same arithmetic in NumPy."""
    head, shown, faces = unpacked(answer)
    total, sums, largest = (np.zeros((*shown.shape[:2], n)) for n in (3, 1, 1))
    for i in kept:
        (x, y, width, height), (weights, deltas) = head["faces"][i]["place"], faces[i]
        here = slice(y, y + height), slice(x, x + width)
        total[here] += weights[..., None] * deltas[direction]
        sums[here] += weights[..., None]
        largest[here] = np.maximum(largest[here], weights[..., None])
    total *= largest / np.maximum(sums, 1e-9)
    return np.clip(np.rint(shown[..., :3] + strength * total), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("kept", [(0,), (1,), (0, 1), (0, 1, 2)])
@pytest.mark.parametrize("strength", [0, 0.4, 1.5])
def test_the_preview_of_a_photo_that_fits_is_the_result_itself(kept, strength):
    pixels = RNG.integers(0, 256, (200, 300, 3), np.uint8)
    faces = [Face((60, 40, 160, 160), 1.0), Face((130, 60, 220, 170), 1.0), Face((260, 150, 330, 230), 1.0)]
    placements = [alignment.placement_of(face.box) for face in faces]   # the first two overlap, the last reaches out
    placements[0] = alignment.Placement(alignment.about_centre(placements[0].matrix, degrees=20))
    changes = {"age": change(placements), "rejuvenate": change(placements)}
    answer = preview.packed(photo_of(pixels), faces, placements, changes, 1200)
    for direction in changes:
        true = blending.blend(pixels, [changes[direction][i] for i in kept], strength)
        difference = np.abs(added(answer, direction, strength, kept).astype(int) - true)
        assert difference.max() <= 1            # changes are sent in steps of 1/64 grey level
        assert (difference > 0).mean() < 0.02


def test_a_large_photo_is_reduced_to_the_screen_and_looks_like_the_result():
    small = np.asarray(Image.fromarray(RNG.integers(0, 256, (20, 30, 3), np.uint8)).resize((300, 200)))
    large = np.asarray(Image.fromarray(small).resize((1500, 1000), Image.Resampling.BICUBIC))
    faces = [Face(tuple(5 * v for v in face.box), 1.0) for face in FACES]
    placements = [alignment.placement_of(face.box) for face in faces]
    changes = {"age": [blending.Change(placement, np.full((32, 32, 3), 50, np.float32)) for placement in placements]}
    answer = preview.packed(photo_of(large), faces, placements, changes, 600)
    head, shown, _ = unpacked(answer)
    assert head["size"] == [600, 400]
    assert shown.shape == (400, 600, 4)
    np.testing.assert_allclose(head["faces"][0]["box"], np.array(FACES[0].box) * 2)
    true = Image.fromarray(blending.blend(large, changes["age"])).resize((600, 400), Image.Resampling.BOX)
    assert np.abs(added(answer, "age", 1, (0, 1)).astype(int) - np.asarray(true)).mean() < 1


@pytest.mark.parametrize(("height", "width", "asked", "shown"), [
    (900, 2000, 900, [900, 405]), (900, 2000, 2000, [2000, 900]), (9, 20, 400, [20, 9]), (1, 5000, 400, [400, 1])])
def test_the_size_of_the_preview_is_bounded(height, width, asked, shown):
    photo = photo_of(np.zeros((height, width, 3), np.uint8))
    assert unpacked(preview.packed(photo, [], [], {}, asked))[0]["size"] == shown


def test_a_layer_that_follows_is_what_would_have_come_with_the_photo():
    photo = photo_of(RNG.integers(0, 256, (900, 700, 3), np.uint8))
    placements = [alignment.placement_of(box) for box in ((60, 40, 360, 460), (-90, -90, -9, -9), (500, 500, 800, 990))]
    changes = change(placements)
    *_, faces = unpacked(preview.packed(photo, FACES + FACES[:1], placements, {0: changes}, 400))
    layers = [np.rint(deltas["0"] * preview.LEVELS).astype("<i2").tobytes() for _, deltas in faces]
    assert preview.layer(photo.rgb.shape, changes, 400) == b"".join(layers)


def test_a_face_outside_of_the_photo_changes_nothing():
    placements = [alignment.placement_of((-200, -200, -100, -100))]
    changes = {"age": change(placements)}
    answer = preview.packed(photo_of(np.full((100, 100, 3), 9, np.uint8)), FACES[:1], placements, changes, 400)
    assert (added(answer, "age", 1, (0,)) == 9).all()


def test_transparent_photos_stay_transparent():
    pixels = RNG.integers(0, 256, (120, 90, 4), np.uint8)
    shown = unpacked(preview.packed(photo_of(pixels, "RGBA"), [], [], {}, 400))[1]
    np.testing.assert_array_equal(shown, pixels)
    deep = pixels.astype(np.uint16) * 257
    photo = Photo(deep, pixels[..., :3].copy(), "RGBA", "PNG")
    np.testing.assert_array_equal(unpacked(preview.packed(photo, [], [], {}, 400))[1], pixels)


def test_colours_of_another_space_are_shown_in_srgb():
    pixels = RNG.integers(0, 256, (100, 100, 3), np.uint8)
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exchanged = srgb.replace(b"rXYZ", b"-XYZ").replace(b"bXYZ", b"rXYZ").replace(b"-XYZ", b"bXYZ")  # red is blue
    for profile, expected in ((srgb, pixels), (exchanged, pixels[..., ::-1]), (b"damaged", pixels)):
        photo = photo_of(pixels, icc_profile=profile)
        shown = unpacked(preview.packed(photo, [], [], {}, 400))[1]
        assert np.abs(shown[..., :3].astype(int) - expected).max() <= 2
