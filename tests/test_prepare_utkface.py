import io
import os
import re
import shutil
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest
from conftest import ROOT, UTKFACE, bound_by_modes, python
from PIL import Image

import prepare_utkface
from ageing import face_folder
from ageing.errors import UserError
from ageing.utkface import DECADES, SPLITS, split_of

NAMES = [f"{age}_{i % 2}_{i % 5}_2017{i:05}.jpg.chip.jpg" for i, age in
         enumerate([20, 25, 29, 30, 49, 50, 59, 65, 79, 80, 89, 1, 19, 90, 116] * 10)]


def picture(side=40, colour=(200, 150, 120)):
    out = io.BytesIO()
    Image.new("RGB", (side, side), colour).save(out, "JPEG")
    return out.getvalue()


def make_tar(path, files, mode="w:gz"):
    with tarfile.open(path, mode) as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def make_zip(path, files):
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def row(text, title):
    """A row of the table: faces of each decade, then of all."""
    return [int(n.replace(",", "")) for n in re.search(f"^{title}" + r" +([\d,]+)" * 8 + "$", text, re.M).groups()]


def total(text):
    return row(text, "all")[-1]


def on_disk(root, split):
    """Files in each folder of `split`, then in all of them: as a row of the table."""
    counts = [len(list(Path(root, split, decade).glob("*"))) for decade in DECADES]
    return [*counts, sum(counts)]


def faces():
    return {f"UTKFace/{name}": picture() for name in NAMES}


def tree(root):
    return {str(p.relative_to(root)): p.stat().st_mtime_ns for p in Path(root).rglob("*") if p.is_file()}


@pytest.fixture
def archive(tmp_path):
    return make_tar(tmp_path / "UTKFace.tar.gz", faces() | {
        "UTKFace/39_1_20170116174525125.jpg.chip.jpg": picture(),  # the race is missing, as in the real set
        "UTKFace/25_0_0_broken.jpg": picture()[:200], "UTKFace/25_0_0_tiny.jpg": picture(8),
        "UTKFace/readme.txt": b"?"})


def run(*arguments):
    return prepare_utkface.main([str(a) for a in arguments])


def test_faces_are_sorted_by_age_and_hash(archive, tmp_path, capsys):
    run(archive, "-o", tmp_path / "out")
    made = tree(tmp_path / "out")
    decades = {20: "20s", 25: "20s", 29: "20s", 30: "30s", 49: "40s", 50: "50s", 59: "50s", 65: "60s", 79: "70s",
               80: "80s", 89: "80s"}
    assert set(made) == {f"{split_of(name)}/{decade}/{name}" for name in NAMES
                         if (decade := decades.get(int(name.split("_")[0])))}
    assert len(made) == 110
    text = capsys.readouterr().out
    assert "skipped, malformed name: 1: 39_1_20170116174525125" in text
    assert "skipped, unreadable image: 1: 25_0_0_broken.jpg" in text
    assert "skipped, tiny image: 1" in text
    assert "skipped, below 20 years: 20\n" in text
    assert "skipped, above 89 years: 20\n" in text


def test_the_table_counts_decades_by_split_and_by_gender_and_race(archive, tmp_path, capsys):
    run(archive, "-o", tmp_path / "out")
    text = capsys.readouterr().out
    assert text.splitlines()[0].split() == ["20s", "30s", "40s", "50s", "60s", "70s", "80s", "all"]
    for split in SPLITS:
        assert row(text, split) == on_disk(tmp_path / "out", split)
    assert row(text, "all") == [30, 10, 10, 20, 10, 10, 20, 110]
    cells = [row(text, f"{race} {gender}") for gender in ("male", "female")
             for race in ("White", "Black", "Asian", "Indian", "other")]
    assert [sum(column) for column in zip(*cells, strict=True)] == row(text, "all")
    assert cells[9][-1] == sum("_1_4_" in name and 20 <= int(name.split("_")[0]) <= 89 for name in NAMES)
    assert max(map(len, text[:text.index("skipped")].splitlines())) <= 100  # as wide as a terminal


