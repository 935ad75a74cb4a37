"""Faces are followed from frame to frame, fade when they are lost, and keep their numbers."""

import math

import cv2
import moving_portrait
import numpy as np
import pytest
from PIL import Image

from ageing.clips import tracking
from ageing.clips.tracking import FADE, OneEuro, Tracker, share
from ageing.faces.alignment import PLACES, Aligner, Placement, between_centres, rms
from ageing.faces.detector import Detector

RATE = 15
STEP = 1 / RATE / FADE + 1e-6     # of a weight from one frame to the next
SIZE = 384, 216
PORTRAITS = {name: moving_portrait.portrait(name) for name in ("astronaut", "grace-hopper")}


class Counting(Detector):
    calls = 0

    def find(self, photo):
        self.calls += 1
        return super().find(photo)


@pytest.fixture(scope="module")
def parts():
    return Counting(), Aligner()


def clip(name="astronaut", seconds=1.0, motion=1.0, **more):
    return [photo for photo, _ in moving_portrait.frames(PORTRAITS[name], seconds, RATE, SIZE, motion=motion, **more)]


def follow(tracker, photos, begin=0):
    """[{number: (weight, placement)}] for each photo."""
    return [{track.number: (track.weight, track.placement) for track in tracker.update(photo, (begin + i) / RATE)}
            for i, photo in enumerate(photos)]


def covered(photos, placements):
    """The photos with a board before the face."""
    out = []
    for photo, placement in zip(photos, placements, strict=True):
        left, top, side = placement.square
        photo = photo.copy()
        photo[max(top - 10, 0):top + side + 10, max(left - 10, 0):left + side + 10] = (120, 100, 80)
        out.append(photo)
    return out


@pytest.mark.parametrize("name", ["astronaut", pytest.param("grace-hopper", marks=pytest.mark.slow)])
def test_a_face_is_followed_along_a_known_path(parts, name):
    made = list(moving_portrait.frames(PORTRAITS[name], 2, RATE, SIZE, motion=2))
    tracker, calls = Tracker(*parts), parts[0].calls
    found = follow(tracker, [photo for photo, _ in made])
    assert all(list(tracks) == [1] for tracks in found)
    assert all(tracks[1][0] == 1 for tracks in found)       # at full weight from the first frame on
    assert parts[0].calls - calls == 4                      # twice a second
    portrait = [moving_portrait.carried(tracks[1][1], cv2.invertAffineTransform(matrix))
                for tracks, (_, matrix) in zip(found, made, strict=True)]
    places = [placement.at(PLACES) for placement in portrait]
    away = rms(places - np.median(places, axis=0)) / portrait[0].side
    assert away.max() < 0.03


def test_the_outline_is_steady(parts):
    photos = clip(noise=8.0)
    smooth = [placements[1][1].outline for placements in follow(Tracker(*parts), photos)]
    raw = [parts[1].align(photo, parts[0].find(photo))[0].outline for photo in photos]
    shakes = [rms(np.diff(outlines, axis=0)).mean() for outlines in (smooth, raw)]
    assert 0 < shakes[0] < shakes[1] / 5
    assert rms(np.mean(smooth, 0) - np.mean(raw, 0)) < 0.02


def test_the_frame_of_a_still_face_shakes_less_than_the_landmarks(parts):
    tracker = Tracker(*parts)
    smooth, raw = [], []
    for i, photo in enumerate(clip(motion=0, seconds=1.2)):
        track, = tracker.update(photo, i / RATE)
        smooth.append(track.placement.at(PLACES))
        raw.append(track.unsmoothed.at(PLACES))
    shakes = [rms(np.diff(places[8:], axis=0)).mean() for places in (smooth, raw)]
    assert shakes[0] < shakes[1] / 4


def test_a_covered_face_fades_and_keeps_its_number_when_it_returns(parts):
    tracker = Tracker(*parts)
    photos = clip(motion=0, seconds=1.6)
    placement = follow(tracker, photos[:3])[-1][1][1]
    hidden = follow(tracker, covered(photos[3:10], [placement] * 7), 3)
    weights = [tracks[1][0] if 1 in tracks else 0 for tracks in hidden]
    assert weights[0] == pytest.approx(1 - 1 / RATE / FADE)
    assert (np.diff(weights) <= 0).all()
    assert np.abs(np.diff(weights)).max() <= STEP
    assert weights[5:] == [0, 0]
    again = follow(tracker, photos[10:], 10)
    weights = [tracks[1][0] if 1 in tracks else 0 for tracks in again]
    assert weights[0] <= STEP
    assert weights[-1] == 1
    assert np.abs(np.diff(weights)).max() <= STEP
    assert len(tracker.appeared) == 1


@pytest.mark.slow
def test_a_face_that_is_gone_for_long_is_another_one(parts):
    tracker = Tracker(*parts)
    photos = clip(motion=0, seconds=0.4)
    placement = follow(tracker, photos[:5])[-1][1][1]
    hidden, = covered(photos[:1], [placement])
    tracker.update(hidden, 0.4)
    tracker.update(hidden, 2.5)
    assert not tracker.tracks
    tracks = tracker.update(photos[5], 3.0)
    assert [track.number for track in tracks] == [2]


