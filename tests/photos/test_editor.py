"""One photo after the other: which faces are edited, what is written, what is reported."""

import dataclasses

import numpy as np
import pytest
from conftest import Stub
from PIL import Image
from sample_photos import SRGB, face, gradient

from ageing.errors import UserError
from ageing.faces import ages
from ageing.faces.alignment import placement_of
from ageing.faces.direction import Direction
from ageing.photos import outputs
from ageing.photos.editor import Editor
from ageing.photos.photo_report import closing, summary
from ageing.photos.sources import find, is_output

LARGE, SMALL, PROFILE = face(20, 20, 100, 120), face(180, 40, 220, 90), face(180, 40, 221, 90)


class Finds:
    """In place of a Detector: finds the same faces in each photo; fails for photos that are 60 pixels high."""

    def __init__(self, *faces):
        self.faces = list(faces)

    def find(self, photo):
        return self.faces if photo.shape[0] != 60 else 1 / 0


class Upright:
    """In place of an Aligner: the detector's squares. PROFILE is not aligned."""

    def align(self, photo, faces):
        return [dataclasses.replace(placement_of(face.box), aligned=face != PROFILE) for face in faces]


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(gradient(150, 250)).save("photo.png")
    return tmp_path


def editor(*faces, targets=None, **more):
    targets = ages.of_directions({Direction.AGE: Stub(40)}) if targets is None else targets
    return Editor(Finds(*faces), Upright(), targets, **more)


def jobs(one, *names, output=None):
    return outputs.jobs(find(names), one.kinds, output)


def attempt(one, *names, output=None):
    """The report on each photo, errors included."""
    return [one.attempt(job) for job in jobs(one, *names, output=output)]


def change(path):
    return np.asarray(Image.open(path)).astype(int) - np.asarray(Image.open("photo.png"))


@pytest.mark.parametrize(("which", "edited"), [("all", [True, True]), ("largest", [True, False]), (2, [False, True])])
def test_faces_are_chosen(place, which, edited):
    report, = attempt(editor(LARGE, SMALL, face=which), "photo.png")
    assert [f["edited"] for f in report["faces"]] == edited
    assert [f["box"] for f in report["faces"]] == [[20, 20, 100, 120], [180, 40, 220, 90]]
    assert [f["turn"] for f in report["faces"]] == [0, 0]
    changed = change(report["outputs"][0])
    assert [changed[:, :150].any(), changed[:, 150:].any()] == edited
    assert f"photo.png: {'2' if which == 'all' else '1 of 2'} faces made older (50s) -> " in summary(report)


LEFT = "face 2 was left as it is: it is seen from the side, or half covered"


def test_faces_that_were_not_aligned_are_left_and_told(place):
    report, = attempt(editor(LARGE, PROFILE, draw_boxes=True), "photo.png")
    assert [f["aligned"] for f in report["faces"]] == [f["edited"] for f in report["faces"]] == [True, False]
    assert summary(report).endswith(f"({LEFT})")
    assert change("photo_50s.png")[:, :150].any()
    assert not change("photo_50s.png")[:, 150:].any()
    report, = attempt(editor(LARGE, PROFILE, face="largest", force=True), "photo.png")
    assert [f["aligned"] for f in report["faces"]] == [True, None]  # the other one was not looked at
    assert "left" not in summary(report)


def test_a_photo_in_which_no_face_can_be_edited_is_not_written(place):
    report, = attempt(editor(LARGE, PROFILE, face=2, compare=True), "photo.png")
    assert [f["edited"] for f in report["faces"]] == [False, False]
    assert summary(report) == f"photo.png: nothing written: {LEFT}"
    assert report["outputs"] == []
    assert [path.name for path in place.iterdir()] == ["photo.png"]


def test_a_number_that_no_face_has(place):
    report, = attempt(editor(LARGE, SMALL, face=3), "photo.png")
    assert "--face 3, but 2 found; see --draw-boxes" in report["error"]
    assert not (place / "photo_50s.png").exists()


def test_a_photo_without_faces_is_reported_and_nothing_is_written(place):
    report, = attempt(editor(), "photo.png")
    assert report["faces"] == report["outputs"] == []
    assert [path.name for path in place.iterdir()] == ["photo.png"]