def test_a_folder_of_two_decades_is_completed(archive, tmp_path):
    out = tmp_path / "out"
    run(archive, "-o", out)
    whole = tree(out)
    for decade in set(DECADES) - {"20s", "50s"}:  # what the first versions did not sort
        for split in SPLITS:
            shutil.rmtree(out / split / decade, ignore_errors=True)
    two = tree(out)
    assert len(two) == 50
    run(archive, "-o", out)
    assert set(tree(out)) == set(whole)
    assert {path: tree(out)[path] for path in two} == two


def test_an_interrupted_run_goes_on(archive, tmp_path, monkeypatch):
    decoded = []

    def interrupted(*arguments):
        decoded.append(arguments)
        if len(decoded) == 40:
            raise KeyboardInterrupt
        return face_folder.decode(*arguments)

    monkeypatch.setattr(prepare_utkface, "decode", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(archive, "-o", tmp_path / "out")
    first = tree(tmp_path / "out")
    assert len(first) == 39
    run(archive, "-o", tmp_path / "out")
    again = tree(tmp_path / "out")
    assert len(again) == 110
    assert {path: again[path] for path in first} == first


def test_again_finishes_what_is_missing_and_changes_nothing_else(archive, tmp_path):
    out = tmp_path / "out"
    run(archive, "-o", out)
    first = tree(out)
    lost = sorted(first)[0]
    (out / lost).unlink()
    (out / "train/20s/25_0_0_mine.jpg").write_bytes(b"a user's own")
    run(archive, "-o", out)
    again = tree(out)
    assert again.pop("train/20s/25_0_0_mine.jpg")
    assert set(again) == set(first)
    assert {k: v for k, v in again.items() if k != lost} == {k: v for k, v in first.items() if k != lost}


def test_folder_and_zip_give_what_the_tar_gives(archive, tmp_path):
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path / "unpacked", filter="data")
    make_zip(tmp_path / "UTKFace.zip", faces() | {f"__MACOSX/._{name}": b"resource fork" for name in NAMES})
    outs = []
    for source in (archive, tmp_path / "unpacked", tmp_path / "UTKFace.zip"):
        out = tmp_path / f"out{len(outs)}"
        run(source, "-o", out)
        outs.append(set(tree(out)))
    assert outs[0] == outs[1] == outs[2]


@pytest.mark.parametrize("kind", ["zip", "tar", "folder"])
def test_a_face_that_occurs_twice_is_written_and_counted_once(tmp_path, capsys, kind):
    twice = faces() | {f"crop_part1/{name}": picture() for name in NAMES}
    if kind == "zip":
        source = make_zip(tmp_path / "UTKFace.zip", twice)
    else:
        source = make_tar(tmp_path / "UTKFace.tar.gz", twice)
    if kind == "folder":
        with tarfile.open(source) as tar:
            tar.extractall(tmp_path / "unpacked", filter="data")
        source = tmp_path / "unpacked"
    for _ in range(2):
        run(source, "-o", tmp_path / "out")
        text = capsys.readouterr().out
        assert total(text) == len(tree(tmp_path / "out")) == 110
        assert "skipped, same file again: 110\n" in text


def test_of_two_pictures_with_one_name_the_first_is_kept_and_named(tmp_path, capsys):
    name = "25_0_0_twice.jpg"
    source = make_zip(tmp_path / "UTKFace.zip", {f"a/{name}": picture(), f"b/{name}": picture(colour="red")})
    run(source, "-o", tmp_path / "out")
    text = capsys.readouterr().out
    assert f"skipped, same name as another face, of which the first is kept: 1: {name}" in text
    assert total(text) == 1
    written, = (p for p in (tmp_path / "out").rglob("*") if p.is_file())
    assert written.read_bytes() == picture()


def test_a_whole_picture_after_a_broken_one_of_its_name_is_taken(tmp_path, capsys):
    name = "25_0_0_twice.jpg"
    run(make_zip(tmp_path / "UTKFace.zip", {f"a/{name}": b"", f"b/{name}": picture()}), "-o", tmp_path / "out")
    assert total(capsys.readouterr().out) == 1


@pytest.mark.parametrize("output", ["", "data/utkface"])
def test_a_target_inside_of_the_source_is_not_read_again(tmp_path, capsys, output):
    source = tmp_path / "UTKFace"
    source.mkdir()
    for name in NAMES:
        (source / name).write_bytes(picture())
    texts = []
    for _ in range(2):
        run(source, "-o", source / output)
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1]
    assert total(texts[1]) == 110
    assert "same file again" not in texts[1]


