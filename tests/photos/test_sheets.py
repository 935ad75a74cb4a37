"""Pictures that show a photo and its faces."""

import io

import numpy as np
import pytest
from conftest import Stub
from PIL import Image
from sample_photos import face, gradient

from ageing.faces.alignment import Placement, placement_of
from ageing.faces.blending import Change, blend, changes_of
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


def test_cut_out_holds_the_first_face_and_moves_all():
    photo = gradient(200, 200)
    placements = [placement_of(face(*box).box) for box in ((50, 50, 100, 120), (120, 120, 160, 180))]
    changes = changes_of(photo, placements, Stub(30))
    part, moved = sheets.cut_out(photo, changes, margin=0.15)
    left, top, side = placements[0].square
    more = round(0.15 * side)
    whole = blend(photo, changes)
    here = np.s_[top - more:top + side + more, left - more:left + side + more]
    np.testing.assert_array_equal(blend(part, moved), whole[here])


def test_each_face_is_boxed_and_the_rest_stays():
    photo = gradient(200, 300)
    one, two = face(50, 60, 100, 120), face(180, 120, 220, 180)
    boxed = sheets.with_boxes(photo, [one, two], [placement_of(one.box)])
    for found in (one, two):
        left, _, right, bottom = map(int, found.box)
        assert (boxed[bottom, left:right] == sheets.BOX_COLOUR).all()
    left, top, side = placement_of(one.box).square
    assert (boxed[top + side - 10, left] == sheets.PLACEMENT_COLOUR).all()
    assert (boxed == sheets.PLACEMENT_COLOUR).all(2)[:, 170:].sum() == 0
    np.testing.assert_array_equal(boxed[70:110, 60:90], photo[70:110, 60:90])
    np.testing.assert_array_equal(boxed[:30], photo[:30])
    np.testing.assert_array_equal(sheets.with_boxes(photo, [], []), photo)


def test_placements_are_drawn_as_they_are_turned():
    photo = np.zeros((200, 200, 3), np.uint8)
    drawn = sheets.with_boxes(photo, [], [Placement(np.array([[30, -40, 100], [40, 30, 50]], float))])
    assert (drawn[70, 115] == sheets.PLACEMENT_COLOUR).all()  # the middle of the upper edge
    assert (drawn[65, 80] == sheets.PLACEMENT_COLOUR).all()   # of the left edge
    assert not drawn[85, 95].any()                        # of the placement


@pytest.mark.parametrize("shape", [(20, 70_000, 3), (70_000, 20, 3)])
def test_no_sheet_is_larger_than_a_jpeg_can_be(shape):
    photo = np.zeros(shape, np.uint8)
    height, width = shape[:2]
    far_apart = [change_in(0, 0, 10), change_in(width - 10, height - 10, 10)]
    for sheet in (sheets.before_and_after([("photo", photo), ("50s", photo)], far_apart),
                  sheets.with_boxes(photo, [], [])):
        assert max(sheet.shape) <= 65_500
        Image.fromarray(sheet).save(io.BytesIO(), "JPEG")
    assert max(sheets.with_boxes(photo, [], []).shape) == 65_500  # not smaller than it must be
