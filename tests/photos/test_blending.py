import itertools

import numpy as np
import onnx
import pytest
from conftest import ROOT, Stub
from onnx import TensorProto, helper
from PIL import Image

import faces
from files import UserError


@pytest.fixture(scope="module")
def detector():
    return faces.Detector()


@pytest.fixture(scope="module")
def astronaut():
    return np.asarray(Image.open(ROOT / "samples/astronaut.jpg"))


def face(left, top, right, bottom):
    return faces.Face((left, top, right, bottom), 1.0)


def gradient(height, width):
    y, x = np.mgrid[:height, :width]
    channels = x * 200 // width + 20, y * 200 // height + 20, (x + y) * 100 // (height + width)
    return np.stack(channels, 2).astype(np.uint8)


def test_square_is_utkface_framing():
    left, top, side = face(100, 50, 180, 150).square
    assert side == 102  # 1.02 times the height
    assert left + side / 2 == 140
    assert top + side / 2 == pytest.approx(100 + 0.018 * 102, abs=0.51)


def test_crop_inside_is_the_photo_itself():
    photo = gradient(60, 80)
    np.testing.assert_array_equal(faces.crop(photo, (10, 20, 32), 32), photo[20:52, 10:42])


def test_crop_over_the_border_is_completed_by_reflection():
    photo = gradient(40, 40)
    out = faces.crop(photo, (-8, 24, 32), 32)
    np.testing.assert_array_equal(out[:16, 8:], photo[24:, :24])
    np.testing.assert_array_equal(out[:16, :8], photo[24:, 1:9][:, ::-1])
    np.testing.assert_array_equal(out[16:, 8:], photo[23:39, :24][::-1][:16])
    assert faces.crop(photo[:1, :1], (-50, -50, 120), 16).shape == (16, 16, 3)  # far beyond


def test_strength_zero_is_the_photo():
    photo = gradient(90, 90)
    assert np.array_equal(faces.edit(photo, [face(20, 20, 60, 70)], Stub(40), strength=0), photo)
    assert faces.edit(photo, [], Stub(40)) is not photo


def test_outside_of_the_squares_nothing_changes_and_inside_all_does():
    photo = gradient(700, 300)  # several strips
    found = [face(40, 200, 200, 400), face(220, 10, 260, 60)]
    edited = faces.edit(photo, found, Stub(40))
    outside = np.ones(photo.shape[:2], bool)
    for f in found:
        left, top, side = f.square
        outside[max(top, 0):top + side, max(left, 0):left + side] = False
        quarter = side // 4
        inner = np.s_[top + quarter:top + side - quarter, left + quarter:left + side - quarter]
        np.testing.assert_array_equal(edited[inner], photo[inner] + 40)
    np.testing.assert_array_equal(edited[outside], photo[outside])


def test_change_scales_with_strength():
    photo = gradient(90, 90)
    at = [int(faces.edit(photo, [face(20, 20, 60, 70)], Stub(20), s)[45, 40, 0]) - int(photo[45, 40, 0])
          for s in (0, 0.5, 1, 1.5)]
    assert at == [0, 10, 20, 30]


def test_overlapping_faces_do_not_double():
    photo = gradient(200, 200)
    one = face(50, 50, 130, 150)
    np.testing.assert_array_equal(faces.edit(photo, [one, one], Stub(40)), faces.edit(photo, [one], Stub(40)))
    shifted = faces.edit(photo, [one, face(70, 60, 150, 160)], Stub(40)).astype(int) - photo
    assert shifted.max() == 40
    assert shifted[100, 95].tolist() == [40, 40, 40]


@pytest.mark.parametrize("side", [20, 64, 500])
def test_rim_has_no_step(side):
    photo = gradient(700, 700)
    found = face(100, 100, 100 + side * 0.8, 100 + side / faces.SIDE_OF_HEIGHT)
    edited = faces.edit(photo, [found], Stub(grey := 25)).astype(int)
    left, top, side = found.square
    for axis, first in ((1, left), (0, top)):
        for rim in (first, first + side):
            lines = np.take(edited, [rim - 1, rim], axis=axis)
            was = np.take(photo, [rim - 1, rim], axis=axis).astype(int)
            assert np.abs(np.diff(lines, axis=axis)).max() <= np.abs(np.diff(was, axis=axis)).max()
    # and it fades in: no step from a pixel to the next that one would see as an edge
    change = np.abs(np.diff(edited - photo, axis=1)).max()
    assert change <= grey * 2 / (faces.FEATHER * side) + 1


