"""The command line that ages photos: outputs, options, exit codes, damaged files."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, Stub, help_of, python
from PIL import ExifTags, Image

import infer_faces
from ageing.errors import UserError
from ageing.faces import detector, translator
from ageing.photos.metadata import EDITED_MARK, is_marked


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with a part of the astronaut's photo as JPEG and PNG; generators are stubs that lighten by 40.

    At 300 x 300 pixels the detector runs once, on the whole photo.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(translator, "Translator", lambda path: Stub(40))
    Image.open(ROOT / "samples/astronaut.jpg").crop((70, 0, 370, 300)).save("photo.jpg", quality=95)
    Image.open("photo.jpg").save("photo.png")
    Image.new("RGB", (80, 60), "grey").save("nobody.png")
    return tmp_path


def run(*arguments):
    return infer_faces.main([str(a) for a in arguments])


def pixels(path):
    return np.asarray(Image.open(path)).astype(int)


def test_writes_beside_the_photo_and_changes_only_the_face(place, capsys):
    assert run("photo.png") == 0
    assert "photo.png: 1 face made older (50s) -> photo_50s.png" in capsys.readouterr().out
    change = pixels("photo_50s.png") - pixels("photo.png")
    assert change[110, 150].tolist() == [min(40, 255 - v) for v in pixels("photo.png")[110, 150]]
    assert not change[:, :80].any()
    assert not change[200:].any()


def test_strength_zero_is_exact(place):
    assert run("photo.png", "--strength", 0) == 0
    np.testing.assert_array_equal(pixels("photo_50s_0.png"), pixels("photo.png"))


def test_turned_by_exif_gives_the_turned_result(place):
    tags = Image.Exif()
    tags[ExifTags.Base.Orientation] = 6
    Image.open("photo.png").rotate(90, expand=True).save("turned.png", exif=tags)
    assert run("photo.png", "turned.png") == 0
    np.testing.assert_array_equal(pixels("turned_50s.png"), pixels("photo_50s.png"))


def test_nothing_is_overwritten_without_force(place, capsys):
    original = (place / "photo.jpg").read_bytes()
    assert run("photo.jpg") == 0
    made = (place / "photo_50s.jpg").read_bytes()
    assert run("photo.jpg") == run("photo.png", "--strength", 0.2, "-o", "photo_50s.jpg") == 1
    assert capsys.readouterr().err.count("photo_50s.jpg: exists already; overwrite it with --force") == 2
    assert (place / "photo_50s.jpg").read_bytes() == made
    assert run("photo.png", "--strength", 0.2, "-o", "photo_50s.jpg", "--force") == 0
    assert (place / "photo_50s.jpg").read_bytes() != made
    assert run("photo.jpg", "-o", "photo.jpg", "--force") == 1
    assert "never overwritten" in capsys.readouterr().err
    assert (place / "photo.jpg").read_bytes() == original
    assert not list(place.glob(".writing*"))


def test_what_is_made_of_a_private_photo_is_private(place):
    (place / "photo.jpg").chmod(0o600)
    assert run("photo.jpg", "photo.png", "--compare", "--gif", "-o", "out") == 0
    made = sorted((place / "out").iterdir())
    assert len(made) == 6
    assert all(bool(path.stat().st_mode & 0o077) == ("png" in path.name) for path in made)
    for photo, private in (("photo.jpg", True), ("photo.png", False)):
        assert run(photo, "-o", f"{photo}s", "--json", f"{photo}.json") == 0
        assert bool((place / f"{photo}.json").stat().st_mode & 0o077) != private


def test_no_photo_is_overwritten_even_with_force(place, capsys):
    shutil.copy("photo.jpg", "photo_50s.jpg")
    made = original = (place / "photo.jpg").read_bytes()
    assert run("photo.jpg", "photo_50s.jpg", "--force") == 1  # an output of the first would be the second
    assert "photo_50s.jpg: is one of the photos" in capsys.readouterr().err
    with pytest.raises(UserError, match=r"photo.jpg: is one of the photos"):
        run("photo.jpg", "-o", "out", "--json", "photo.jpg", "--force")
    assert (place / "photo_50s.jpg").read_bytes() == made
    assert (place / "photo.jpg").read_bytes() == original


def test_report_on_stdout_is_json_alone(place, capsys):
    (place / "broken.png").write_bytes(b"no")
    assert run("photo.jpg", "broken.png", "--json", "-") == 1
    good, bad = json.loads(capsys.readouterr().out)
    assert good["outputs"] == ["photo_50s.jpg"]
    assert {"read", "detect", "align", "translate"} < good["seconds"].keys()
    face, = good["faces"]
    assert face.keys() == {"box", "turn", "confidence", "aligned", "edited"}
    assert (face["turn"], face["aligned"], face["edited"]) == (0, True, True)
    assert bad["error"] == "broken.png: not an image that can be read here"


def test_everything_at_once(place, monkeypatch):
    monkeypatch.setattr(translator, "Translator",
                        lambda path: Stub(40) if path.name == "g_AB.onnx" else Stub(-40, "20s"))
    shutil.copy(ROOT / "samples/astronaut.jpg", "photo.jpg")
    assert run("photo.jpg", "--direction", "both", "--compare", "--draw-boxes", "--json", "report.json",
               "-o", "out") == 0
    report, = json.loads((place / "report.json").read_text())
    assert {p.name for p in (place / "out").iterdir()} == {
        "photo_faces.jpg", "photo_20s-50s_compare.jpg", "photo_50s.jpg", "photo_20s.jpg"}
    assert sorted(report["outputs"]) == sorted(str(p.relative_to(place)) for p in (place / "out").iterdir())
    for path in (place / "out").iterdir():
        with Image.open(path) as image:
            assert EDITED_MARK in image.getexif()[ExifTags.Base.Software]
    with Image.open("out/photo_20s-50s_compare.jpg") as sheet:  # cut to head and shoulders, and enlarged
        assert 360 < sheet.height < 420
        assert 360 < sheet.width / 3 < 480
    assert pixels("out/photo_20s.jpg")[110, 220].mean() < pixels("out/photo_50s.jpg")[110, 220].mean() - 60


def test_a_tree_of_odd_names_twice(place, capsys):
    """A whole tree, its names as bad as names get; then again."""
    folders = ("", "trip [2020]", "trip [2020]/ünï çødé 猫", "line\nbreak", " spaces  here ")
    for folder in folders:
        (place / "in" / folder).mkdir(parents=True)
        shutil.copy("photo.jpg", place / "in" / folder / "-x [1].jpg")
    shutil.copy("nobody.png", place / "in/trip [2020]/nobody.png")
    shutil.copy("photo.jpg", place / "in/.hidden.jpg")
    (place / "in/trip [2020]/bad\nname.jpg").write_text("no")
    for name in ("notes.txt", "trip [2020]/film.pdf"):
        (place / "in" / name).write_text("no photo")
    assert run("-r", "in", "-o", "out") == 1
    out, err = capsys.readouterr()
    assert out.splitlines()[-1] == (
        "7 photos: 5 edited (5 faces), 1 without a face to edit, 1 error; skipped: 1 .pdf, 1 .txt")
    assert r"in/line\nbreak/-x [1].jpg: 1 face made older (50s) -> out/line\nbreak/-x [1]_50s.jpg" in out.splitlines()
    assert [line for line in err.splitlines() if line.startswith("error")] == [
        r"error: in/trip [2020]/bad\nname.jpg: not an image that can be read here"]
    outputs = [place / "out" / folder / "-x [1]_50s.jpg" for folder in folders]
    assert sorted(path for path in (place / "out").rglob("*") if path.is_file()) == sorted(outputs)

    (place / "in/trip [2020]/bad\nname.jpg").unlink()
    outputs[2].unlink()
    times = [path.stat().st_mtime_ns for path in outputs if path.exists()]
    assert run("-r", "in", "-o", "out") == 0
    assert capsys.readouterr().out.splitlines()[-1] == (
        "2 photos: 1 edited (1 face), 1 without a face to edit; 4 done before; skipped: 1 .pdf, 1 .txt")
    assert outputs[2].exists()
    assert times == [path.stat().st_mtime_ns for path in outputs if path != outputs[2]]


def test_a_folder_that_cannot_be_read_is_an_error_and_the_others_are_done(place, capsys, monkeypatch):
    (place / "in/locked").mkdir(parents=True)
    shutil.copy("photo.jpg", "in/a.jpg")
    scan = os.scandir

    def refuse(folder):
        if Path(folder).name == "locked":
            raise PermissionError(13, "Permission denied", str(folder))
        return scan(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    assert run("-r", "in") == 1
    out, err = capsys.readouterr()
    assert err == "error: in/locked: cannot be read (Permission denied)\n"
    assert "in/a.jpg: 1 face made older (50s) -> in/a_50s.jpg" in out


def test_a_second_run_does_what_is_missing_and_continues_the_report(place, capsys):
    (place / "in").mkdir()
    shutil.copy("photo.jpg", "in/a.jpg")
    assert run("in", "--json", "report.json") == 0
    first, = json.loads((place / "report.json").read_text())
    assert run("in") == run("in/*.jpg") == 0
    assert capsys.readouterr().out.count("in/a.jpg: done before, see in/a_50s.jpg") == 2
    assert run("in/a.jpg") == 1     # named itself
    assert "in/a_50s.jpg: exists already; overwrite it with --force" in capsys.readouterr().err
    shutil.copy("photo.jpg", "in/b.jpg")
    assert run("in", "--json", "report.json") == 0
    again, added = json.loads((place / "report.json").read_text())
    assert again == first | {"done before": True}
    assert added["outputs"] == ["in/b_50s.jpg"]
    with pytest.raises(UserError, match="report.json: exists already"):
        run("photo.jpg", "--json", "report.json")
    assert not (place / "photo_50s.jpg").exists()


def test_a_pattern_that_the_shell_writes_out_twice(place, capsys):
    """`infer_faces.py *.jpg --compare`, again and again: outputs are never aged."""
    shutil.copy("photo.jpg", "other.jpg")
    for _ in range(2):
        assert run(*sorted(place.glob("*.jpg")), "--compare") == 0
    assert "photo.jpg: done before" in capsys.readouterr().out
    assert {path.name for path in place.glob("*.jpg")} == {
        f"{name}{end}.jpg" for name in ("photo", "other") for end in ("", "_50s", "_50s_compare")}


def test_a_photo_whose_outputs_would_have_too_long_names(place, capsys):
    (place / "in").mkdir()
    for name in ("in/" + "x" * 249 + ".jpg", "in/a.jpg"):
        shutil.copy("photo.jpg", place / name)
    assert run("in") == 1
    told, errors = capsys.readouterr()
    assert "1 edited" in told
    assert errors.endswith("_50s.jpg: File name too long; choose a shorter one with -o, or rename the photo\n")


def test_a_turned_face_is_aged_and_its_turn_is_reported(place):
    Image.open("photo.png").rotate(-90, expand=True).save("side.png")
    assert run("side.png", "--json", "report.json") == 0
    face, = json.loads((place / "report.json").read_text())[0]["faces"]
    assert face["turn"] == 90
    change = np.abs(pixels("side_50s.png") - pixels("side.png"))
    assert change[150, 190].min() > 20  # the face, which was at row 110
    assert not change[:, :100].any()


class Told(Stub):
    """Adds the age that it is told, in grey levels."""

    ages = 45, 85

    def told(self, age):
        return Told(age)


def make_told(monkeypatch):
    monkeypatch.setattr(translator, "Translator",
                        lambda path: Told(55) if path.name == "g_AB.onnx" else Stub(-30, "20s"))


def test_ages(place, monkeypatch, capsys):
    make_told(monkeypatch)
    assert run("--compare", "--age", 70, 30, 50, "photo.png") == 0     # in any order, before the photo
    for age, grey in ((70, 70), (50, 50), (30, -20)):
        found = pixels(f"photo_{age}.png")[110, 150] - pixels("photo.png")[110, 150]
        assert found.tolist() == [min(grey, 255 - v) for v in pixels("photo.png")[110, 150]]
    with Image.open("photo_30-50-70_compare.jpg") as sheet:
        assert 4 * 360 < sheet.width < 4 * 480
    assert run("photo.png", "--age", 70) == 1
    assert "photo_70.png: exists already" in capsys.readouterr().err
    assert run("photo.png", "--age", 70, 80) == 0   # only what is missing
    assert "1 face made about 80 years old -> photo_80.png\n" in capsys.readouterr().out


def test_ages_that_a_generator_cannot_make(place, monkeypatch):
    def told(self, age):
        raise UserError(f"age {age}: not learned")

    monkeypatch.setattr(Stub, "told", told, raising=False)
    with pytest.raises(UserError, match="age 70: not learned"):
        run("photo.png", "--age", 30, 70)
    assert [path.name for path in place.glob("photo_*")] == []
    assert run("photo.png", "--age", 30) == 0


@pytest.mark.parametrize("text", ["infer_faces.py", "README.md", "docs/photos.md"])
def test_examples_typed_one_after_the_other(place, monkeypatch, text):
    """Those that name one photo."""
    make_told(monkeypatch)
    lines = re.findall(r"^ *python infer_faces.py (photo.jpg.*?) (?= |#|->)", (ROOT / text).read_text(), re.MULTILINE)
    assert len(lines) >= 2
    for line in lines:
        assert run(*line.split()) == 0, line


def test_a_folder_again_with_other_settings(place, capsys):
    (place / "in").mkdir()
    for name in ("a.jpg", "b.jpg"):
        shutil.copy("photo.jpg", f"in/{name}")
    assert run("in", "-o", "out") == run("in", "-o", "out", "--strength", 0.5, "--compare") == 0
    assert capsys.readouterr().out.splitlines()[-1] == "2 photos: 2 edited (2 faces)"
    assert {path.name for path in (place / "out").iterdir()} == {
        f"{photo}_50s{what}.jpg" for photo in "ab" for what in ("", "_0.5", "_0.5_compare")}
    assert run("in", "-o", "out", "--draw-boxes") == 0
    assert capsys.readouterr().out.splitlines()[-1] == "2 photos: 2 numbered"


@pytest.mark.parametrize(("options", "made"), [
    ("--gif", {"ages.webp"}), ("--gif gif", {"ages.gif"}), ("--draw-boxes", {"faces.jpg"}),
    ("--gif --draw-boxes --strength 0.5", {"ages_0.5.webp", "faces.jpg"}),
    ("--draw-boxes --face 1", {"50s_face1.png", "faces.jpg"}), ("--gif --age 30", {"30.png", "ages.webp"}),
    ("--draw-boxes --compare", {"50s.png", "50s_compare.jpg", "faces.jpg"})])
def test_sheets_alone_edit_no_photo(place, options, made):
    assert run(*options.split(), "photo.png") == 0
    assert {path.name for path in place.glob("photo_*")} == {f"photo_{name}" for name in made}


@pytest.mark.parametrize(("options", "told"), [
    ("--years -10", "--age 70 makes"), ("--target-age 70", "--age 70 makes"), ("--target_age=70", "--age 70 makes"),
    ("-10", "-10: no such file; --age 25"), ("70", "70: no such file; --age 70"), ("--age -10", "whole years"),
    ("--age 86", "86: ages are whole years from 20 to 85"), ("--age 70.5", "whole years"), ("--age old", "--age 70"),
    ("--strength -1", "--direction rejuvenate"), ("--steps 6", "--age 30 50 70 --compare"), ("-i a.jpg", "name photos"),
    ("--image a.jpg", "name photos"), ("--output-dir out", "-o names"), ("--age 30 --direction age", "without --dir"),
    ("--what", "unrecognized arguments: --what\n")])
def test_options_that_people_try(options, told, capsys):
    with pytest.raises(SystemExit) as ended:
        run("photo.jpg", *options.split())
    assert ended.value.code == 2
    assert told in capsys.readouterr().err.split("error: ")[1]


def test_exit_codes(place, capsys):
    assert run("nobody.png") == infer_faces.NO_FACE
    assert "nobody.png: no face found, nothing written" in capsys.readouterr().out
    assert not (place / "nobody_50s.png").exists()
    assert run("nobody.png", "photo.jpg") == 0
    (place / "broken.jpg").write_bytes((place / "photo.jpg").read_bytes()[:3000])
    assert run("broken.jpg", "photo.png") == 1  # and the good one is done
    assert "broken.jpg: a damaged image" in capsys.readouterr().err
    assert (place / "photo_50s.png").exists()
    with pytest.raises(UserError, match=r"missing.jpg: no such file; nothing\*.jpg: matches no file"):
        run("photo.jpg", "missing.jpg", "nothing*.jpg", "--force")
    with pytest.raises(UserError, match="one file cannot take several"):
        run("photo.jpg", "photo.png", "-o", "out.jpg")


def test_face_1_is_the_largest(place):
    group = Image.new("RGB", (300, 300), "grey")
    photo = Image.open("photo.png")
    group.paste(photo.resize((110, 110)).crop((10, 0, 90, 110)), (0, 100))
    group.paste(photo.resize((200, 200)), (100, 50))
    group.save("group.png")
    assert run("group.png", "--face", 1, "--json", "report.json") == 0
    report, = json.loads((place / "report.json").read_text())
    assert [f["edited"] for f in report["faces"]] == [True, False]
    change = np.abs(pixels("group_50s_face1.png") - pixels("group.png"))
    assert change[:, 110:].any()
    assert not change[:, :100].any()


def test_a_hundred_damaged_files_end_without_a_traceback(place, capsys, monkeypatch):
    box = detector.Face((30, 20, 120, 140), 1.0)
    monkeypatch.setattr(detector.Detector, "find", lambda self, photo: [box])  # searching them takes seconds
    rng = np.random.default_rng(1)
    small = Image.open("photo.png").crop((50, 20, 270, 240))
    small.save("seed.jpg")
    small.convert("P").save("seed.png")
    (place / "damaged").mkdir()
    for i in range(100):
        source = place / ("seed.jpg" if i % 2 else "seed.png")
        data = bytearray(source.read_bytes())
        for _ in range(int(rng.integers(1, 20))):
            data[rng.integers(len(data))] = rng.integers(256)
        if i % 5 == 0:
            del data[rng.integers(10, len(data)):]
        (place / f"damaged/{i:03}{source.suffix}").write_bytes(data)
    assert run("damaged", "-o", "out") in (0, 1)
    err = capsys.readouterr().err
    errors = [line for line in err.splitlines() if line.startswith("error:")]
    assert 10 < len(errors) < 100
    assert all("damaged/" in line for line in errors)
    assert "Traceback" not in err


def test_help_is_instant_and_shows_examples():
    out = help_of("infer_faces.py")
    assert "python infer_faces.py photo.jpg" in out


def test_the_lines_of_python_in_the_readme(tmp_path):
    shutil.copy(ROOT / "samples/astronaut.jpg", tmp_path / "photo.jpg")
    lines, = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert len(re.findall(r"^\w", lines, re.MULTILINE)) == 5
    command, settings = python("-c", lines, cwd=tmp_path)
    done = subprocess.run(command, capture_output=True, check=False, **settings)
    assert (done.returncode, done.stderr) == (0, "")
    change = np.abs(pixels(tmp_path / "older.jpg") - pixels(tmp_path / "photo.jpg"))
    assert change[60:170, 180:270].mean() > 2   # the face
    assert is_marked(tmp_path / "older.jpg")


def test_shipped_generators_age_the_astronaut(tmp_path):
    """As a user does it: in its own process, from another working folder."""
    shutil.copy(ROOT / "samples/astronaut.jpg", tmp_path)
    command, settings = python(ROOT / "infer_faces.py", "astronaut.jpg", "--direction", "both", cwd=tmp_path)
    done = subprocess.run(command, capture_output=True, check=False, **settings)
    assert done.returncode == 0, done.stderr
    for made in ("astronaut_50s.jpg", "astronaut_20s.jpg"):
        change = np.abs(pixels(tmp_path / made) - pixels(tmp_path / "astronaut.jpg"))
        assert change[60:170, 180:270].mean() > 2  # the face
        assert change[260:].mean() < 1             # a JPEG written twice with its own tables


