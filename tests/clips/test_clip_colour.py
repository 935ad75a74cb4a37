"""Colours of frames: changes are added to Y, Cb and Cr, and nothing else changes."""

from fractions import Fraction

import av
import numpy as np
import pytest
import sample_clips

from ageing.clips import clip_colour
from ageing.clips.clip_colour import BT601, BT709, BT2020, HLG, PQ, Colour
from ageing.errors import UserError
from ageing.faces.alignment import placement_of
from ageing.faces.blending import Change, photo_deltas

FACE = placement_of((24, 16, 64, 56))
RGB = sample_clips.picture()


def frame_with(pixel_format, colour, rgb=RGB):
    """An av.VideoFrame of `rgb` in this pixel format and colour."""
    kind, code = 2 if colour.full else 1, clip_colour.MATRICES[colour.matrix][2]
    frame = av.VideoFrame.from_ndarray(rgb).reformat(
        format=pixel_format, dst_colorspace=code, dst_color_range=kind, src_color_range=2)
    frame.colorspace, frame.color_range, frame.color_trc = colour.matrix, kind, colour.transfer
    frame.pts, frame.time_base = 0, Fraction(1, 25)
    return frame


def edited(pixel_format, colour, grey, rgb=RGB):
    """(a frame, an edited copy, float (H, W, 3) of the change that was added)."""
    frame = frame_with(pixel_format, colour, rgb)
    copy = clip_colour.writable(frame, colour, (frame.width, frame.height), pixel_format)
    delta = np.broadcast_to(np.float32(grey), (32, 32, 3)).astype(np.float32)
    clip_colour.add(copy, [Change(FACE, delta)], 1.0, colour)
    whole = np.zeros(rgb.shape, np.float32)
    for rows, columns, part in photo_deltas(rgb.shape, [Change(FACE, delta)]):
        whole[rows, columns] = part
    return frame, copy, whole


def planes(frame):
    return [plane.astype(int) for plane in clip_colour.planes_of(frame)]


@pytest.mark.parametrize("pixel_format", ["yuv444p", "yuv420p", "yuv444p10le", "yuv422p10le"])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("matrix", [BT601, BT709])
def test_a_change_comes_out_as_it_went_in(pixel_format, full, matrix):
    colour = Colour(matrix, full, 2)
    frame, copy, change = edited(pixel_format, colour, (25, -15, 10))
    size = frame.width, frame.height
    seen = clip_colour.rgb_of(copy, colour, size).astype(float) - clip_colour.rgb_of(frame, colour, size)
    inside = (seen - change)[28:46, 36:54]  # well inside: chroma has half the pixels, so it cannot follow the edge
    assert np.abs(inside).max() < 4   # codes and RGB are rounded
    assert np.abs(inside.mean((0, 1))).max() < 1


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv422p10le"])
def test_outside_of_the_face_no_code_changes(pixel_format):
    frame, copy, _ = edited(pixel_format, Colour(BT709, False, 2), (30, 10, -20))
    for before, after in zip(planes(frame), planes(copy), strict=True):
        touched = np.argwhere(before != after) * np.array(RGB.shape[:2]) / before.shape
        assert len(touched)
        assert (touched.min(0) >= FACE.corners.min(0)[::-1] - 1).all()
        assert (touched.max(0) <= FACE.corners.max(0)[::-1] + 1).all()


