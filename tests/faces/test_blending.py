"""A generator's change is blended into the photo: where, how much, and without a visible rim."""

import dataclasses

import cv2
import numpy as np
import pytest
from conftest import Stub
from sample_photos import gradient
from test_alignment import similarity

from ageing.faces.alignment import OVAL, SIDE_OF_HEIGHT, Placement, placement_of
from ageing.faces.blending import SOFTNESS, edit, mask

TILTED = Placement(similarity(30, 90, 60, 20))


def face(*box):
    return dataclasses.replace(placement_of(box), aligned=True)


def inside(placement, shape, shrink=1.0):
    """Whether each pixel's centre lies in the placement, made smaller about its centre: bool (H, W)."""
    y, x = np.mgrid[:shape[0], :shape[1]] + 0.5
    places = np.stack([x, y], -1) - placement.corners.mean(0)
    return (np.abs(places @ np.linalg.inv(placement.matrix[:, :2]).T) <= shrink / 2).all(-1)


def test_strength_zero_is_the_photo():
    photo = gradient(90, 90)
    assert np.array_equal(edit(photo, [face(20, 20, 60, 70), TILTED], Stub(40), strength=0), photo)
    assert edit(photo, [], Stub(40)) is not photo


@pytest.mark.parametrize("placements", [[face(40, 200, 200, 400), face(220, 10, 260, 60)],
                                    [Placement(similarity(33, 180, 120, 210)),
                                     Placement(similarity(-70, 300, 10, 500))],
                                    [Placement(similarity(200, 24, 100, 100))]], ids=["upright", "tilted", "tiny"])
def test_outside_of_the_placements_nothing_changes_and_inside_all_does(placements):
    photo = gradient(700, 300)  # several bands
    edited = edit(photo, placements, Stub(30))
    outside = ~np.any([inside(placement, photo.shape) for placement in placements], axis=0)
    np.testing.assert_array_equal(edited[outside], photo[outside])
    for placement in placements:
        inner = inside(placement, photo.shape, 0.3)
        assert inner.any()
        np.testing.assert_array_equal(edited[inner], photo[inner] + 30)


@pytest.mark.parametrize("degrees", [0, 40])
def test_beyond_the_outline_nothing_changes_and_along_it_little(degrees):
    """The generator paints everything; the outline is a slim face beside the middle."""
    photo = np.full((300, 300, 3), 100, np.uint8)
    slim = Placement(similarity(degrees, 200, 120, 30), outline=OVAL * (0.5, 0.8) + (0.05, 0.05))
    change = edit(photo, [slim], Stub(100)).astype(int) - photo
    corners = slim.at(slim.outline).astype(np.float32)
    y, x = np.nonzero(change.any(2))
    depth = np.array([cv2.pointPolygonTest(corners, (u + 0.5, v + 0.5), True) for u, v in zip(x.tolist(), y.tolist(),
                                                                                           strict=True)])
    assert len(depth) > 5_000
    assert depth.min() > -2                         # pixels: the weights' grid has 128 a side
    assert change[y, x][depth < 2].max() <= 3
    assert change[y, x][depth > 2.5 * SOFTNESS * 200].min() >= 95


def test_the_mask_hardly_moves_with_the_points():
    place = np.random.default_rng(1).normal(0, 1, OVAL.shape)
    before = mask(Placement(similarity(0, 200, 0, 0)))
    for share in (0.001, 0.005):    # of the side
        moved = mask(Placement(similarity(0, 200, 0, 0), outline=OVAL + share * place))
        assert 0 < np.abs(moved - before).max() < 50 * share
    moved = mask(Placement(similarity(0, 200, 0, 0), outline=OVAL + (0.001, 0)))
    assert 0 < np.abs(moved - before).max() < 0.03   # a fraction of a pixel counts, too


def test_faces_that_are_not_aligned_are_left_as_they_are():
    photo = gradient(200, 300)
    profile = placement_of((160, 60, 240, 160))
    np.testing.assert_array_equal(edit(photo, [face(30, 50, 110, 150), profile], Stub(40)),
                                  edit(photo, [face(30, 50, 110, 150)], Stub(40)))


def test_change_scales_with_strength():
    photo = gradient(90, 90)
    at = [int(edit(photo, [face(20, 20, 60, 70)], Stub(20), s)[45, 40, 0]) - int(photo[45, 40, 0])
          for s in (0, 0.5, 1, 1.5)]
    assert at == [0, 10, 20, 30]


def test_overlapping_faces_do_not_double():
    photo = gradient(200, 200)
    one = face(50, 50, 130, 150)
    np.testing.assert_array_equal(edit(photo, [one, one], Stub(40)), edit(photo, [one], Stub(40)))
    shifted = edit(photo, [one, face(70, 60, 150, 160)], Stub(40)).astype(int) - photo
    assert shifted.max() == 40
    assert shifted[100, 95].tolist() == [40, 40, 40]


@pytest.mark.parametrize("side", [20, 64, 500])
def test_rim_has_no_step(side):
    photo = gradient(700, 700)
    found = face(100, 100, 100 + side * 0.8, 100 + side / SIDE_OF_HEIGHT)
    edited = edit(photo, [found], Stub(grey := 25)).astype(int)
    left, top, side = found.square
    for axis, first in ((1, left), (0, top)):
        for rim in (first, first + side):
            lines = np.take(edited, [rim - 1, rim], axis=axis)
            was = np.take(photo, [rim - 1, rim], axis=axis).astype(int)
            assert np.abs(np.diff(lines, axis=axis)).max() <= np.abs(np.diff(was, axis=axis)).max()
    # and no visible edge: from one pixel to the next the change grows slowly
    change = np.abs(np.diff(edited - photo, axis=1)).max()
    assert change <= 1.6 * grey / (SOFTNESS * side) + 1


def test_a_black_and_white_face_stays_black_and_white():
    class Tint(Stub):
        def change(self, crops):
            return super().change(crops) * np.float32([1, 0, 2])

    colour = gradient(200, 200)
    grey = np.repeat(colour[..., :1], 3, axis=2)
    grey[::2] += np.uint8([0, 1, 2])  # what JPEG leaves of colour
    mixed = np.concatenate([grey, colour], axis=1)
    found = [face(50, 50, 130, 150), face(250, 50, 330, 150)]
    change = edit(mixed, found, Tint(20)).astype(int) - mixed
    assert change[100, 90].tolist() == [20, 20, 20]
    assert change[100, 290].tolist() == [20, 0, 40]


def test_changes_come_back_in_their_place():
    photo = gradient(300, 300)

    class Spot(Stub):
        def change(self, crops):
            out = np.zeros(crops.shape, np.float32)
            out[:, 8:12, 20:24] = 100  # of 32: rows at .3, columns at .7 of the side
            return out

    tilted, tiny = Placement(similarity(35, 150, 150, 40)), Placement(similarity(100, 20, 150, 40))
    for found in (face(60, 60, 220, 260), tilted, tiny):
        change = np.abs(edit(photo, [found], Spot(0)).astype(int) - photo).sum(2)
        middle = (np.argwhere(change > 0) * change[change > 0][:, None]).sum(0)[::-1] / change.sum() + 0.5
        np.testing.assert_allclose(middle, found.at([(22 / 32, 10 / 32)])[0], atol=0.02 * found.side)