def test_any_other_error_stops_its_photo_only(place):
    Image.new("RGB", (80, 60)).save("bad.png")
    bad, good = attempt(editor(LARGE), "bad.png", "photo.png")
    assert bad["error"] == "bad.png: ZeroDivisionError: division by zero"
    assert summary(bad) == f"error: {bad['error']}"
    assert good["outputs"] == ["photo_50s.png"]


def test_each_target_has_its_strength_and_share(place):
    both = {Direction.AGE: Stub(40), Direction.REJUVENATE: Stub(-40, "20s")}
    report, = attempt(editor(LARGE, targets=[*ages.of_directions(both, 0.5), *ages.of_ages([34], both)]), "photo.png")
    assert report["targets"] == [
        {"name": "50s", "age": None, "direction": "age", "strength": 0.5, "share": 1.0},
        {"name": "20s", "age": None, "direction": "rejuvenate", "strength": 0.5, "share": 1.0},
        {"name": "34", "age": 34, "direction": "rejuvenate", "strength": 1.0, "share": 0.4}]
    for name, grey in (("photo_50s_0.5.png", 20), ("photo_20s_0.5.png", -20), ("photo_34.png", -16)):
        assert change(name)[70, 60, :2].tolist() == [grey, grey]


def test_generators_of_one_title_are_told_apart_by_their_direction(place):
    both = ages.of_directions({Direction.AGE: Stub(40), Direction.REJUVENATE: Stub(-40)})
    report, = attempt(editor(LARGE, targets=both), "photo.png")
    assert report["outputs"] == ["photo_age.png", "photo_rejuvenate.png"]


@pytest.mark.parametrize(("strength", "face", "ending"), [
    (1.0, "all", ""), (0.6, "all", "_0.6"), (1.0, 2, "_face2"), (1.5, "largest", "_1.5_largest")])
def test_names_say_what_was_asked(strength, face, ending):
    young = {Direction.REJUVENATE: Stub(-40, "20s")}
    tour = ages.Tour({25: Stub(1), 55: Stub(1)}, strength)
    one = editor(LARGE, targets=ages.of_ages([25, 30], young, strength), face=face, compare=True, tour=tour,
                 draw_boxes=True)
    assert [kind.ending for kind in one.kinds] == [
        f"25{ending}", f"30{ending}", f"25-30{ending}_compare", f"ages{ending}", "faces"]


def test_boxes_alone_number_the_faces_and_edit_none(place):
    report, = attempt(editor(LARGE, SMALL, targets=[], draw_boxes=True), "photo.png")
    assert report["outputs"] == ["photo_faces.jpg"]
    assert summary(report) == "photo.png: 2 faces numbered -> photo_faces.jpg"
    assert closing([report, report], "") == "2 photos: 2 numbered"


@pytest.mark.parametrize(("suffix", "form"), [(".webp", "WEBP"), (".gif", "GIF")])
def test_a_moving_picture_loops_and_is_marked(place, suffix, form):
    tour = ages.Tour({25: Stub(-40, "20s"), 55: Stub(40)}, suffix=suffix)
    report, = attempt(editor(LARGE, targets=[], tour=tour), "photo.png")
    assert report["outputs"] == [f"photo_ages{suffix}"]
    with Image.open(report["outputs"][0]) as moving:
        assert (moving.format, moving.info["loop"], moving.n_frames > 20) == (form, 0, True)
    assert is_output(place / f"photo_ages{suffix}")     # so a later run over the folder leaves it out


def test_nothing_is_written_if_one_output_exists(place):
    (place / "photo_50s_compare.jpg").write_text("mine")
    report, = attempt(editor(LARGE, compare=True, draw_boxes=True), "photo.png")
    assert "photo_50s_compare.jpg: exists already" in report["error"]
    assert sorted(path.name for path in place.iterdir()) == ["photo.png", "photo_50s_compare.jpg"]


