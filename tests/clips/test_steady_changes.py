"""The change of a face is averaged over time: it does not flicker, and is as strong as a photo's."""

import math
import types

import moving_portrait
import numpy as np
import pytest
from conftest import ROOT

from ageing.clips.steady_changes import MEAN_TIME, TRANSLATE_EVERY, SteadyChanges
from ageing.clips.tracking import Tracker
from ageing.faces.alignment import Aligner, placement_of
from ageing.faces.blending import changes_of
from ageing.faces.detector import Detector
from ageing.faces.translator import Translator

PHOTO = np.random.default_rng(1).integers(0, 255, (80, 100, 3), np.uint8)


class Numbered:
    """In place of a Translator: the n-th call changes every pixel by n - 1 grey levels of `values`."""

    size = 16

    def __init__(self, values):
        self.values, self.calls = values, []

    def change(self, crops):
        self.calls.append(len(crops))
        return np.full(crops.shape, self.values[len(self.calls) - 1], np.float32)


def track(number=1, weight=1.0, seen=True):
    return types.SimpleNamespace(number=number, weight=weight, seen=seen, placement=placement_of((20, 20, 60, 60)))


def test_the_change_glides_to_a_new_one():
    steady, step = SteadyChanges({"age": Numbered([10, 30] + [30] * 99)}), TRANSLATE_EVERY
    values = [steady.update(PHOTO, [track()], i * step)["age"][0].delta.mean() for i in range(30)]
    assert values[0] == 10
    assert values[1] == pytest.approx(10 + 20 * (1 - math.exp(-step / MEAN_TIME)))
    assert (np.diff(values) > 0).all()
    assert values[-1] == pytest.approx(30, abs=0.1)


def test_the_generator_runs_five_times_a_second_for_all_faces_at_once():
    translator = Numbered([5] * 99)
    steady = SteadyChanges({"age": translator})
    for i in range(60):
        steady.update(PHOTO, [track(1), track(2)], i / 60)
    assert translator.calls == [2] * 5


def test_a_lost_face_keeps_its_last_change_and_is_scaled_by_its_weight():
    translator = Numbered([20] * 99)
    steady = SteadyChanges({"age": translator, "rejuvenate": Numbered([-8] * 99)})
    steady.update(PHOTO, [track()], 0.0)
    changes = steady.update(PHOTO, [track(weight=0.25, seen=False)], 1.0)
    assert len(translator.calls) == 1
    assert changes["age"][0].delta.mean() == pytest.approx(5)
    assert changes["rejuvenate"][0].delta.mean() == pytest.approx(-2)
    assert steady.update(PHOTO, [track(weight=0)], 1.1) == {"age": [], "rejuvenate": []}
    assert not steady.memories
    changes = steady.update(PHOTO, [track(weight=0.1)], 1.2)   # it is back: nothing of the old change is left
    assert len(translator.calls) == 2
    assert changes["age"][0].delta.mean() == pytest.approx(2)


def test_a_face_that_was_never_clear_has_no_change():
    steady = SteadyChanges({"age": Numbered([20])})
    assert steady.update(PHOTO, [track(seen=False)], 0.0) == {"age": []}


def flicker(name, motion, seconds, size):
    """(flicker of the clip's change, of the frame-by-frame change, mean size of both).

    Mean absolute difference in grey levels between consecutive changes, aligned by the known path, in the face's frame.
    """
    portrait = moving_portrait.portrait(name)
    detector, aligner, translator = Detector(), Aligner(), Translator(ROOT / "saved_models/g_AB.onnx")
    place, = aligner.align(portrait, detector.find(portrait)[:1])
    tracker, steady = Tracker(detector, aligner), SteadyChanges({"age": translator})
    changes = {"clip": [], "frame": []}
    for i, (photo, matrix) in enumerate(moving_portrait.frames(portrait, seconds, 30, size, motion=motion)):
        now = i / 30
        alone = changes_of(photo, aligner.align(photo, detector.find(photo)), translator)
        for kind, found in (("clip", steady.update(photo, tracker.update(photo, now), now)["age"]), ("frame", alone)):
            changes[kind].append(moving_portrait.in_face(photo.shape, found, moving_portrait.carried(place, matrix)))
    return [moving_portrait.flicker(changes[kind]) for kind in changes] + [
        float(np.abs(changes[kind]).mean()) for kind in changes]


@pytest.mark.parametrize(("name", "motion", "seconds", "size"), [
    ("astronaut", 0, 0.3, (640, 360)),
    *(pytest.param(name, motion, 0.6, (1280, 720), marks=pytest.mark.slow)
      for name in ("astronaut", "grace-hopper") for motion in (0, 1)),
])
def test_the_flicker_is_under_a_quarter_of_frame_by_frame(name, motion, seconds, size):
    clip, frame, clip_size, frame_size = flicker(name, motion, seconds, size)
    assert clip < frame / 4
    assert clip_size == pytest.approx(frame_size, rel=0.03)   # and the change is as strong
