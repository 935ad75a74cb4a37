"""Pictures that show a photo and its faces."""

import io

import numpy as np
import pytest
from conftest import Stub
from PIL import Image, ImageDraw
from sample_photos import face, gradient

from ageing.faces.alignment import Placement, placement_of
from ageing.faces.blending import Change, changes_of
from ageing.photos import sheets


def change_in(left, top, side):
    return Change(Placement(np.array([[side, 0, left], [0, side, top]], float)), None)


def test_region_holds_every_change_and_a_margin_inside_of_the_photo():
    changes = [change_in(100, 50, 40), change_in(10, 80, 20)]
    assert sheets.region_of(changes, (400, 300, 3), margin=0.5) == (slice(30, 120), slice(0, 160))
    assert sheets.region_of(changes, (100, 150, 3), margin=0.5) == (slice(30, 100), slice(0, 150))


def test_region_holds_the_corners_of_a_turned_placement():
    turned = Change(Placement(np.array([[30, -40, 100], [40, 30, 100]], float)), None)  # side 50
    assert sheets.region_of([turned], (400, 400, 3), margin=0) == (slice(100, 170), slice(60, 130))


def test_each_face_is_boxed_and_the_rest_stays():
    photo = gradient(200, 300)
    one, two = face(50, 60, 100, 120), face(180, 120, 220, 180)
    boxed = sheets.with_boxes(photo, [one, two])
    for found in (one, two):
        left, _, right, bottom = map(int, found.box)
        assert (boxed[bottom, left:right] == sheets.BOX_COLOUR).all()
    np.testing.assert_array_equal(boxed[70:110, 60:90], photo[70:110, 60:90])
    np.testing.assert_array_equal(boxed[:40], photo[:40])
    np.testing.assert_array_equal(sheets.with_boxes(photo, []), photo)


@pytest.mark.parametrize("boxes", [
    [(100, 100, 140, 150), (102, 60, 142, 99), (150, 90, 190, 140)],    # one above the other, one beside them
    [(10 * i, 0, 10 * i + 9, 12) for i in range(12)],                     # side by side at the upper rim
    [(60, 40, 140, 140), (50, 60, 100, 110), (95, 50, 150, 100), (80, 100, 130, 150)]])     # over each other
def test_no_label_covers_another_label(boxes, monkeypatch):
    drawn, rectangle = [], ImageDraw.ImageDraw.rectangle
    monkeypatch.setattr(ImageDraw.ImageDraw, "rectangle", lambda self, place, **more: (
        drawn.append(place) if "fill" in more else None, rectangle(self, place, **more)))
    sheets.with_boxes(gradient(200, 300), [face(*box) for box in boxes])
    assert len(drawn) == len(boxes)
    for i, (left, top, right, bottom) in enumerate(drawn):
        assert 0 <= left < right <= 300
        assert 0 <= top < bottom <= 200
        for other in drawn[:i]:
            assert right <= other[0] or other[2] <= left or bottom <= other[1] or other[3] <= top


def test_a_moving_picture_shows_the_photo_between_the_changes():
    photo = gradient(500, 500)
    placements = [placement_of((200, 200, 300, 320))]
    known = {25: changes_of(photo, placements, Stub(-40)), 55: changes_of(photo, placements, Stub(40))}
    titled = [("20", 20), ("photo", 40), ("44", 44), ("85", 85)]
    younger, same, little, older = sheets.through_ages(photo, known, titled, strength=0.5)
    assert younger.shape == same.shape == older.shape
    assert 360 < len(same) < 410    # enlarged, with its title above
    middle = np.s_[len(same) // 2, same.shape[1] // 2, 2]
    changed = [int(picture[middle]) - int(same[middle]) for picture in (younger, little, older)]
    assert changed == [-20, 5, 20]


@pytest.mark.parametrize("shape", [(20, 70_000, 3), (70_000, 20, 3)])
def test_no_sheet_is_larger_than_a_jpeg_can_be(shape):
    photo = np.zeros(shape, np.uint8)
    height, width = shape[:2]
    far_apart = [change_in(0, 0, 10), change_in(width - 10, height - 10, 10)]
    for sheet in (sheets.before_and_after([("photo", photo), ("50s", photo)], far_apart),
                  sheets.with_boxes(photo, [])):
        assert max(sheet.shape) <= 65_500
        Image.fromarray(sheet).save(io.BytesIO(), "JPEG")
    assert max(sheets.with_boxes(photo, []).shape) == 65_500  # not smaller than it must be
