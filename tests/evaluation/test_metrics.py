"""The numbers of generators with a known effect, read by judges that know the answers."""

import dataclasses
import types

import cv2
import numpy as np
import pytest
from evaluation.oracle import Generator, Lighter, Oracle, Told, translated, wave

from ageing.evaluation import formulas, metrics, natural
from ageing.evaluation.comparison import Unchanged
from ageing.faces.direction import Direction

RNG = np.random.default_rng(1)


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch):
    monkeypatch.setattr(formulas, "RESAMPLES", 100)
    monkeypatch.setattr(metrics, "HALVINGS", 5)


@pytest.fixture
def measured(drawn):
    """A function (G_AB, G_BA) -> {direction: numbers}, on drawn faces."""
    def measured(*pair, judges=None, folder=drawn / "train", domains=("20s", "50s"), faces=20, size=32):
        return metrics.measure_all(translated(pair, folder, size, faces, judges, domains))
    return measured


def test_unchanged_faces_gain_nothing_and_are_as_real_as_unchanged_ones(measured):
    for numbers in measured(Unchanged(), Unchanged(), faces=0).values():
        for title in ("age gain, years", "identity distance", "cycle error, grey levels",
                      "identity mapping error, grey levels", "skin lightness change, L*", "skin colour change, dE*"):
            assert numbers[title] == (0, 0, 0), title
        for title in ("verified as the same person", "gender kept"):
            assert numbers[title] == (1, pytest.approx(0.912, abs=1e-3), 1)  # Wilson, 40 of 40
        assert numbers["Frechet distance"]["outputs"] == numbers["Frechet distance"]["unchanged"]
        assert numbers["Frechet distance"]["real"][0] < numbers["Frechet distance"]["unchanged"][0]
        assert numbers["dark pixels beside the face"]["outputs"] == numbers["dark pixels beside the face"]["unchanged"]


def test_a_generator_that_lightens_is_measured_rightly(measured):
    directions = measured(Lighter(10), Lighter(-10))
    for direction, numbers in directions.items():
        assert numbers["faces"] == 20
        gain, low, high = numbers["age gain, years"]
        assert gain == pytest.approx(10, abs=0.6)  # saturated pixels change less
        assert low <= gain <= high
        assert numbers["estimated age, outputs"][0] - numbers["estimated age, inputs"][0] == pytest.approx(
            gain if direction == "age" else -gain)
        assert numbers["error against the age told, years"] is None
        assert numbers["identity mapping error, grey levels"][0] == pytest.approx(10, abs=0.6)
        assert numbers["cycle error, grey levels"][0] < 0.6  # -10 after 10
        assert np.sign(numbers["skin lightness change, L*"][0]) == (1 if direction == "age" else -1)
        assert numbers["ms per face"] > 0


def test_the_second_judge_is_reported_beside_the_first(measured):
    for numbers in measured(Lighter(10), Lighter(-10)).values():
        assert numbers["age gain, years, second judge"][0] == pytest.approx(numbers["age gain, years"][0] / 2)
        assert numbers["age gain / age gap, second judge"] == pytest.approx(numbers["age gain / age gap"])
        kept = numbers["gender kept, second judge"][0]
        assert 0 < kept < 1 == numbers["gender kept, mirrored inputs, second judge"][0]
        assert kept == pytest.approx(sum(group["gender kept, second judge"][0] * group["faces"]
                                         for group in numbers["by group"].values()) / 20)


def test_every_group_has_its_numbers_with_intervals(measured):
    for numbers in measured(Lighter(10), Lighter(-10)).values():
        groups = numbers["by group"].values()
        assert sum(group["faces"] for group in groups) == 20
        for group in groups:
            assert group["age gain, years"][1] <= group["age gain, years"][0] <= group["age gain, years"][2]
            assert group["gender kept"][0] == 1 > group["gender kept"][1]


def test_different_people_are_farther_than_the_same(measured):
    for numbers in measured(Lighter(1), Lighter(-1)).values():
        assert 0 < numbers["identity distance"][0] < numbers["identity distance, different people"][0]


