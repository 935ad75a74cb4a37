"""The command line that ages photos: outputs, options, exit codes, damaged files."""

import json
import shutil
import subprocess
import time

import numpy as np
import pytest
from conftest import ROOT, Stub, python
from PIL import ExifTags, Image

import faces
import infer_faces
import photos
import translator
from files import UserError


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with the astronaut's photo as JPEG and PNG; generators are stubs that lighten by 40."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(translator, "Translator", lambda path: Stub(40))
    shutil.copy(ROOT / "samples/astronaut.jpg", tmp_path / "photo.jpg")
    Image.open("photo.jpg").save("photo.png")
    Image.new("RGB", (80, 60), "grey").save("nobody.png")
    return tmp_path


def run(*arguments):
    return infer_faces.main([str(a) for a in arguments])


def pixels(path):
    return np.asarray(Image.open(path)).astype(int)


def test_writes_beside_the_photo_and_changes_only_the_face(place, capsys):
    assert run("photo.png") == 0
    assert "photo.png: 1 of 1 face -> photo_50s.png" in capsys.readouterr().out
    change = pixels("photo_50s.png") - pixels("photo.png")
    assert change[110, 220].tolist() == [min(40, 255 - v) for v in pixels("photo.png")[110, 220]]
    assert not change[:, :150].any()
    assert not change[250:].any()


def test_strength_zero_is_exact(place):
    assert run("photo.png", "--strength", 0) == 0
    np.testing.assert_array_equal(pixels("photo_50s.png"), pixels("photo.png"))


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
    assert run("photo.jpg", "--strength", 0.2) == 1
    assert "photo_50s.jpg: exists already; overwrite it with --force" in capsys.readouterr().err
    assert (place / "photo_50s.jpg").read_bytes() == made
    assert run("photo.jpg", "--strength", 0.2, "--force") == 0
    assert (place / "photo_50s.jpg").read_bytes() != made
    assert run("photo.jpg", "-o", "photo.jpg", "--force") == 1
    assert "never overwritten" in capsys.readouterr().err
    assert (place / "photo.jpg").read_bytes() == original
    assert not list(place.glob(".writing*"))


def test_no_photo_is_overwritten_even_with_force(place, capsys):
    assert run("photo.jpg") == 0
    made = (place / "photo_50s.jpg").read_bytes()
    original = (place / "photo.jpg").read_bytes()
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
    assert bad["error"] == "broken.png: not an image that can be read here"


def test_an_existing_report_is_refused_before_any_work(place):
    (place / "report.json").write_text("mine")
    with pytest.raises(UserError, match="report.json: exists already"):
        run("photo.jpg", "--json", "report.json")
    assert not (place / "photo_50s.jpg").exists()


def test_any_other_error_stops_its_photo_only(place, capsys, monkeypatch):
    import faces

    find = faces.Detector.find
    monkeypatch.setattr(faces.Detector, "find", lambda self, p: 1 / 0 if p.shape[0] == 60 else find(self, p))
    assert run("nobody.png", "photo.jpg") == 1
    assert "nobody.png: ZeroDivisionError" in capsys.readouterr().err
    assert (place / "photo_50s.jpg").exists()


def test_everything_at_once(place, monkeypatch):
    made = {"g_AB.onnx": "50s", "g_BA.onnx": "20s"}

    def stub(path):
        generator = Stub(40 if path.name == "g_AB.onnx" else -40)
        generator.title = made[path.name]
        return generator

    monkeypatch.setattr(translator, "Translator", stub)
    assert run("photo.jpg", "--direction", "both", "--compare", "--steps", 4, "--draw-boxes", "--json", "report.json",
               "-o", "out") == 0
    report, = json.loads((place / "report.json").read_text())
    assert {p.name for p in (place / "out").iterdir()} == {
        "photo_faces.jpg", "photo_compare.jpg",
        *(f"photo_{d}{what}.jpg" for d in ("50s", "20s") for what in ("", "_steps"))}
    assert sorted(report["outputs"]) == sorted(str(p.relative_to(place)) for p in (place / "out").iterdir())
    for path in (place / "out").iterdir():
        with Image.open(path) as image:
            assert photos.MARK in image.getexif()[ExifTags.Base.Software]
    square = faces.Face(tuple(report["faces"][0]["box"]), 1.0).square
    rows, columns = faces.around((report["height"], report["width"]), [faces.Change(square, None)])
    assert rows.stop - rows.start < report["height"] * 0.8
    with Image.open("out/photo_compare.jpg") as sheet:  # cut to the face, and enlarged
        width = 360 * (columns.stop - columns.start) / (rows.stop - rows.start)
        assert sheet.width / 3 == pytest.approx(width, rel=0.03)
    assert pixels("out/photo_20s.jpg")[110, 220].mean() < pixels("out/photo_50s.jpg")[110, 220].mean() - 60


