"""A clip gains the years of a photo."""

import moving_portrait
import numpy as np
import pytest
from conftest import ROOT
from evaluation.oracle import need_judges

from ageing.clips.steady_changes import SteadyChanges
from ageing.clips.tracking import Tracker
from ageing.evaluation.judges import SIZE, Judges
from ageing.faces.alignment import Aligner, Placement, cut
from ageing.faces.blending import blend, edit
from ageing.faces.detector import Detector
from ageing.faces.translator import Translator


def test_the_years_gained_are_the_photo_s():
    need_judges()
    judges, detector, aligner = Judges(), Detector(), Aligner()
    translator = Translator(ROOT / "saved_models/g_AB.onnx")
    portrait = moving_portrait.portrait("astronaut")
    place, = judges.find(portrait)

    def gained(before, after):
        return (judges.mean_ages(np.stack(after)) - judges.mean_ages(np.stack(before))).mean()

    placements = aligner.align(portrait, detector.find(portrait)[:1])
    of_photo = gained([cut(portrait, place, SIZE)], [cut(edit(portrait, placements, translator), place, SIZE)])
    tracker, steady, before, after = Tracker(detector, aligner), SteadyChanges({"age": translator}), [], []
    for i, (photo, matrix) in enumerate(moving_portrait.frames(portrait, 1, 30, (960, 540))):
        changes = steady.update(photo, tracker.update(photo, i / 30), i / 30)["age"]
        if i % 5 == 4:
            known = moving_portrait.carried(Placement(place), matrix).matrix
            before.append(cut(photo, known, SIZE))
            after.append(cut(blend(photo, changes), known, SIZE))
    assert of_photo > 10
    assert gained(before, after) == pytest.approx(of_photo, abs=3)