def test_label_flips_on_mirrored_inputs_are_reported(measured):
    class Unsure(Oracle):
        def male(self, faces, title=""):
            male = self.read(faces[:, :, ::-1]).male
            male[: len(faces) // 2] ^= True
            return male

    for numbers in measured(Unchanged(), Unchanged(), judges=Unsure()).values():
        assert numbers["gender kept"][0] == 1
        assert numbers["gender kept, mirrored inputs"][0] == 0.5
        assert sum(group["gender kept, mirrored inputs"][0] * group["faces"]
                   for group in numbers["by group"].values()) == pytest.approx(10)


def test_gender_readings_are_compared_with_the_labels(measured):
    class Misreading(Oracle):
        """Reads every input as male and every output as female."""

        def read(self, faces, title=""):
            male = np.full(len(faces), not title.startswith("judging some"))
            return super().read(faces)._replace(male=male)

    for numbers in measured(Lighter(10), Lighter(10), judges=Misreading()).values():
        groups = numbers["by group"]
        men = sum(group["faces"] for name, group in groups.items() if name.endswith(" male"))
        assert 0 < men < 20
        assert numbers["gender kept"][0] == 0
        assert numbers["gender as labelled, inputs"][0] == pytest.approx(men / 20)
        assert numbers["gender as labelled, outputs"][0] == pytest.approx(1 - men / 20)
        for name, group in groups.items():
            assert group["gender as labelled, inputs"][0] == name.endswith(" male")
            assert group["gender as labelled, outputs"][0] == name.endswith(" female")


def test_faces_without_labels_are_in_no_group(measured, drawn, tmp_path):
    for domain in ("20s", "50s"):
        (tmp_path / domain).mkdir()
        for i, path in enumerate(sorted((drawn / "train" / domain).iterdir())[:8]):
            (tmp_path / domain / f"face{i}{path.suffix}").write_bytes(path.read_bytes())
    for numbers in measured(Unchanged(), Unchanged(), folder=tmp_path, faces=0).values():
        assert numbers["gender as labelled, inputs"] is numbers["gender as labelled, outputs"] is None
        assert numbers["by group"] == {}


class Painter(Generator):
    """Paints a red dot between the brows of the first half of the faces."""

    def change(self, faces):
        change = np.zeros(faces.shape, np.float32)
        change[:len(faces) // 2, 31:38, 60:68, 1:] = -120
        return change


def test_a_spot_that_is_added_to_foreheads_is_counted(measured):
    for numbers in measured(Painter(), Painter(), faces=12, size=128).values():
        assert numbers["spot added on the forehead"][0] == pytest.approx(0.5, abs=0.1)
        spots = {who: share for who, (share, _, _) in numbers["spot on the forehead"].items()}
        assert spots["outputs"] - spots["unchanged"] == pytest.approx(0.5, abs=0.25)  # drawn at random from 12 faces
        assert spots["real"] < 0.25
        of_groups = sum(group["spot added on the forehead"][0] * group["faces"]
                        for group in numbers["by group"].values())
        assert of_groups == pytest.approx(12 * numbers["spot added on the forehead"][0])


def test_a_spot_that_was_there_before_is_not_counted(drawn):
    for translation in translated((Unchanged(), Unchanged()), drawn / "train", 128, 12).values():
        painted = Painter()(translation.inputs.pixels)
        same = dataclasses.replace(translation, inputs=dataclasses.replace(translation.inputs, pixels=painted),
                                   outputs=painted)
        assert metrics.measure(same)["spot added on the forehead"][0] == 0


def test_dark_pixels_beside_faces_are_compared_with_inputs_and_real_faces(measured):
    class Blackener(Generator):
        """Blackens the left half of every face."""

        def change(self, faces):
            change = np.zeros(faces.shape, np.float32)
            change[:, :, :16] = -255
            return change

    directions = measured(Blackener(), Blackener(), faces=12)
    dark = {name: numbers["dark pixels beside the face"] for name, numbers in directions.items()}
    for name, other in (("age", "rejuvenate"), ("rejuvenate", "age")):
        assert 0.5 <= dark[name]["outputs"][0] < 0.6
        assert dark[name]["unchanged"][0] < 0.1
        assert dark[name]["real"][0] == pytest.approx(dark[other]["unchanged"][0], abs=0.05)


def test_no_share_of_a_gap_that_the_judge_does_not_see(measured):
    straight, swapped = (measured(Unchanged(), Unchanged(), domains=domains)["age"]
                         for domains in (("20s", "50s"), ("50s", "20s")))
    shares = sorted((numbers["age gap, years"], numbers["age gain / age gap"]) for numbers in (straight, swapped))
    assert shares[0][0] < 0 < shares[1][0]
    assert [share for _, share in shares] == [None, (0, 0, 0)]


def test_every_age_told_is_measured_beside_real_faces_of_its_decade(drawn):
    translations = translated((Told(), Lighter(-7)), drawn / "train", 32, 12)
    numbers = metrics.measure_all(translations)
    assert list(numbers) == ["told 45", "told 55", "told 65", "rejuvenate"]
    for age in (45, 55, 65):
        of, readings = numbers[f"told {age}"], translations[f"told {age}"].after
        assert of["age gain, years"][0] == pytest.approx(age - 40, abs=1)  # saturated pixels change less
        assert of["error against the age told, years"][0] == pytest.approx(np.abs(readings.ages - age).mean())
        assert of["error against the age told, years, second judge"][0] == pytest.approx(
            np.abs(readings.second_ages - age).mean())
        assert of[metrics.RISES][0] == of[f"{metrics.RISES}, second judge"][0] == 1
        for title in ("estimated age, target domain", "age gain / age gap", "identity mapping error, grey levels"):
            assert (of[title] is None) == (age != 55), title  # the drawn faces have no 40s and 60s
        assert ("Frechet distance" in of) == ("between" in of[natural.STAINS]) == (age == 55)
        assert of[natural.STAINS].keys() >= {"outputs", "noise"}
    assert numbers["told 55"]["estimated age, target domain"] == numbers["rejuvenate"]["estimated age, inputs"]
    assert metrics.RISES not in numbers["rejuvenate"]


def test_a_face_counts_as_rising_only_if_every_age_is_above_the_one_before():
    def told(*ages):
        return types.SimpleNamespace(after=types.SimpleNamespace(ages=np.array(ages), second_ages=-np.array(ages)))

    rates = metrics.rises([told(30, 30, 30, 30), told(40, 30, 40, 29), told(50, 40, 39, 50)])
    assert [rate for rate, _, _ in rates.values()] == [0.25, 0]
    assert metrics.rises([told(30, 30)]) == metrics.rises([]) == {}


def faces(mean, cells, black=0):
    """n faces with descriptors around `mean`; the first `black` of them are black, the others white."""
    pixels = np.full((len(cells), 32, 32, 3), 255, np.uint8)
    pixels[:black] = 0
    readings = types.SimpleNamespace(descriptors=RNG.normal(mean, 1, (len(cells), 4)))
    return types.SimpleNamespace(pixels=pixels, cells=np.asarray(cells), readings=readings)


def realism(outputs, inputs, targets):
    return metrics.realism(types.SimpleNamespace(
        outputs=outputs.pixels, inputs=inputs, targets=targets, before=inputs.readings, after=outputs.readings,
        real=targets.readings))


@pytest.mark.parametrize("cells", [[0, 7] * 100, [-1] * 200])  # labelled or not
def test_outputs_like_the_targets_are_nearer_than_unchanged_inputs(cells):
    found = realism(faces(1, cells), faces(0, cells), faces(1, cells))
    outputs, unchanged, real = (found["Frechet distance"][who][0] for who in ("outputs", "unchanged", "real"))
    assert outputs == pytest.approx(real, abs=0.4 * unchanged)
    assert unchanged > 2 * outputs
    assert abs(real) > 1e-3  # other faces than those of the reference
    mean, low, high = found["Frechet distance"]["outputs"]
    assert low <= mean <= high


def test_domains_of_different_groups_are_compared_at_one_distribution():
    """All faces of cell 0 are black, those of cell 7 white; the inputs have more of cell 0, the targets fewer."""
    inputs, targets = faces(0, [0] * 120 + [7] * 80, black=120), faces(0, [0] * 40 + [7] * 160, black=40)
    dark = realism(inputs, inputs, targets)["dark pixels beside the face"]
    assert dark["outputs"] == dark["unchanged"] == dark["real"]
    assert dark["real"][0] == pytest.approx((0.6 + 0.2) / 2, abs=0.1)


def translation(direction, inputs, outputs, targets):
    return types.SimpleNamespace(direction=direction, outputs=outputs, inputs=types.SimpleNamespace(pixels=inputs),
                                 targets=types.SimpleNamespace(pixels=targets))


def test_outputs_are_compared_with_real_young_and_real_old_faces():
    young, old = (np.concatenate([wave(48, a, n=20) for a in amplitudes]) for amplitudes in ((10, 30), (20, 60)))
    key = "power, 32 to 64 cycles a face"
    aged = metrics.powers(translation(Direction.AGE, young, old, old))[key]
    made_young = metrics.powers(translation(Direction.REJUVENATE, old, young, young))[key]
    assert aged["real"][0] > 2  # of the sharp halves, with amplitudes 60 and 30
    for found, outputs, unchanged in ((aged, aged["real"][0], 1), (made_young, 1, aged["real"][0])):
        assert found["outputs"][0] == pytest.approx(outputs, rel=0.15)
        assert found["unchanged"][0] == pytest.approx(unchanged, rel=0.15)
        for estimate, low, high in found.values():
            assert low <= estimate <= high


def test_blurred_faces_are_left_out():
    sharp = wave(48, 20)
    blurred = np.stack([cv2.GaussianBlur(face, (0, 0), 3) for face in sharp])
    mixed = np.concatenate([sharp, blurred])
    found = metrics.powers(translation(Direction.AGE, mixed, mixed, sharp))["power, 32 to 64 cycles a face"]
    assert found["real"][0] == pytest.approx(1, abs=0.1)  # the sharp half of the inputs is as sharp as the targets
