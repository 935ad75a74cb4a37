import io
import re
import tarfile
import zipfile
from pathlib import Path

import pytest
from conftest import UTKFACE
from PIL import Image

import prepare_utkface
from ageing.errors import UserError
from ageing.utkface import split_of

NAMES = [f"{age}_{i % 2}_{i % 5}_2017{i:05}.jpg.chip.jpg" for i, age in
         enumerate([20, 25, 29, 30, 49, 50, 55, 59, 60, 1, 116] * 10)]


def picture(side=40):
    out = io.BytesIO()
    Image.new("RGB", (side, side), (200, 150, 120)).save(out, "JPEG")
    return out.getvalue()


def make_tar(path, files, mode="w:gz"):
    with tarfile.open(path, mode) as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


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
    for name in NAMES:
        age = int(name.split("_")[0])
        domain = "20s" if 20 <= age <= 29 else "50s" if 50 <= age <= 59 else None
        part = split_of(name)
        assert (f"{part}/{domain}/{name}" in made) == (domain is not None)
    assert len(made) == 60
    text = capsys.readouterr().out
    assert "skipped, malformed name: 1: 39_1_20170116174525125" in text
    assert "skipped, unreadable image: 1: 25_0_0_broken.jpg" in text
    assert "skipped, tiny image: 1" in text
    assert "skipped, other age: 50" in text
    columns = re.search(r"^all" + r" +(\d+)" * 6 + "$", text, re.M).groups()
    assert sum(map(int, columns)) == 60


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
    with zipfile.ZipFile(tmp_path / "UTKFace.zip", "w") as z:
        for name, data in faces().items():
            z.writestr(name, data)
            z.writestr("__MACOSX/._" + name.split("/")[1], b"resource fork")
    outs = []
    for source in (archive, tmp_path / "unpacked", tmp_path / "UTKFace.zip"):
        out = tmp_path / f"out{len(outs)}"
        run(source, "-o", out)
        outs.append(set(tree(out)))
    assert outs[0] == outs[1] == outs[2]


def test_other_ages(archive, tmp_path):
    run(archive, "-o", tmp_path / "out", "--A", "kids=1-9", "--B", "old=100-120")
    assert {p.split("/")[1] for p in tree(tmp_path / "out")} == {"kids", "old"}


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


@pytest.mark.parametrize("arguments", [
    ("--A", "20s"), ("--A", "20s=29-20"), ("--A", "20s=20-55"), ("--B", "20s=60-70")])
def test_impossible_ages_are_refused(archive, arguments):
    with pytest.raises(UserError, match="command line"):
        run(archive, *arguments)


@pytest.mark.skipif(not UTKFACE.exists(), reason="the real UTKFace archive is not on this machine")
def test_real_utkface(tmp_path, capsys):
    run(UTKFACE, "-o", tmp_path / "out")
    sizes = {folder: len(list((tmp_path / "out" / folder).iterdir()))
             for folder in ("train/20s", "validation/20s", "train/50s", "validation/50s")}
    assert sizes["train/20s"] > 5000
    assert sizes["train/50s"] > 1500
    assert 0.08 < sizes["validation/20s"] / sizes["train/20s"] < 0.14
    assert "malformed name: 3: 39_1_2017" in capsys.readouterr().out
