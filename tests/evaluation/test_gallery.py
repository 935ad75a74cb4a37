"""The pictures of an evaluation."""

import numpy as np
import pytest
from evaluation.oracle import Lighter, translated

from ageing import pictures
from ageing.evaluation import formulas, gallery, metrics


@pytest.fixture
def measured(drawn, monkeypatch):
    monkeypatch.setattr(formulas, "RESAMPLES", 20)
    monkeypatch.setattr(metrics, "HALVINGS", 2)
    return translated((Lighter(40), Lighter(-40)), drawn / "train", 32, 12)


def test_the_best_and_the_worst_faces_are_shown_by_each_number(measured, tmp_path, monkeypatch):
    shown = {}
    monkeypatch.setattr(pictures, "save_grid", lambda path, rows: shown.update({path.name: dict(rows)}))
    monkeypatch.setattr(gallery, "SHOWN", 5)
    age = measured["age"]
    links = gallery.draw(tmp_path, "runs/some", measured)
    for number, values in (("age_gain", age.age_gain),):
        for which, expected in (("smallest", np.sort(values)[:5]), ("largest", np.sort(values)[::-1][:5])):
            rows = shown[f"runs_some_age_{which}_{number}.png"]
            assert list(rows) == ["input", "output", "cycle"]
            at = [next(i for i in range(12) if (age.inputs.pixels[i] == face).all()) for face in rows["input"]]
            np.testing.assert_allclose(values[at], expected)
            np.testing.assert_array_equal(rows["output"], age.outputs[at])
            np.testing.assert_array_equal(rows["cycle"], age.cycled[at])
    assert {"runs_some_age_random.png", "runs_some_rejuvenate_nearest_identity.png",
            "runs_some_age_most_stains.png"} <= set(shown)
    assert "![random](runs_some_age_random.png)" in links


def test_faces_whose_gender_is_not_kept_have_a_picture_of_their_own(measured):
    translation = measured["age"]
    assert "gender not kept" not in dict(gallery._selections(translation))
    translation.gender_kept[[3, 7]] = False
    assert dict(gallery._selections(translation))["gender not kept"].tolist() == [3, 7]