def test_folders_patterns_and_what_was_made_before(place):
    (place / "in").mkdir()
    for name in ("a.jpg", "b.jpg"):
        shutil.copy("photo.jpg", place / "in" / name)
    (place / "in/._a.jpg").write_text("what macOS leaves")
    (place / "in/notes.txt").write_text("no photo")
    assert run("in") == 0
    assert run("in", "--force") == 0  # the outputs are not photos to age
    assert {p.name for p in (place / "in").iterdir()} == {
        "a.jpg", "b.jpg", "._a.jpg", "notes.txt", "a_50s.jpg", "b_50s.jpg"}
    assert run("in/?.jpg", "-o", "other") == 0
    assert {p.name for p in (place / "other").iterdir()} == {"a_50s.jpg", "b_50s.jpg"}


def test_two_photos_of_a_name_do_not_overwrite_each_other(place, capsys):
    (place / "x").mkdir()
    shutil.copy("photo.jpg", place / "x/photo.jpg")
    assert run("photo.jpg", "x/photo.jpg", "-o", "out", "--force") == 1
    assert "was just written for another photo" in capsys.readouterr().err


def test_exit_codes(place, capsys):
    assert run("nobody.png") == infer_faces.NO_FACE
    assert "nobody.png: no face found, nothing written" in capsys.readouterr().out
    assert not (place / "nobody_50s.png").exists()
    assert run("nobody.png", "photo.jpg") == 0
    (place / "broken.jpg").write_bytes((place / "photo.jpg").read_bytes()[:3000])
    assert run("broken.jpg", "photo.png", "missing.jpg") == 1  # and the good one is done
    err = capsys.readouterr().err
    assert "broken.jpg: a damaged image" in err
    assert "missing.jpg: no such file" in err
    assert (place / "photo_50s.png").exists()
    with pytest.raises(UserError, match="no photos there"):
        run("nothing*.jpg")
    with pytest.raises(UserError, match="one file cannot take several"):
        run("photo.jpg", "photo.png", "-o", "out.jpg")


@pytest.fixture
def group(place):
    """Two faces: the astronaut twice, the second smaller."""
    sheet = Image.new("RGB", (900, 512), "grey")
    photo = Image.open("photo.png")
    sheet.paste(photo, (0, 0))
    sheet.paste(photo.resize((360, 360)), (530, 60))
    sheet.save("group.png")
    return place


@pytest.mark.parametrize(("which", "edited"), [("all", [True, True]), ("largest", [True, False]), ("2", [False, True])])
def test_faces_are_chosen(group, which, edited):
    assert run("group.png", "--face", which, "--json", "report.json") == 0
    report, = json.loads((group / "report.json").read_text())
    assert [f["edited"] for f in report["faces"]] == edited
    assert report["faces"][0]["box"][3] - report["faces"][0]["box"][1] > 100
    assert 0.8 < report["faces"][1]["confidence"] <= 1
    assert {"read", "detect", "translate"} < report["seconds"].keys()
    change = np.abs(pixels("group_50s.png") - pixels("group.png"))
    assert [change[:, :500].any(), change[:, 500:].any()] == edited


def test_a_number_that_no_face_has(group, capsys):
    assert run("group.png", "--face", 3) == 1
    assert "--face 3, but 2 found; see --draw-boxes" in capsys.readouterr().err


def test_a_hundred_damaged_files_end_without_a_traceback(place, capsys):
    rng = np.random.default_rng(1)
    small = Image.open("photo.png").crop((120, 20, 340, 240))
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


@pytest.mark.parametrize("arguments", ["", "a.jpg --strength 2", "a.jpg --face 0", "a.jpg --confidence 7",
                                       "a.jpg --steps 1", "a.jpg --strength much"])
def test_wrong_arguments_exit_with_2(arguments):
    with pytest.raises(SystemExit) as stop:
        infer_faces.parse_arguments(arguments.split())
    assert stop.value.code == 2


def test_help_is_instant_and_shows_examples():
    command, settings = python(ROOT / "infer_faces.py", "--help")
    begin = time.perf_counter()
    out = subprocess.run(command, capture_output=True, check=True, **settings).stdout
    assert time.perf_counter() - begin < 1
    assert "python infer_faces.py photo.jpg" in out


@pytest.mark.parametrize(("direction", "made"), [("age", "50s"), ("rejuvenate", "20s")])
def test_shipped_generators_age_the_astronaut(tmp_path, direction, made):
    """As a user does it: a process of its own."""
    shutil.copy(ROOT / "samples/astronaut.jpg", tmp_path)
    command, settings = python(ROOT / "infer_faces.py", "astronaut.jpg", "--direction", direction, cwd=tmp_path)
    done = subprocess.run(command, capture_output=True, check=False, **settings)
    assert done.returncode == 0, done.stderr
    before, after = (photos.read(tmp_path / name) for name in ("astronaut.jpg", f"astronaut_{made}.jpg"))
    change = np.abs(after.rgb.astype(int) - before.rgb)
    assert change[60:170, 180:270].mean() > 2  # the face
    assert change[260:].mean() < 1             # a JPEG written twice with its own tables
