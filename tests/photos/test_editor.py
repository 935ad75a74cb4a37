"""One photo after the other: which faces are edited, what is written, what is reported."""

import numpy as np
import pytest
from conftest import Stub
from PIL import Image
from sample_photos import face, gradient

from ageing.photos.editor import Editor
from ageing.photos.photo_report import summary

LARGE, SMALL = face(20, 20, 100, 120), face(180, 40, 220, 90)


class Finds:
    """In place of a Detector: finds the same faces in each photo; fails for photos that are 60 pixels high."""

    def __init__(self, *faces):
        self.faces = list(faces)

    def find(self, photo):
        return self.faces if photo.shape[0] != 60 else 1 / 0


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(gradient(150, 250)).save("photo.png")
    return tmp_path


def editor(*faces, **more):
    return Editor(Finds(*faces), {"age": Stub(40)}, **more)


def change(path, source="photo.png"):
    return np.asarray(Image.open(path)).astype(int) - np.asarray(Image.open(source))


@pytest.mark.parametrize(("which", "edited"), [("all", [True, True]), ("largest", [True, False]), (2, [False, True])])
def test_faces_are_chosen(place, which, edited):
    report = editor(LARGE, SMALL, face=which).process(place / "photo.png")
    assert [f["edited"] for f in report["faces"]] == edited
    assert [f["box"] for f in report["faces"]] == [[20, 20, 100, 120], [180, 40, 220, 90]]
    changed = change("photo_50s.png")
    assert [changed[:, :150].any(), changed[:, 150:].any()] == edited
    assert f"photo.png: {sum(edited)} of 2 faces -> " in summary(report)


def test_a_number_that_no_face_has(place):
    report = editor(LARGE, SMALL, face=3).attempt(place / "photo.png")
    assert "--face 3, but 2 found; see --draw-boxes" in report["error"]
    assert not (place / "photo_50s.png").exists()


def test_a_photo_without_faces_is_reported_and_nothing_is_written(place):
    report = editor().process(place / "photo.png")
    assert report["faces"] == report["outputs"] == []
    assert [path.name for path in place.iterdir()] == ["photo.png"]


def test_any_other_error_stops_its_photo_only(place):
    Image.new("RGB", (80, 60)).save("bad.png")
    one = editor(LARGE)
    bad, good = (one.attempt(place / name) for name in ("bad.png", "photo.png"))
    assert bad["error"] == f"{place}/bad.png: ZeroDivisionError: division by zero"
    assert summary(bad) == f"error: {bad['error']}"
    assert good["outputs"] == [f"{place}/photo_50s.png"]


def test_two_photos_of_a_name_do_not_overwrite_each_other(place):
    (place / "x").mkdir()
    Image.fromarray(gradient(150, 250)).save("x/photo.png")
    one = editor(LARGE, output="out", force=True)
    one.process(place / "photo.png")
    assert "was just written for another photo" in one.attempt(place / "x/photo.png")["error"]


def test_nothing_is_written_if_one_output_exists(place):
    (place / "photo_compare.jpg").write_text("mine")
    report = editor(LARGE, compare=True, draw_boxes=True).attempt(place / "photo.png")
    assert "photo_compare.jpg: exists already" in report["error"]
    assert sorted(path.name for path in place.iterdir()) == ["photo.png", "photo_compare.jpg"]


def test_outputs_keep_the_suffix_and_sheets_are_jpegs(place):
    Image.open("photo.png").save("scan.TIFF")
    report = editor(LARGE, output="out", compare=True, steps=(0, 1), draw_boxes=True).process(place / "scan.TIFF")
    assert report["outputs"] == [
        "out/scan_50s.TIFF", "out/scan_50s_steps.jpg", "out/scan_compare.jpg", "out/scan_faces.jpg"]
    assert sorted(path.name for path in (place / "out").iterdir()) == sorted(
        output.removeprefix("out/") for output in report["outputs"])


def test_an_output_that_names_a_file_decides_the_format(place):
    report = editor(LARGE, output="older.webp", compare=True).process(place / "photo.png")
    assert report["outputs"] == ["older.webp", "older_compare.jpg"]
    assert Image.open("older.webp").format == "WEBP"


def test_the_note_says_that_only_the_first_picture_is_read(place):
    frames = [Image.fromarray(gradient(150, 250)), Image.new("RGB", (250, 150))]
    frames[0].save("moving.webp", save_all=True, append_images=frames[1:])
    report = editor(LARGE).process(place / "moving.webp")
    assert summary(report).endswith("(only the first of its 2 pictures is read)")