def test_the_folder_of_another_run_is_a_source(archive, tmp_path):
    run(archive, "-o", tmp_path / "out")
    run(tmp_path / "out", "-o", tmp_path / "other")
    assert set(tree(tmp_path / "other")) == set(tree(tmp_path / "out"))


def test_the_table_counts_what_was_there_before(archive, tmp_path, capsys):
    folder = tmp_path / "out/validation/50s"
    folder.mkdir(parents=True)
    for name in ("mine.png", "55_1_2_mine.jpg", "notes.txt", ".writing-x.jpg"):
        (folder / name).write_bytes(picture())
    run(archive, "-o", tmp_path / "out")
    text = capsys.readouterr().out
    assert total(text) == 112
    assert row(text, "unknown") == [0, 0, 0, 1, 0, 0, 0, 1]
    assert row(text, "validation")[3] == on_disk(tmp_path / "out", "validation")[3] - 2


def test_odd_entries_of_a_folder_are_counted_and_stop_nothing(tmp_path):
    source = tmp_path / "UTKFace"
    (source / "25_0_0_folder.jpg").mkdir(parents=True)
    for name in ("25_0_0_good.jpg", "25_0_0_folder.jpg/25_0_0_inside.jpg", "25_0_0_locked.jpg", "locked/25_0_0_x.jpg",
                 ".Trash-1000/files/25_0_0_deleted.jpg", "$RECYCLE.BIN/25_0_0_deleted.jpg", ".git/25_0_0_x.jpg",
                 "@eaDir/25_0_0_good.jpg", ".25_0_0_hidden.jpg", os.fsdecode(b"25_0_0_\xe9.jpg")):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(picture())
    (source / "25_0_0_gone.jpg").symlink_to(tmp_path / "nowhere")
    (source / "25_0_0_turning.jpg").symlink_to("25_0_0_turning.jpg")
    os.mkfifo(source / "25_0_0_pipe.jpg")
    (source / "25_0_0_locked.jpg").chmod(0)
    (source / "locked").chmod(0)
    command, settings = python(ROOT / "prepare_utkface.py", source, "-o", tmp_path / "out")
    done = subprocess.run(command, capture_output=True, timeout=60, preexec_fn=bound_by_modes, **settings)
    (source / "locked").chmod(0o700)
    assert done.returncode == 0, done.stderr
    assert total(done.stdout) == 3
    assert {path.rsplit("/")[-1] for path in tree(tmp_path / "out")} == {
        "25_0_0_good.jpg", "25_0_0_inside.jpg", os.fsdecode(b"25_0_0_\xe9.jpg")}
    unread = "25_0_0_gone.jpg, 25_0_0_locked.jpg, 25_0_0_pipe.jpg, 25_0_0_turning.jpg"
    assert f"skipped, unreadable file: 4: {unread}\n" in done.stdout
    assert "skipped, unreadable folder: 1: locked\n" in done.stdout


@pytest.mark.parametrize("separator", ["/", "\\"])
def test_odd_members_of_a_zip_are_counted_and_stop_nothing(tmp_path, capsys, separator):
    names = ["UTKFace/25_0_0_good.jpg", "UTKFace/.Trash/25_0_0_x.jpg", "UTKFace/#recycle/25_0_0_x.jpg",
             "UTKFace/25_0_0_bad.jpg"]
    path = make_zip(tmp_path / "UTKFace.zip", {name.replace("/", separator): picture() for name in names})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("25_0_0_folder.jpg/", b"")
        place = archive.infolist()[3].header_offset + 200
    data = bytearray(path.read_bytes())
    data[place] ^= 255
    path.write_bytes(data)
    run(path, "-o", tmp_path / "out")
    text = capsys.readouterr().out
    assert total(text) == 1
    assert "skipped, unreadable file: 1: 25_0_0_bad.jpg\n" in text


