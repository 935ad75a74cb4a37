"""The command line with clips: alone, beside photos, in folders, with options of photos, without PyAV."""

import importlib.util
import json
import os
import shutil
import signal

import numpy as np
import pytest
import sample_clips
from conftest import ROOT, Stub
from PIL import Image

import infer_faces
from ageing.clips import clip_file
from ageing.errors import UserError, run_script
from ageing.faces import translator
from ageing.photos import sources


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with a photo and a clip of four frames."""
    place = tmp_path_factory.mktemp("made")
    Image.open(ROOT / "samples/astronaut.jpg").crop((70, 0, 370, 300)).save(place / "photo.png")
    sample_clips.write_face(place / "clip.mp4", 0.4, 10, sound="aac")
    return place


@pytest.fixture
def place(tmp_path, monkeypatch, made):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(translator, "Translator", lambda path: Stub(40))
    (tmp_path / "in").mkdir()
    for path in made.iterdir():
        shutil.copy(path, tmp_path / "in")
    return tmp_path


@pytest.fixture
def without_pyav(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == "av" else find(name, *more))


def run(*arguments):
    return infer_faces.main([str(a) for a in arguments])


def test_a_name_with_a_colon_is_a_file(place, capsys):
    (place / "in/clip.mp4").rename("2024-05-01T12:30:15.mp4")   # without a folder: how an address begins
    assert run("2024-05-01T12:30:15.mp4", "-o", "http:older.mp4") == 0
    assert clip_file.is_marked("http:older.mp4")
    assert run("2024*.mp4") == run("2024*.mp4") == 0
    assert "done before" in capsys.readouterr().out
    assert sorted(path.name for path in place.glob("*.mp4")) == [
        "2024-05-01T12:30:15.mp4", "2024-05-01T12:30:15_50s.mp4", "http:older.mp4"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143),
                                              (getattr(signal, "SIGHUP", signal.SIGTERM), 129)])
def test_what_ends_a_clip_early_is_the_exit_code(place, monkeypatch, capsys, number, code):
    write, calls = clip_file.Writer.write, []

    def ask(*arguments):
        write(*arguments)
        calls.append(1)
        if len(calls) == 2:
            os.kill(os.getpid(), number)

    monkeypatch.setattr(clip_file.Writer, "write", ask)
    with pytest.raises(SystemExit) as stop:
        run_script(lambda: run("in/clip.mp4", "in/photo.png", "-o", "out", "--json", "report.json"), "x")
    assert stop.value.code == code
    assert capsys.readouterr().err == "interrupted\n"
    assert [report["clip"] for report in json.loads((place / "report.json").read_text())] == ["in/clip.mp4"]
    assert len(list((place / "out").iterdir())) == 1    # all of the clip, or its first part


def test_photos_and_clips_in_one_folder_and_again(place, capsys):
    shutil.copy("in/clip.mp4", "in/other.MOV")
    (place / "in/broken.mkv").write_bytes(b"no")
    (place / "in/notes.txt").write_text("no")
    assert run("in", "-o", "out", "--json", "report.json") == 1
    told, errors = capsys.readouterr()
    assert "in/clip.mp4: 1 face in 4 frames made older (50s) -> out/clip_50s.mp4" in told
    assert told.splitlines()[-1] == "1 photo and 3 clips: 3 edited (3 faces), 1 error; skipped: 1 .txt"
    assert "error: in/broken.mkv: a damaged clip, or none that can be read here" in errors
    assert {path.name for path in (place / "out").iterdir()} == {"photo_50s.png", "clip_50s.mp4", "other_50s.MOV"}
    (place / "in/broken.mkv").unlink()
    (place / "out/other_50s.MOV").unlink()
    assert run("in", "-o", "out", "--json", "report.json") == 0
    assert capsys.readouterr().out.splitlines()[-1] == "1 clip: 1 edited (1 face); 2 done before; skipped: 1 .txt"
    reports = json.loads((place / "report.json").read_text())
    assert [report.get("clip", report.get("photo")) for report in reports] == [
        "in/clip.mp4", "in/other.MOV", "in/photo.png"]
    assert [report["frames"] for report in reports[:2]] == [4, 4]   # of the first run, too
    assert [report.get("done before") for report in reports] == [True, None, True]


def test_outputs_beside_clips_are_no_clips_to_age(place):
    for _ in range(2):
        assert run("in") == run("in/*") == 0
        assert run(*sorted((place / "in").iterdir())) == 0
    assert sorted(os.listdir("in")) == ["clip.mp4", "clip_50s.mp4", "photo.png", "photo_50s.png"]


def test_no_clip_is_overwritten(place, capsys):
    before = (place / "in/clip.mp4").read_bytes()
    assert run("in/clip.mp4", "-o", "in/clip.mp4", "--force") == 1
    assert "in/clip.mp4: is one of the photos, which are never overwritten" in capsys.readouterr().err
    assert run("in/clip.mp4", "-o", "older.mov") == 0
    assert run("in/clip.mp4", "-o", "older.mov") == 1
    assert "older.mov: exists already; overwrite it with --force" in capsys.readouterr().err
    assert (place / "in/clip.mp4").read_bytes() == before
    assert clip_file.is_marked(place / "older.mov")


def test_directions_faces_and_codecs(place, capsys, monkeypatch):
    def stub(path):
        generator = Stub(40 if path.name == "g_AB.onnx" else -40)
        generator.title = "50s" if path.name == "g_AB.onnx" else "20s"
        return generator

    monkeypatch.setattr(translator, "Translator", stub)
    options = "--direction both --strength 0.5 --face largest --codec ffv1 -o o/"
    assert run("in/clip.mp4", *options.split()) == 0
    source, *changed = ([sample_clips.rgb(frame).astype(int) for _, frame in sample_clips.read(path)[0]]
                        for path in ("in/clip.mp4", "o/clip_50s_0.5_largest.mkv", "o/clip_20s_0.5_largest.mkv"))
    older, younger = (np.subtract(one, source)[:, 45:55, 185:200].mean((1, 2, 3)) for one in changed)
    assert (older > 2).all()
    assert (younger < -2).all()
    assert run("in/clip.mp4", "--age", 25, 30) == 0
    assert {path.name for path in (place / "in").glob("clip_*")} == {"clip_25.mp4", "clip_30.mp4"}
    assert run("in/clip.mp4", "--face", 4) == 1
    assert "in/clip.mp4: --face 4, but 1 found" in capsys.readouterr().err


def test_options_of_photos(place):
    for option in ("--compare", "--gif", "--draw-boxes"):
        with pytest.raises(UserError, match="--compare, --gif and --draw-boxes show photos, not clips; leave them"):
            run("in/clip.mp4", option)
    assert run("in", "--compare", "-o", "out") == 0     # for the photo beside it
    assert {path.name for path in (place / "out").iterdir()} == {
        "photo_50s.png", "photo_50s_compare.jpg", "clip_50s.mp4"}
    assert run("in", "--draw-boxes", "-o", "boxes") == 0
    assert os.listdir("boxes") == ["photo_faces.jpg"]
    with pytest.raises(UserError, match="out.png: clips are written as .mp4"):
        run("in/clip.mp4", "-o", "out.png")
    with pytest.raises(UserError, match=".mp4: faces are written as .jpg, .png"):
        run("in/photo.png", "-o", "out.mp4")


def test_large_frames_are_refused(place, capsys):
    assert run("in/clip.mp4", "--max-megapixels", 0.01) == 1
    assert "in/clip.mp4: 384 x 216 pixels a frame; more than 0.01 megapixels are read with" in capsys.readouterr().err


def test_without_pyav_a_clip_is_one_line_and_folders_count_them(place, capsys, without_pyav):
    with pytest.raises(UserError, match="^in/clip.mp4: clips need PyAV: pip install -r requirements-video.txt$"):
        run("in/clip.mp4")
    assert run("in", "-o", "out") == 0
    assert capsys.readouterr().out.splitlines()[-1] == (
        "1 photo: 1 edited (1 face); skipped: 1 .mp4 (clips need PyAV: pip install -r requirements-video.txt)")
    assert os.listdir("out") == ["photo_50s.png"]


def test_the_requirements_file_names_pyav():
    assert "\nav>=" in (ROOT / "requirements-video.txt").read_text()
    assert "requirements-video.txt" in sources.CLIPS_NEED
