"""The whole command on drawn faces, with judges that know the answers; with the real ones where they are installed."""

import json
from pathlib import Path

import pytest
from conftest import ROOT
from evaluation.oracle import Lighter, Oracle, Told, need_judges
from PIL import Image

import evaluate
from ageing.errors import UserError
from ageing.evaluation import comparison, formulas, gallery, judges, metrics


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(judges, "Judges", Oracle)
    monkeypatch.setattr(formulas, "RESAMPLES", 50)
    monkeypatch.setattr(metrics, "HALVINGS", 2)
    monkeypatch.setattr(gallery, "SHOWN", 2)
    return tmp_path


@pytest.fixture
def lighter(monkeypatch):
    """A generator that ages by 10 and one that rejuvenates by 10, from any folder."""
    monkeypatch.setattr(comparison, "Translator",
                        lambda path, mirror: Lighter(10 if path.name == "g_AB.onnx" else -10))


def run(drawn, *arguments):
    assert evaluate.main(["--data", str(drawn / "train"), *map(str, arguments)]) == 0
    return json.loads(Path("evaluation/report.json").read_text())


def test_a_pair_and_the_baseline_are_measured_and_shown(place, drawn, lighter, capsys):
    rows = run(drawn, "--weights", "runs/some", "--baseline", "--faces", 12)
    assert list(rows) == ["runs/some", "unchanged"]
    for direction in ("age", "rejuvenate"):
        assert rows["runs/some"][direction]["age gain, years"][0] == pytest.approx(10, abs=0.6)
        assert rows["unchanged"][direction]["age gain, years"] == [0, 0, 0]
        assert rows["runs/some"][direction]["faces"] == rows["unchanged"][direction]["faces"] == 12
        assert {title for title, *_ in metrics.METRICS + metrics.BESIDE_REAL + metrics.NATURAL} <= set(
            rows["runs/some"][direction])
    text = (place / "evaluation/report.md").read_text()
    table = text[text.index("| "):text.index("\n\n## runs/some: age\n")]
    assert table in capsys.readouterr().out
    assert "| faces | 12 | 12 | 12 | 12 |" in table
    assert "![random](runs_some_age_random.png)" in text
    made = {p.name for p in (place / "evaluation").iterdir()}
    assert {"report.md", "report.json", "runs_some_age_random.png", "runs_some_rejuvenate_most_stains.png",
            "unchanged_age_smallest_age_gain.png"} <= made


def test_the_shipped_generators_are_the_default_in_any_folder(place, drawn, monkeypatch):
    asked = []
    monkeypatch.setattr(comparison, "Translator", lambda path, mirror: asked.append(path) or Lighter(0))
    assert list(run(drawn, "--faces", 8)) == ["saved_models"]
    assert asked == [ROOT / "saved_models/g_AB.onnx", ROOT / "saved_models/g_BA.onnx"]
    assert all(path.is_file() for path in asked)


def test_a_card_gets_its_numbers_and_keeps_the_rest(place, drawn, lighter):
    with pytest.raises(UserError, match=r"some/card.md: cannot be read .*train.py --export"):
        run(drawn, "--weights", "some", "--faces", 8, "--card")
    assert not (place / "evaluation").exists()
    (place / "some").mkdir()
    card = place / "some/card.md"
    card.write_text("# Some\n\nText.\n\n## Recipe\n\nseed: 1\n")
    run(drawn, "--weights", "some", "--faces", 8, "--card")
    before, measured = card.read_text().split("## Measured\n")
    assert before == "# Some\n\nText.\n\n"
    assert f"on up to 8 faces per domain of {drawn / 'train'}; 95 % confidence intervals." in measured
    assert "| faces | 8 | 8 |" in measured
    assert measured.endswith("\n\n## Recipe\n\nseed: 1\n")