def test_links_in_a_tar_are_faces_too_or_counted(tmp_path, capsys):
    path = tmp_path / "UTKFace.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        first = tarfile.TarInfo("a/25_0_0_good.jpg")
        first.size = len(picture())
        archive.addfile(first, io.BytesIO(picture()))
        for kind, name, target in ((tarfile.LNKTYPE, "a/25_0_0_hard.jpg", "a/25_0_0_good.jpg"),
                                   (tarfile.SYMTYPE, "a/25_0_0_soft.jpg", "25_0_0_good.jpg"),
                                   (tarfile.SYMTYPE, "a/25_0_0_out.jpg", "/etc/passwd"),
                                   (tarfile.SYMTYPE, "a/25_0_0_turning.jpg", "25_0_0_turning.jpg"),
                                   (tarfile.FIFOTYPE, "a/25_0_0_pipe.jpg", ""),
                                   (tarfile.DIRTYPE, "a/25_0_0_folder.jpg", "")):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, target
            archive.addfile(member)
    run(path, "-o", tmp_path / "out")
    text = capsys.readouterr().out
    assert total(text) == 3
    assert "skipped, unreadable file: 3: 25_0_0_out.jpg, 25_0_0_turning.jpg, 25_0_0_pipe.jpg\n" in text


def test_postscript_with_the_name_of_a_face_is_not_run(tmp_path, capsys, monkeypatch):
    ran = []
    monkeypatch.setattr("PIL.EpsImagePlugin.Ghostscript", lambda *arguments: ran.append(arguments))
    postscript = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 40 40\n%%EndComments\n"
    files = {"a/25_0_0_odd.jpg": postscript, "a/25_0_0_good.jpg": picture()}
    run(make_zip(tmp_path / "UTKFace.zip", files), "-o", tmp_path / "out")
    assert "skipped, unreadable image: 1: 25_0_0_odd.jpg" in capsys.readouterr().out
    assert not ran


def test_huge_images_are_skipped(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(face_folder, "MEGAPIXELS", 0.002)
    files = {"a/25_0_0_huge.jpg": picture(50), "a/25_0_0_good.jpg": picture()}
    run(make_zip(tmp_path / "UTKFace.zip", files), "-o", tmp_path / "out")
    assert "skipped, huge image: 1: 25_0_0_huge.jpg" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["../25_0_0_evil.jpg", "/tmp/25_0_0_evil.jpg", "UTKFace/../../25_0_0_evil.jpg",
                                  "C:\\25_0_0_evil.jpg", "..\\25_0_0_evil.jpg"])
def test_member_that_points_outside_is_refused(tmp_path, name):
    bad = make_tar(tmp_path / "bad.tar", {name: picture()}, "w")
    with pytest.raises(UserError, match="points outside"):
        run(bad, "-o", tmp_path / "out")
    assert not list(tmp_path.rglob("*evil*"))


def test_missing_source_says_where_to_get_it(tmp_path):
    with pytest.raises(UserError, match=r"no such file.*susanqq\.github\.io.*non-commercial"):
        run(tmp_path / "nowhere.tar.gz")


@pytest.mark.parametrize("state", ["cut", "text", "empty", "no faces"])
def test_broken_sources_are_named(tmp_path, archive, state):
    source = tmp_path / "source.tar.gz"
    whole = archive.read_bytes()
    source.write_bytes({"cut": whole[:len(whole) // 2], "text": b"hello", "empty": b"",
                        "no faces": make_tar(tmp_path / "x.tar", {"a.txt": b"a"}, "w").read_bytes()}[state])
    with pytest.raises(UserError, match=r"source\.tar\.gz"):
        run(source, "-o", tmp_path / "out")


@pytest.mark.parametrize("ages", [(1, 19), (90, 116)])
def test_a_source_without_a_face_of_these_ages_is_refused(tmp_path, ages):
    source = make_zip(tmp_path / "UTKFace.zip", {f"a/{age}_0_0_x.jpg": picture() for age in ages})
    with pytest.raises(UserError, match=r"UTKFace\.zip: no face of 20 to 89 years"):
        run(source, "-o", tmp_path / "out")


@pytest.mark.slow
@pytest.mark.skipif(not UTKFACE.exists(), reason="the real UTKFace archive is not on this machine")
def test_real_utkface(tmp_path, capsys):
    run(UTKFACE, "-o", tmp_path / "out")
    text = capsys.readouterr().out
    assert row(text, "train") == [5979, 3662, 1806, 1881, 1062, 552, 417, 15359]
    assert row(text, "validation") == [663, 422, 197, 204, 128, 73, 45, 1732]
    assert "malformed name: 3: 39_1_2017" in text