@pytest.mark.slow
def test_a_face_that_leaves_sideways_fades(parts):
    portrait = clip(motion=0, seconds=1 / RATE, noise=0)[0]
    tracker, weights = Tracker(*parts), []
    for i in range(24):
        shift = 12 * i
        photo = np.roll(portrait, -shift, axis=1)
        photo[:, SIZE[0] - shift or SIZE[0]:] = photo[:, -shift - 1:-shift] if shift else photo[:, :0]
        tracks = tracker.update(photo, i / RATE)
        weights.append(tracks[0].weight if tracks else 0)
    assert weights[:5] == [1] * 5
    assert weights[-1] == 0
    assert np.abs(np.diff(weights)).max() <= STEP


def test_after_a_cut_there_are_new_faces_at_once(parts):
    """Also if the other face stands in the same place."""
    tracker = Tracker(*parts)
    before = clip("astronaut", 0.2, motion=0)
    placement = follow(tracker, before)[-1][1][1]
    portrait = PORTRAITS["grace-hopper"]
    other, = parts[1].align(portrait, parts[0].find(portrait)[:1])
    matrix = moving_portrait.carried(Placement(cv2.invertAffineTransform(other.matrix)), placement.matrix).matrix
    photo = cv2.warpAffine(portrait, between_centres(matrix), SIZE, borderMode=cv2.BORDER_REPLICATE)
    after = follow(tracker, [photo] * 3, 3)
    assert [list(tracks) for tracks in after] == [[2]] * 3
    assert after[0][2][0] == 1
    assert [track.number for track in tracker.appeared] == [1, 2]


def group(seconds):
    """Two faces: the astronaut's, and a smaller one of Grace Hopper that is moved."""
    large, small = clip("astronaut", seconds, motion=0), clip("grace-hopper", seconds, motion=1)
    for one, other in zip(large, small, strict=True):
        part = np.asarray(Image.fromarray(other[:, 96:288]).resize((130, 150)))
        one[40:190, :130] = part
    return large


@pytest.mark.parametrize(("face", "shown"), [("all", [1, 2]), ("largest", [1]), (1, [1]), (2, [2]), (3, [])])
def test_faces_are_chosen(parts, face, shown):
    tracker = Tracker(*parts, face=face)
    found = follow(tracker, group(0.2))
    assert all(set(tracks) == {1, 2} for tracks in found)
    assert all([number for number, (weight, _) in tracks.items() if weight] == shown for tracks in found)
    assert [track.edited for track in tracker.appeared] == [1 in shown, 2 in shown]
    sides = [found[-1][number][1].side for number in (1, 2)]
    assert sides[0] != sides[1]


def test_a_face_that_the_detector_no_longer_sees_is_given_up(parts, monkeypatch):
    tracker = Tracker(Counting(), parts[1])
    photos = clip(motion=0, seconds=2.4)
    follow(tracker, photos[:3])
    monkeypatch.setattr(tracker.detector, "find", lambda photo: [])
    found = follow(tracker, photos[3:], 3)
    assert found[10][1][0] == 1     # its landmarks are clear, and one look may fail
    assert 1 not in found[-1] or found[-1][1][0] == 0


def test_two_tracks_of_one_face_become_one(parts):
    tracker = Tracker(*parts)
    photos = clip(motion=0, seconds=0.2)
    follow(tracker, photos[:2])
    first, = tracker.tracks
    tracker.tracks.append(tracking.Track(2, first.box, 0, 0, first.places + 2, weight=1.0))
    assert [track.number for track in tracker.update(photos[2], 2 / RATE)] == [1]


def test_empty_pictures_have_no_faces(parts):
    tracker = Tracker(*parts)
    for i, shape in enumerate([(216, 384, 3), (24, 24, 3), (1, 1, 3)]):
        assert tracker.update(np.full(shape, 128, np.uint8), i) == []


# The filter

def smoothed(values, cutoff=1.0, beta=0.0, unit=1.0):
    one = OneEuro(cutoff, beta)
    return np.array([one(np.float64(value), 1 / 30, unit) for value in values])


def test_without_beta_it_is_an_exponential_mean():
    noise = np.random.default_rng(1).normal(0, 1, 50)
    expected, alpha = [noise[0]], 1 / (1 + 1 / (2 * math.pi / 30))
    for value in noise[1:]:
        expected.append(alpha * value + (1 - alpha) * expected[-1])
    np.testing.assert_allclose(smoothed(noise), expected)
    assert share(1.0, 1 / 30) == pytest.approx(alpha)


def test_noise_at_rest_is_smoothed_and_motion_does_not_lag():
    noise = np.random.default_rng(1).normal(0, 0.001, 300)
    assert smoothed(noise, 0.3, 10)[100:].std() < 0.3 * noise[100:].std()
    ramp = np.arange(90) / 30     # 1 unit a second
    lag, slow_lag = ramp[-1] - smoothed(ramp, 0.3, 10)[-1], ramp[-1] - smoothed(ramp, 0.3, 0)[-1]
    assert 0 < lag < 0.03 < 0.3 < slow_lag


def test_the_unit_scales_the_speed():
    steps = np.cumsum(np.random.default_rng(2).normal(0, 1, 60))
    np.testing.assert_allclose(smoothed(5 * steps, 0.5, 3, unit=5), 5 * smoothed(steps, 0.5, 3))


def test_each_element_is_filtered_by_itself():
    still, moving = np.zeros(30), np.arange(30.0)
    both = smoothed(np.stack([still, moving], 1), 0.5, 2)
    np.testing.assert_allclose(both[:, 1], smoothed(moving, 0.5, 2))
    assert not both[:, 0].any()
