"""Placements of faces: from landmarks, from the detector's box alone, and what is cut out of the photo."""

import functools

import cv2
import numpy as np
import pytest
from conftest import ROOT
from PIL import Image
from sample_photos import gradient

from ageing.faces import alignment
from ageing.faces.alignment import Aligner, Placement, cut, placement_of, transform, umeyama
from ageing.faces.detector import Face

BOX = (178, 68, 270, 186)  # of the astronaut's face
SIDE = 64
COVERED = {"half covered": 0.55, "two thirds covered": 0.67}


@functools.cache
def aligner():
    return Aligner()


@functools.cache
def astronaut():
    return np.asarray(Image.open(ROOT / "samples/astronaut.jpg").convert("RGB"))


def similarity(degrees, scale, x, y):
    return np.hstack([cv2.getRotationMatrix2D((0, 0), -degrees, scale)[:, :2], [[x], [y]]])


@pytest.mark.parametrize("degrees", [0, 37, 180, -120])
def test_umeyama_finds_the_similarity_that_was_applied(degrees):
    points = np.random.default_rng(1).normal(size=(7, 2))
    matrix = similarity(degrees, 3.5, -20, 11)
    np.testing.assert_allclose(umeyama(points, transform(matrix, points)), matrix, atol=1e-9)


def test_umeyama_never_mirrors_and_takes_the_best_scale():
    points = np.random.default_rng(2).normal(size=(7, 2))
    found = umeyama(points, points * (-1, 1))
    assert np.linalg.det(found[:, :2]) > 0
    noisy = transform(similarity(10, 2, 0, 0), points) + np.random.default_rng(3).normal(0, 0.1, (7, 2))
    best = umeyama(points, noisy)
    error = np.square(transform(best, points) - noisy).sum()
    for nudge in (0.99, 1.01):
        assert np.square(transform(alignment.about_centre(best, nudge), points) - noisy).sum() > error


