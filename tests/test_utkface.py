import numpy as np
import pytest

from ageing import utkface
from ageing.errors import UserError


@pytest.mark.parametrize(("name", "parsed"), [
    ("25_0_3_20170116174525125.jpg.chip.jpg", (25, 0, 3)), ("101_1_4_x.jpg", (101, 1, 4)),
    ("39_1_20170116174525125.jpg.chip.jpg", None), ("25_2_0_x.jpg", None), ("25_0_7_x.jpg", None),
    ("_0_0_x.jpg", None), ("face.jpg", None), ("25_0_0_", None), ("1234_0_0_x.jpg", None)])
def test_names(name, parsed):
    assert utkface.parse_name(name) == parsed


def test_a_face_of_unknown_cell_has_a_label_of_zeros():
    np.testing.assert_array_equal(utkface.labels_of(np.array([-1, 9])), [[0] * 7, [0, 1, 0, 0, 0, 0, 1]])


def test_matched_distribution_keeps_what_it_promises():
    rng = np.random.default_rng(1)
    for _ in range(200):
        a, b = (rng.choice(10, rng.integers(1, 60), p=rng.dirichlet(np.full(10, 0.4))) for _ in range(2))
        if not set(a) & set(b):
            continue
        cap = float(rng.uniform(1, 6))
        p, capped, dropped = utkface.matched_distribution(a, b, cap)
        assert p.sum() == pytest.approx(1)
        shares = np.minimum(*(np.bincount(c, minlength=10) / len(c) for c in (a, b)))
        if (cap * shares).sum() >= 1:  # else no distribution can stay under the cap
            assert (p <= cap * shares + 1e-6).all()
        assert not p[dropped].any()
        assert not set(capped) & set(dropped)


def test_domains_without_a_common_cell_cannot_be_matched():
    with pytest.raises(UserError, match="sampling=independent"):
        utkface.matched_distribution(np.array([0, 0]), np.array([1, -1]), 4)


def test_splits_are_a_function_of_the_name():
    names = [f"{20 + i % 40}_0_0_2017{i:09}.jpg.chip.jpg" for i in range(4000)]
    splits = [utkface.split_of(name) for name in names]
    share = {split: splits.count(split) / len(splits) for split in utkface.SPLITS}
    assert share == pytest.approx({"train": 0.81, "validation": 0.09, "test": 0.1}, abs=0.02)
    # The same on every machine, for ever.
    known = {"25_0_0_20170001.jpg": "train", "25_0_0_20170000.jpg": "validation", "25_0_0_20170013.jpg": "test"}
    assert {name: utkface.split_of(name) for name in known} == known
