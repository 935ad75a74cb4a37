"""Pictures that show a photo and its faces."""

import numpy as np
from conftest import Stub
from sample_photos import face, gradient

from ageing.photos import sheets
from ageing.photos.blending import Change, apply, changes_of


def test_region_holds_every_change_and_a_margin_inside_of_the_photo():
    changes = [Change((100, 50, 40), None), Change((10, 80, 20), None)]
    assert sheets.region_of(changes, (400, 300, 3), margin=0.5) == (slice(30, 120), slice(0, 160))
    assert sheets.region_of(changes, (100, 150, 3), margin=0.5) == (slice(30, 100), slice(0, 150))


def test_cut_out_holds_the_first_face_and_moves_all():
    photo = gradient(200, 200)
    changes = changes_of(photo, [face(50, 50, 100, 120), face(120, 120, 160, 180)], Stub(30))
    part, moved = sheets.cut_out(photo, changes, margin=0.15)
    left, top, side = changes[0].square
    more = round(0.15 * side)
    whole = apply(photo, changes)
    here = np.s_[top - more:top + side + more, left - more:left + side + more]
    np.testing.assert_array_equal(apply(part, moved), whole[here])


def test_each_face_is_boxed_and_the_rest_stays():
    photo = gradient(200, 300)
    one, two = face(50, 60, 100, 120), face(180, 120, 220, 180)
    boxed = sheets.with_boxes(photo, [one, two])
    for found in (one, two):
        left, _, right, bottom = map(int, found.box)
        assert (boxed[bottom, left:right] == sheets.BOX_COLOUR).all()
    np.testing.assert_array_equal(boxed[70:110, 60:90], photo[70:110, 60:90])
    np.testing.assert_array_equal(boxed[:30], photo[:30])
    np.testing.assert_array_equal(sheets.with_boxes(photo, []), photo)