def test_the_decoded_frame_itself_is_not_touched():
    """The decoder still needs it, to make the next ones from it."""
    frame = frame_with("yuv420p", Colour(BT709, False, 2))
    before = planes(frame)
    edited("yuv420p", Colour(BT709, False, 2), 30)
    copy = clip_colour.writable(frame, Colour(BT709, False, 2), (96, 64), "yuv420p")
    clip_colour.planes_of(copy)[0][...] = 0
    for one, other in zip(before, planes(frame), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_grey_change_leaves_the_chroma():
    frame, copy, _ = edited("yuv420p", Colour(BT601, False, 2), 30)
    for before, after in zip(planes(frame)[1:], planes(copy)[1:], strict=True):
        np.testing.assert_array_equal(before, after)


def test_limits_of_the_range_hold_but_what_is_beyond_stays():
    colour = Colour(BT709, False, 2)
    frame = frame_with("yuv420p", colour, np.full((64, 96, 3), 250, np.uint8))
    copy = clip_colour.writable(frame, colour, (96, 64), "yuv420p")
    clip_colour.planes_of(copy)[0][30:40] = 250  # whiter than white
    clip_colour.add(copy, [Change(FACE, np.full((32, 32, 3), 40, np.float32))], 1.0, colour)
    luma = planes(copy)[0]
    assert luma[44, 44] == 235
    assert luma[35, 44] == 250


@pytest.mark.parametrize("size", [(97, 65), (96, 65)])
def test_odd_sizes(size):
    colour, rgb = Colour(BT601, False, 2), sample_clips.picture(*size)
    frame = frame_with("yuv420p", colour, rgb)
    copy = clip_colour.writable(frame, colour, size, "yuv420p")
    corner = placement_of((60, 30, 110, 80))  # reaches over the lower right corner
    clip_colour.add(copy, [Change(corner, np.full((32, 32, 3), (40, 0, 0), np.float32))], 1.0, colour)
    for before, after in zip(planes(frame), planes(copy), strict=True):
        assert (before != after).any()


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_hdr_is_reduced_and_a_change_is_what_the_reduced_picture_shows(transfer):
    colour, curve = Colour(BT2020, False, transfer), clip_colour.Curve(transfer)
    grey = RGB.astype(float) * 0.8 @ np.linalg.inv(clip_colour.TO_BT709).T
    signal = np.interp(grey, curve.greys, curve.signals)
    rgb = np.rint(signal * 255).astype(np.uint8)  # 8 bits are enough here: the frame has 10
    frame, copy, change = edited("yuv444p10le", colour, (12, -8, 6), rgb)
    seen = [clip_colour.rgb_of(one, colour, (96, 64)).astype(float) for one in (frame, copy)]
    assert np.abs(seen[0] - RGB * 0.8).mean() < 4
    assert np.abs((seen[1] - seen[0] - change)[20:50, 30:60]).mean() < 2
    assert np.abs((seen[1] - seen[0] - change)[20:50, 30:60].mean((0, 1))).max() < 1
    assert (planes(copy)[0][:10] == planes(frame)[0][:10]).all()


def test_curves_rise_and_white_is_nearly_white():
    for transfer, white in ((PQ, 0.58), (HLG, 0.75)):
        curve = clip_colour.Curve(transfer)
        assert (np.diff(curve.greys) >= 0).all()
        assert 225 < np.interp(white, curve.signals, curve.greys) < 250
        bright = curve.unreduced(np.zeros((1, 1, 3), np.float32), np.full((1, 1, 3), 0.99, np.float32))
        assert not bright.any()


def test_an_unknown_matrix_is_refused():
    frame = frame_with("yuv420p", Colour(BT709, False, 2))
    frame.colorspace = 14  # ICtCp
    with pytest.raises(UserError, match="clip.mp4: its colours are of a kind that is not known here .*matrix 14"):
        clip_colour.of(frame, "clip.mp4")


def test_clips_that_do_not_say_their_matrix_are_taken_as_players_do():
    frame = frame_with("yuv420p", Colour(BT709, False, 2))
    frame.colorspace = clip_colour.UNSPECIFIED
    assert clip_colour.of(frame, "").matrix == BT601
    large = av.VideoFrame(1280, 720, "yuv420p")
    assert clip_colour.of(large, "").matrix == BT709


def test_times_and_tags_are_copied():
    frame = frame_with("yuv420p", Colour(BT709, True, 13))
    frame.pts, frame.time_base, frame.duration = 77, Fraction(1, 1000), 40
    for pixel_format in ("yuv420p", "yuv444p"):
        copy = clip_colour.writable(frame, Colour(BT709, True, 13), (96, 64), pixel_format)
        assert (copy.pts, copy.time_base, copy.duration) == (77, Fraction(1, 1000), 40)
        assert (copy.colorspace, copy.color_range, copy.color_trc) == (BT709, 2, 13)