def test_a_black_and_white_face_stays_black_and_white():
    class Tint(Stub):
        def change(self, crops):
            return super().change(crops) * np.float32([1, 0, 2])

    colour = gradient(200, 200)
    grey = np.repeat(colour[..., :1], 3, axis=2)
    grey[::2] += np.uint8([0, 1, 2])  # what JPEG leaves of colour
    mixed = np.concatenate([grey, colour], axis=1)
    found = [face(50, 50, 130, 150), face(250, 50, 330, 150)]
    change = faces.edit(mixed, found, Tint(20)).astype(int) - mixed
    assert change[100, 90].tolist() == [20, 20, 20]
    assert change[100, 290].tolist() == [20, 0, 40]


def test_changes_come_back_in_their_place():
    photo = gradient(300, 300)

    class Spot(Stub):
        def change(self, crops):
            out = np.zeros(crops.shape, np.float32)
            out[:, 8:12, 20:24] = 100  # of 32: rows at .3, columns at .7 of the side
            return out

    left, top, side = (found := face(60, 60, 220, 260)).square
    change = np.abs(faces.edit(photo, [found], Spot(0)).astype(int) - photo).sum(2)
    y, x = np.argwhere(change > change.max() / 2).mean(0)
    assert (y - top + 0.5) / side == pytest.approx(10 / 32, abs=0.01)
    assert (x - left + 0.5) / side == pytest.approx(22 / 32, abs=0.01)


def test_around_holds_every_change_and_a_margin_inside_of_the_photo():
    changed = [faces.Change((100, 50, 40), None), faces.Change((10, 80, 20), None)]
    assert faces.around((400, 300, 3), changed, margin=0.5) == (slice(30, 120), slice(0, 160))
    assert faces.around((100, 150, 3), changed, margin=0.5) == (slice(30, 100), slice(0, 150))


def test_cut_out_holds_the_first_face_and_moves_all():
    photo = gradient(200, 200)
    found = [face(50, 50, 100, 120), face(120, 120, 160, 180)]
    changed = faces.changes(photo, found, Stub(30))
    part, moved = faces.cut_out(photo, changed)
    left, top, side = changed[0].square
    more = round(0.15 * side)
    whole = faces.apply(photo, changed)
    around = np.s_[top - more:top + side + more, left - more:left + side + more]
    np.testing.assert_array_equal(faces.apply(part, moved), whole[around])


def test_face_is_found(detector, astronaut):
    found, = detector.find(astronaut)
    left, top, right, bottom = found.box
    assert 165 < left < 190
    assert 260 < right < 285
    assert 45 < top < 70
    assert 165 < bottom < 190
    assert found.confidence > 0.95


def test_small_faces_in_a_large_photo_are_found(detector, astronaut):
    photo = np.full((2000, 3000, 3), 128, np.uint8)
    places = [(100, 200), (1400, 1000), (2600, 1700)]
    small = np.asarray(Image.fromarray(astronaut).resize((260, 260)))  # a face of about 46 x 60 pixels
    for x, y in places:
        photo[y:y + 260, x:x + 260] = small
    found = detector.find(photo)
    assert sorted(f.square[0] // 400 for f in found) == [0, 3, 6]


def test_face_at_the_border_is_found_and_aged(detector, astronaut):
    photo = astronaut[:, 195:].copy()  # a quarter of the face is cut off
    found, = detector.find(photo)
    assert found.square[0] < 0
    edited = faces.edit(photo, [found], Stub(30)).astype(int) - photo
    assert edited[110, 0].max() == 30  # up to the very border: the rim of the square is outside


def test_tiles_cover_and_overlap():
    for length in (1, 120, 640, 641, 1160, 1161, 5000):
        parts = faces._parts(length, 640, 120)
        assert parts[0][0] == 0
        assert parts[-1][1] == length
        assert all(end - begin <= 640 for begin, end in parts)
        assert all(a[1] - b[0] >= 119 for a, b in itertools.pairwise(parts))
    assert len(faces._parts(640, 640, 120)) == 1


def test_tiny_and_narrow_photos_have_no_face(detector):
    for shape in ((1, 1, 3), (1, 900, 3), (900, 2, 3)):
        assert detector.find(np.zeros(shape, np.uint8)) == []


def test_a_network_that_is_no_detector_is_named(tmp_path):
    shape = ["N", 3, "H", "W"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g",
                              [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), tmp_path / "r.onnx")
    with pytest.raises(UserError, match=r"r.onnx: not an SSD face detector"):
        faces.Detector(tmp_path / "r.onnx").find(np.zeros((100, 100, 3), np.uint8))


def test_a_file_that_is_no_detector_is_named(tmp_path):
    (tmp_path / "x.caffemodel").write_bytes(b"no")
    with pytest.raises(UserError, match="x.caffemodel: OpenCV cannot read this detector"):
        faces.Detector(tmp_path / "x.caffemodel")