@pytest.mark.parametrize("degrees", [15, 30, 45, 60, -30, -60])
def test_a_tilted_head_gives_the_same_crop(degrees):
    photo = astronaut()
    upright, = aligner().align(photo, [Face(BOX, 1.0)])
    middle = upright.at(alignment.CENTRE)[0]
    turned = cv2.getRotationMatrix2D(middle.tolist(), -degrees, 1)
    tilted, = aligner().align(cv2.warpAffine(photo, turned, photo.shape[1::-1], flags=cv2.INTER_CUBIC),
                              [Face(BOX, 1.0)])
    assert upright.aligned
    assert tilted.aligned
    expected = transform(turned, upright.corners)
    assert np.linalg.norm(tilted.corners - expected, axis=1).max() < 0.07 * upright.side
    crops = [cut(photo, upright.matrix, SIDE),
             cut(cv2.warpAffine(photo, turned, photo.shape[1::-1], flags=cv2.INTER_CUBIC), tilted.matrix, SIDE)]
    middle = np.s_[8:-8, 8:-8]  # the corners may show what lay outside of the photo
    assert np.abs(crops[0][middle].astype(int) - crops[1][middle]).mean() < 6


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_a_face_that_lies_on_its_side_gives_the_same_placement(turn):
    photo = astronaut()
    height, width = photo.shape[:2]
    upright, = aligner().align(photo, [Face(BOX, 1.0)])
    left, top, right, bottom = BOX
    lying = np.ascontiguousarray(np.rot90(photo, -turn // 90))  # clockwise
    box = {90: (height - bottom, left, height - top, right),
           180: (width - right, height - bottom, width - left, height - top),
           270: (top, width - right, bottom, width - left)}[turn]
    found, = aligner().align(lying, [Face(box, 1.0, turn)])
    assert found.aligned
    crops = cut(photo, upright.matrix, SIDE), cut(lying, found.matrix, SIDE)
    assert np.abs(crops[0].astype(int) - crops[1]).mean() < 2
    square = placement_of(box, turn)
    np.testing.assert_allclose(cut(lying, square.matrix, SIDE), cut(photo, placement_of(BOX).matrix, SIDE), atol=5)


def test_a_face_of_utkface_in_its_placement_stays_as_it_is():
    """The whole way, for a photo that is such a crop already: landmarks find the placement that it has."""
    photo = astronaut()
    placement, = aligner().align(photo, [Face(BOX, 1.0)])
    crop = cut(photo, placement.matrix, 200)
    again, = aligner().align(crop, [Face((14, 0, 186, 195), 1.0)])
    assert again.aligned
    assert np.linalg.norm(again.corners - [(0, 0), (200, 0), (200, 200), (0, 200)], axis=1).max() < 5
    assert np.abs(cut(crop, again.matrix, 200)[10:-10, 10:-10].astype(int) - crop[10:-10, 10:-10]).mean() < 5


def turned_away(photo):
    """The face from the nose on squeezed into a narrow strip, as in profile, and a wall behind it."""
    left, _, side = placement_of(BOX).square
    begin, width = left + round(0.4 * side), side // 10
    squeezed = photo.copy()
    squeezed[:, begin:] = 120, 100, 80
    squeezed[:, begin:begin + width] = cv2.resize(photo[:, begin:left + side], (width, photo.shape[0]),
                                                  interpolation=cv2.INTER_AREA)
    return squeezed


@pytest.mark.parametrize("spoil", ["no face", "noise", "two thirds covered", "half covered", "profile"])
def test_without_trusted_landmarks_the_square_is_taken(spoil):
    photo = gradient(300, 300) if spoil == "no face" else astronaut().copy()
    left, top, side = placement_of(BOX).square
    if spoil in COVERED:
        photo[top:top + side, left:left + round(side * COVERED[spoil])] = 120, 100, 80
    elif spoil == "profile":
        photo = turned_away(photo)
    elif spoil == "noise":
        photo = np.random.default_rng(1).integers(0, 255, photo.shape, np.uint8)
    placement, = aligner().align(photo, [Face(BOX, 1.0)])
    assert not placement.aligned
    np.testing.assert_array_equal(placement.matrix, placement_of(BOX).matrix)


def test_a_face_is_doubted_the_more_the_further_it_is_turned_and_the_less_its_points_agree():
    points = aligner().points(astronaut(), [placement_of(BOX).matrix], mirror=True)[0][0]
    assert alignment.doubt(points, 0.01) < 0.3
    assert alignment.doubt(points, 0.031) > 1
    points[alignment.NOSE_TIP] = points[alignment.GROUPS[1]].mean(0)     # in front of an eye
    assert alignment.doubt(points, 0) > 1


def test_the_outline_goes_around_the_face():
    photo = astronaut()
    placement, = aligner().align(photo, [Face(BOX, 1.0)])
    points = placement.within_it(aligner().points(photo, [placement.matrix], mirror=True)[0][0])
    outline = placement.outline.astype(np.float32)
    depth = np.array([cv2.pointPolygonTest(outline, point, True) for point in points.tolist()])
    assert depth.min() > -0.02                      # the jaw lies on it
    assert depth[17:].min() > 0.03                  # brows, eyes, nose and mouth within
    assert -0.25 < outline[:, 1].min() < points[17:27, 1].min() - 0.1   # the hairline is above the brows
    beside = cv2.pointPolygonTest(outline, (0.02, 0.8), True), cv2.pointPolygonTest(outline, (0.98, 0.8), True)
    assert max(beside) < 0


def test_a_mirror_image_has_the_mirrored_points():
    assert np.array_equal(np.array(alignment.MIRRORED)[alignment.MIRRORED], np.arange(68))
    photo = astronaut()
    placement, = aligner().align(photo, [Face(BOX, 1.0)])
    crop = cut(photo, placement.matrix, 200)
    (one, other), differ = (np.array(part) for part in zip(*[[found[0] for found in aligner().points(
        np.ascontiguousarray(picture), [square(0, 0, 200)], mirror=True)] for picture in (crop, crop[:, ::-1])],
        strict=True))
    np.testing.assert_allclose(one, other[alignment.MIRRORED] * (-1, 1) + (200, 0), atol=1)
    assert (differ < 0.02).all()


def test_faces_do_not_depend_on_each_other():
    photo = astronaut()
    faces = [Face(BOX, 1.0), Face((300, 300, 400, 420), 1.0), Face((-500, -500, -400, -380), 1.0)]
    together = aligner().align(photo, faces)
    assert [placement.aligned for placement in together] == [True, False, False]
    for one, placement in zip(faces, together, strict=True):
        np.testing.assert_allclose(placement.matrix, aligner().align(photo, [one])[0].matrix, atol=0.05)
    assert aligner().align(photo, []) == []


@pytest.mark.parametrize("box", [(10, 10, 11, 11), (0, 0, 3, 4), (-5, -5, 400, 400), (490, 490, 530, 540)])
def test_tiny_faces_and_borders_do_no_harm(box):
    placement, = aligner().align(astronaut(), [Face(box, 1.0)])
    assert placement.side > 0
    assert cut(astronaut(), placement.matrix, 32).shape == (32, 32, 3)


def test_the_square_of_a_box_has_utkface_framing():
    placement = placement_of((100, 50, 180, 150))
    left, top, side = placement.square
    assert side == placement.side == 102  # 1.02 times the height
    assert left + side / 2 == 140
    assert top + side / 2 == pytest.approx(100 + 0.018 * 102, abs=0.51)
    assert not placement.aligned
    assert placement_of((100, 50, 200, 130), turn=90).square[2] == 102  # a face on its side is as high as wide


def test_a_square_holds_its_placement():
    placement = Placement(similarity(45, 100, 200, 50))
    left, top, side = placement.square
    assert side in (142, 143)
    assert left <= placement.corners[:, 0].min()
    assert top <= placement.corners[:, 1].min()
    assert placement.moved(30, 20).square == (left - 30, top - 20, side)


def test_within_is_the_part_inside_of_the_photo():
    assert Placement(square(10, 20, 30)).within(height=100, width=200) == (10, 20, 40, 50)
    assert Placement(square(10, 20, 30)).within(height=100, width=200, margin=15) == (0, 5, 55, 65)
    assert Placement(square(-10, -20, 300)).within(height=100, width=200) == (0, 0, 200, 100)


def square(left, top, side):
    return np.array([[side, 0.0, left], [0, side, top]])


def test_cut_inside_is_the_photo_itself():
    photo = gradient(60, 80)
    np.testing.assert_array_equal(cut(photo, square(10, 20, 32), 32), photo[20:52, 10:42])


def test_cut_over_the_border_is_filled_by_reflection():
    photo = gradient(40, 40)
    out = cut(photo, square(-8, 24, 32), 32)
    np.testing.assert_array_equal(out[:16, 8:], photo[24:, :24])
    np.testing.assert_array_equal(out[:16, :8], photo[24:, 1:9][:, ::-1])
    np.testing.assert_array_equal(out[16:, 8:], photo[23:39, :24][::-1][:16])
    assert cut(photo[:1, :1], square(-50, -50, 120), 16).shape == (16, 16, 3)  # far outside


def test_cut_filters_where_it_shrinks():
    """A pattern finer than the crop's pixels becomes its mean, whatever the tilt."""
    photo = np.zeros((400, 400, 3), np.uint8)
    photo[::2, 1::2] = photo[1::2, ::2] = 200
    for degrees in (0, 20, 45):
        out = cut(photo, similarity(degrees, 230, 180, 60), 32)
        assert np.abs(out.astype(int) - 100).max() <= 3


def test_cut_of_a_crop_is_what_training_sees():
    """A whole UTKFace crop of 200 pixels, resized as face_folder.decode resizes it."""
    face = Image.fromarray(astronaut()).crop((168, 64, 280, 176))
    crop = np.asarray(face.resize((200, 200), Image.Resampling.LANCZOS))
    trained = np.asarray(Image.fromarray(crop).resize((128, 128), Image.Resampling.LANCZOS, reducing_gap=3.0))
    assert np.abs(cut(crop, square(0, 0, 200), 128).astype(int) - trained).mean() < 1.5