def test_a_second_run_over_a_folder_writes_what_is_missing(place):
    (place / "in").mkdir()
    (place / "photo.png").rename("in/photo.png")
    attempt(editor(LARGE), "in")
    before = (place / "in/photo_50s.png").stat().st_mtime_ns
    done, = attempt(editor(1 / 1), "in")  # this detector would fail
    assert done == {"photo": "in/photo.png", "done before": True, "outputs": ["in/photo_50s.png"]}
    assert summary(done) == "in/photo.png: done before, see in/photo_50s.png (--force makes them anew)"
    more, = attempt(editor(LARGE, compare=True), "in")
    assert more["outputs"] == ["in/photo_50s_compare.jpg"]
    assert (place / "in/photo_50s.png").stat().st_mtime_ns == before
    anew, = attempt(editor(LARGE, compare=True, force=True), "in")
    assert anew["outputs"] == ["in/photo_50s.png", "in/photo_50s_compare.jpg"]


def test_a_file_that_is_no_output_does_not_count_as_done(place):
    Image.open("photo.png").save("mine.png")
    (place / "in").mkdir()
    (place / "photo.png").rename("in/photo.png")
    (place / "out").mkdir()
    (place / "mine.png").rename("out/photo_50s.png")
    report, = attempt(editor(LARGE), "in", output="out")
    assert "out/photo_50s.png: exists already" in report["error"]


def test_outputs_that_were_not_written_are_written_next_time(place, monkeypatch):
    """Whatever fails, no name is taken for written."""
    (place / "in").mkdir()
    for name in ("p.jpg", "p.png"):
        Image.open("photo.png").save(f"in/{name}")
    one = editor(LARGE, compare=True)
    with monkeypatch.context() as patch:
        patch.setattr("ageing.photos.sheets.before_and_after", lambda *a: 1 / 0)
        assert all("ZeroDivisionError" in report["error"] for report in attempt(one, "in"))
    reports = attempt(one, "in")
    assert [report["outputs"] for report in reports] == [["in/p_jpg_50s_compare.jpg"], ["in/p_png_50s_compare.jpg"]]


def test_sheets_of_a_very_wide_photo_fit_into_a_jpeg(place):
    Image.new("RGB", (66_000, 40), "grey").save("wide.png")
    ends = face(10, 5, 40, 35), face(65_900, 5, 65_930, 35)
    report, = attempt(editor(*ends, compare=True, draw_boxes=True), "wide.png")
    assert report["outputs"] == ["wide_50s.png", "wide_50s_compare.jpg", "wide_faces.jpg"]
    assert Image.open("wide_50s.png").size == (66_000, 40)
    assert 60_000 < Image.open("wide_50s_compare.jpg").width <= 65_500 == Image.open("wide_faces.jpg").width


def test_outputs_keep_the_suffix_and_sheets_are_jpegs(place):
    Image.open("photo.png").save("scan.TIFF")
    one = editor(LARGE, compare=True, draw_boxes=True)
    report, = attempt(one, "scan.TIFF", output="out")
    assert report["outputs"] == [
        "out/scan_50s.TIFF", "out/scan_50s_compare.jpg", "out/scan_faces.jpg"]
    assert sorted(path.name for path in (place / "out").iterdir()) == sorted(
        output.removeprefix("out/") for output in report["outputs"])


def test_sheets_have_the_photos_colour_profile(place):
    Image.open("photo.png").save("wide.png", icc_profile=SRGB)
    report, = attempt(editor(LARGE, compare=True, draw_boxes=True), "wide.png")
    assert len(report["outputs"]) == 3
    assert {Image.open(output).info.get("icc_profile") for output in report["outputs"]} == {SRGB}


def test_an_output_that_names_a_file_decides_the_format(place):
    report, = attempt(editor(LARGE, compare=True), "photo.png", output="older.webp")
    assert report["outputs"] == ["older.webp", "older_50s_compare.jpg"]
    assert Image.open("older.webp").format == "WEBP"


def test_notes_on_a_photo_are_told(place):
    frames = [Image.fromarray(gradient(150, 250)), Image.new("RGB", (250, 150))]
    frames[0].save("moving.webp", save_all=True, append_images=frames[1:])
    report, = attempt(editor(LARGE, PROFILE), "moving.webp")
    assert any("first of its 2 pictures" in note for note in report["notes"])
    assert summary(report).endswith(f"({LEFT}; {'; '.join(report['notes'][1:])})")


def test_errors_of_the_photo_are_raised_by_process(place):
    one = editor(LARGE)
    job, = jobs(one, "photo.png")
    (place / "photo.png").unlink()
    with pytest.raises(UserError, match="photo.png: no such file"):
        one.process(job)
