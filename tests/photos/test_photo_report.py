"""What the terminal shows and --json writes."""

import io
import json

import pytest

from ageing.photos import photo_report


def asked(name, direction="age", strength=1.0, age=None):
    return {"name": name, "age": age, "direction": direction, "strength": strength, "share": 1.0}


OLDER, YOUNGER = asked("50s"), asked("20s", "rejuvenate")


def report(photo="a.jpg", edited=(True,), outputs=("a_50s.jpg",), notes=(), targets=(OLDER,)):
    faces = [{"edited": e, "aligned": e} for e in edited]
    return {"photo": photo, "faces": faces, "targets": list(targets),
            "outputs": list(outputs) if any(edited) else [], "notes": list(notes)}


ERROR = photo_report.report_error("bad.jpg", "bad.jpg: a damaged image")
FINISHED = photo_report.report_finished("old.jpg", ["old_50s.jpg", "old_compare.jpg"])


def test_one_line_a_photo():
    assert photo_report.summary(report(edited=(True, False))) == "a.jpg: 1 of 2 faces made older (50s) -> a_50s.jpg"
    assert photo_report.summary(report(notes=["map", "x"])) == "a.jpg: 1 face made older (50s) -> a_50s.jpg (map; x)"
    assert photo_report.summary(report(edited=(False,), notes=["y", "x"])) == "a.jpg: nothing written: y; x"
    assert photo_report.summary(report(edited=())).startswith("a.jpg: no face found, nothing written")
    assert photo_report.summary(ERROR) == "error: bad.jpg: a damaged image"
    assert photo_report.summary(FINISHED).startswith("old.jpg: done before, see old_50s.jpg, old_compare.jpg")


@pytest.mark.parametrize(("targets", "done"), [
    ([YOUNGER], "2 faces made younger (20s)"), ([OLDER, YOUNGER], "2 faces made older (50s) and younger (20s)"),
    ([asked("age")], "2 faces made older"), ([asked("50s", strength=0.6)], "2 faces made older (50s) at strength 0.6"),
    ([asked(str(age), age=age) for age in (30, 50, 70)], "2 faces made about 30, 50 and 70 years old"),
    ([], "2 faces shown at all ages")])
def test_what_was_done_in_words(targets, done):
    assert photo_report.summary(report(edited=(True, True), targets=targets)) == f"a.jpg: {done} -> a_50s.jpg"


@pytest.mark.parametrize(("numbers", "note"), [
    ([], []), ([3], ["face 3 was left as it is: it is seen from the side, or half covered"]),
    ([1, 2, 7], ["faces 1, 2 and 7 were left as they are: they are seen from the side, or half covered"])])
def test_faces_that_were_left_are_named(numbers, note):
    assert photo_report.notes_on(numbers) == note


def test_names_that_are_no_line_of_text():
    odd = report("line\nbreak  \udcff.jpg", outputs=["line\nbreak  \udcff_50s.jpg"])
    assert photo_report.summary(odd) == (
        r"line\nbreak  \udcff.jpg: 1 face made older (50s) -> line\nbreak  \udcff_50s.jpg")
    assert photo_report.printable("Jürgen 猫 🐈.jpg") == "Jürgen 猫 🐈.jpg"
    assert photo_report.printable("\x1b[31mred") == r"\x1b[31mred"


@pytest.mark.parametrize(("reports", "skipped", "line"), [
    ([report()] * 8 + [report(edited=(True,) * 9), report(edited=()), report(edited=()), ERROR] + [FINISHED] * 3,
     "4 .txt, 2 .mp4",
     "12 photos: 9 edited (17 faces), 2 without a face to edit, 1 error; 3 done before; skipped: 4 .txt, 2 .mp4"),
    ([report(notes=["x"]), ERROR, ERROR], "",
     "3 photos: 1 edited (1 face), 2 errors; notes on 1, see --json"),
    ([report(edited=())], "1 .txt", "1 photo: 1 without a face to edit; skipped: 1 .txt"),
    ([FINISHED] * 12, "", "12 done before"),
    ([photo_report.report_error("in/sub", "in/sub: cannot be read", "folder"), report()], "",
     "1 photo: 1 edited (1 face), 1 error"),
])
def test_closing(reports, skipped, line):
    assert photo_report.closing(reports, skipped) == line


def shown(*reports, photos=1, skipped=""):
    """What the terminal shows of `reports`, errors excluded."""
    told = io.StringIO()
    run = photo_report.Reports(told, photos)
    for one in reports:
        run.add(one)
    run.close(skipped)
    return told.getvalue().splitlines()


@pytest.mark.parametrize(("photos", "lines"), [(1, 1), (10, 11), (11, 1)])
def test_of_many_photos_only_the_closing_and_errors_are_shown(photos, lines, capsys):
    assert len(shown(*[report() for _ in range(photos)], ERROR, photos=photos)) == lines
    assert capsys.readouterr().err.strip() == "error: bad.jpg: a damaged image"


def test_what_was_skipped_is_told_for_one_photo_too():
    assert shown(report(), skipped="1 .txt")[1:] == ["1 photo: 1 edited (1 face); skipped: 1 .txt"]


@pytest.mark.parametrize(("reports", "failed", "succeeded"), [
    ([report(edited=())], False, False), ([report()], False, True), ([FINISHED], False, True), ([ERROR], True, False)])
def test_success_and_failure(reports, failed, succeeded):
    run = photo_report.Reports(io.StringIO(), 1)
    for one in reports:
        run.add(one)
    assert (run.failed, run.succeeded) == (failed, succeeded)


def written(path, *reports, earlier=None):
    run = photo_report.Reports(io.StringIO(), len(reports), earlier)
    for one in reports:
        run.add(one)
    run.write(path)
    return json.loads(path.read_text())


def test_the_report_is_json(tmp_path):
    reports = [report("\udcff\n.jpg"), ERROR, FINISHED]
    assert written(tmp_path / "report.json", *reports) == reports


def test_earlier_reports_stand_in_for_photos_done_before(tmp_path):
    path, first = tmp_path / "report.json", report("old.jpg", outputs=["old_50s.jpg", "old_compare.jpg"])
    assert photo_report.read(path) is None
    written(path, first, ERROR, photo_report.report_error("in/sub", "cannot be read", "folder"))
    earlier = photo_report.read(path)
    assert earlier == {"old.jpg": first}
    unknown = FINISHED | {"photo": "older.jpg"}
    assert written(path, FINISHED, report(), unknown, earlier=earlier) == [
        first | {"done before": True}, report(), unknown]
    other = FINISHED | {"outputs": ["old_70.jpg"]}  # its faces and targets are not those of old_50s.jpg
    assert written(path, other, earlier=earlier) == [other]


@pytest.mark.parametrize("content", ["mine", "{}", "[1]", '[{"a": 1}]', '"text"', "3"])
def test_other_files_are_no_reports(tmp_path, content):
    (tmp_path / "report.json").write_text(content)
    assert photo_report.read(tmp_path / "report.json") is None
