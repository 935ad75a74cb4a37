"""Realism of synthetic faces, whose descriptors are known."""

import types

import numpy as np
import pytest

from ageing.evaluation import realism

RNG = np.random.default_rng(1)


@pytest.fixture(autouse=True)
def few_halvings(monkeypatch):
    monkeypatch.setattr(realism, "HALVINGS", 5)


def faces(mean, cells, black=0):
    """n faces with descriptors around `mean`; the first `black` of them are black, the others white."""
    pixels = np.full((len(cells), 32, 32, 3), 255, np.uint8)
    pixels[:black] = 0
    readings = types.SimpleNamespace(descriptors=RNG.normal(mean, 1, (len(cells), 4)))
    return types.SimpleNamespace(pixels=pixels, cells=np.asarray(cells), readings=readings)


def measured(outputs, inputs, targets):
    return realism.realism(types.SimpleNamespace(outputs=outputs.pixels, readings=outputs.readings, inputs=inputs,
                                                 targets=targets))


@pytest.mark.parametrize("cells", [[0, 7] * 100, [-1] * 200])  # labelled or not
def test_outputs_like_the_targets_are_nearer_than_unchanged_inputs(cells):
    found = measured(faces(1, cells), faces(0, cells), faces(1, cells))
    for measure in ("Frechet distance", "kernel distance"):
        outputs, unchanged, real = (found[measure][who][0] for who in ("outputs", "unchanged", "real"))
        assert outputs == pytest.approx(real, abs=0.4 * unchanged)
        assert unchanged > 2 * outputs
        assert abs(real) > 1e-3  # other faces than those of the reference
        mean, low, high = found[measure]["outputs"]
        assert low <= mean <= high


def test_domains_of_different_groups_are_compared_at_one_distribution():
    """All faces of cell 0 are black, those of cell 7 white; the inputs have more of cell 0, the targets fewer."""
    inputs, targets = faces(0, [0] * 120 + [7] * 80, black=120), faces(0, [0] * 40 + [7] * 160, black=40)
    dark = measured(inputs, inputs, targets)["dark pixels beside the face"]
    assert dark["outputs"] == dark["unchanged"] == dark["real"]
    assert dark["real"][0] == pytest.approx((0.6 + 0.2) / 2, abs=0.1)