def test_photos_are_measured_with_the_self_ensemble_or_without(place, drawn, monkeypatch, capsys):
    (place / "photos").mkdir()
    Image.open(ROOT / "samples/astronaut.jpg").save(place / "photos/astronaut.png")
    monkeypatch.setattr(comparison, "Translator", lambda path, mirror: Lighter(20 * mirror))
    numbers = run(drawn, "--photos", "photos")["saved_models"]["age"]
    assert numbers["groups"]["all faces"]["age gain, years"][0] > 10  # with it, as infer_faces.py does
    text = (place / "evaluation/report.md").read_text()
    assert "|  | age | rejuvenate |" in text
    assert "|  | age | rejuvenate |" in capsys.readouterr().out
    assert "| saved_models | age | astronaut.png | 1 | 1 | 1 | 0 | 0 | " in text
    assert evaluate.main(["--photos", "photos", "--data", "nowhere", "--no-self-ensemble", "--force"]) == 0
    everybody = json.loads((place / "evaluation/report.json").read_text())["saved_models"]["age"]["groups"]["all faces"]
    assert everybody["age gain, years"][0] == 0


def test_an_age_without_real_faces_is_told_and_measured(place, drawn, monkeypatch, capsys):
    monkeypatch.setattr(comparison, "Translator",
                        lambda path, mirror: Told() if path.name == "g_AB.onnx" else Lighter(-9))
    row = run(drawn, "--faces", 8)["saved_models"]
    assert list(row) == ["told 45", "told 55", "told 65", "rejuvenate"]
    assert row["told 45"]["estimated age, target domain"] is None
    assert row["told 55"]["estimated age, target domain"] == row["rejuvenate"]["estimated age, inputs"]
    out = capsys.readouterr().out
    assert f"{drawn / 'train/60s'}: no 8 faces there; what is told this age has no real faces beside it" in out
    assert "/50s: no" not in out
    assert (place / "evaluation/saved_models_told_65_random.png").is_file()


def test_what_is_missing_is_one_line(place):
    with pytest.raises(UserError, match=r"data/utkface/validation/20s: no such folder"):
        evaluate.main(["--weights", "--baseline"])
    with pytest.raises(UserError, match=r"g_AB.onnx: no such file"):
        evaluate.main(["--weights", "nowhere"])
    with pytest.raises(UserError, match="nothing to evaluate"):
        evaluate.main(["--weights"])
    with pytest.raises(UserError, match="none: no such folder"):
        evaluate.main(["--photos", "none", "--weights", "--baseline"])


def test_an_existing_report_stays(place):
    (place / "evaluation").mkdir()
    (place / "evaluation/report.md").write_text("mine")
    with pytest.raises(UserError, match="report.md: exists already"):
        evaluate.main(["--weights", "--baseline"])
    assert (place / "evaluation/report.md").read_text() == "mine"


def test_real_judges_see_no_change_in_unchanged_faces(drawn, tmp_path, monkeypatch):
    need_judges()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(formulas, "RESAMPLES", 50)
    monkeypatch.setattr(metrics, "HALVINGS", 2)
    for numbers in run(drawn, "--weights", "--baseline", "--faces", 8)["unchanged"].values():
        assert numbers["age gain, years"] == numbers["identity distance"] == [0, 0, 0]
        assert numbers["identity distance, different people"][0] > 0
        assert numbers["Frechet distance"]["outputs"] == numbers["Frechet distance"]["unchanged"]


def test_real_judges_see_the_astronaut_aged_by_the_shipped_generators(tmp_path, monkeypatch):
    need_judges()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(formulas, "RESAMPLES", 50)
    Path("photos").mkdir()
    Image.open(ROOT / "samples/astronaut.jpg").save("photos/astronaut.png")
    assert evaluate.main(["--photos", "photos"]) == 0
    directions = json.loads(Path("evaluation/report.json").read_text())["saved_models"]
    aged = directions["age"]["groups"]["all faces"]
    assert aged["faces"] == 1
    assert min(aged["age gain, years"][0], aged["age gain, years, second judge"][0]) > 5
    assert aged["verified as the same person"][0] == 1
    for direction in directions.values():
        totals = direction["totals"]
        assert (totals["found"], totals["aligned"], totals["judged"], totals["missed"]) == (1, 1, 1, 0)
