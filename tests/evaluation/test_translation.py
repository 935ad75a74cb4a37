"""Translated validation faces."""

import numpy as np
from evaluation.oracle import Lighter, Oracle

from ageing.evaluation import validation_set
from ageing.evaluation.translation import DIRECTIONS, translate, with_change


def test_outputs_cycles_and_identity_mappings_come_from_the_right_generators(drawn):
    young, old = validation_set.load(drawn / "train", ("20s", "50s"), 32, 8, Oracle())
    age, rejuvenate = DIRECTIONS
    older, younger = Lighter(30), Lighter(-7)
    aged = translate(age, older, younger, young, old, Oracle(), "some")
    np.testing.assert_array_equal(aged.outputs, older(young.pixels))
    np.testing.assert_array_equal(aged.cycled, younger(older(young.pixels)))
    np.testing.assert_array_equal(aged.mapped, older(old.pixels))
    assert (aged.age_gain > 20).all()
    rejuvenated = translate(rejuvenate, younger, older, old, young, Oracle(), "some")
    np.testing.assert_array_equal(rejuvenated.cycled, older(younger(old.pixels)))
    assert (rejuvenated.age_gain > 0).all()


def test_with_change_rounds_clips_and_returns_the_pixels_at_strength_zero():
    pixels = np.array([0, 100, 250], np.uint8)
    change = np.array([-7, 2.6, 20], np.float32)
    assert with_change(pixels, change).tolist() == [0, 103, 255]
    assert with_change(pixels, change, 0.5).tolist() == [0, 101, 255]
    assert with_change(pixels, change, 0).tolist() == pixels.tolist()
