"""Which photos a command line means, and which files may be written."""

import os
from pathlib import Path

import pytest
from PIL import Image
from sample_photos import RGB

from ageing.errors import UserError
from ageing.photos import photo_file, sources


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A working folder with in/a.jpg, in/b.png, an earlier output, a hidden file and a text; below it in/sub/c.jpg."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in/sub/.thumbnails").mkdir(parents=True)
    for name in ("b.png", "a.jpg", "sub/c.jpg", "sub/.thumbnails/c.jpg"):
        Image.fromarray(RGB).save(tmp_path / "in" / name)
    photo_file.save_sheet(tmp_path / "in/a_50s.jpg", RGB)
    (tmp_path / "in/._a.jpg").write_text("what macOS leaves")
    for name in ("notes.txt", "sub/notes.TXT", "sub/film.pdf", "sub/README"):
        (tmp_path / "in" / name).write_text("no photo")
    return tmp_path


def paths(*names, recursive=False):
    return [str(photo.path) for photo in sources.find(names, recursive).photos]


def fault(*names):
    with pytest.raises(UserError) as error:
        sources.find(names)
    return str(error.value)


def test_a_folder_means_its_photos_without_earlier_outputs(place):
    found = sources.find(["in"])
    assert [str(photo.path) for photo in found.photos] == ["in/a.jpg", "in/b.png"]
    assert not any(photo.named for photo in found.photos)
    assert found.skipped == {".txt": 1}


def test_recursive_takes_the_folders_inside(place):
    found = sources.find(["in"], recursive=True)
    assert [(str(photo.path), str(photo.below)) for photo in found.photos] == [
        ("in/a.jpg", "."), ("in/b.png", "."), ("in/sub/c.jpg", "sub")]
    assert found.skipped == {".txt": 2, ".pdf": 1, "": 1}
    assert found.told_skipped == "2 .txt, 1 without a suffix, 1 .pdf"


def test_a_folder_inside_that_cannot_be_read_does_not_stop_the_others(place, monkeypatch):
    scan = os.scandir

    def refuse(folder):
        if Path(folder).name == "sub":
            raise PermissionError(13, "Permission denied", str(folder))
        return scan(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    found = sources.find(["in"], recursive=True)
    assert [photo.path.name for photo in found.photos] == ["a.jpg", "b.png"]
    assert found.unreadable == {"in/sub": "Permission denied"}
    assert fault("in/sub") == "in/sub: cannot be read (Permission denied)"


@pytest.mark.parametrize("name", ["@eaDir", "#recycle", "@Recycle", "$RECYCLE.BIN", "System Volume Information"])
def test_trash_and_thumbnails_of_network_drives_are_no_photos_unless_they_are_named(place, name):
    (place / "in/sub").rename(f"in/{name}")
    found = sources.find(["in"], recursive=True)
    assert ([photo.path.name for photo in found.photos], found.unreadable) == (["a.jpg", "b.png"], {})
    assert paths(f"in/{name}") == [f"in/{name}/c.jpg"]


def test_recursive_takes_what_linked_folders_hold_and_comes_to_an_end(place):
    (place / "other/deep").mkdir(parents=True)
    Image.fromarray(RGB).save("other/deep/d.png")
    Image.fromarray(RGB).save("beside.png")
    for link, target in (("in/link", "other"), ("in/again", "other"), ("other/deep/loop", "other"), ("in/up", "."),
                         ("in/itself", "in"), ("in/a_sub", "in/sub"), ("in/nowhere", "missing")):
        (place / link).symlink_to(place / target)
    assert paths("in", recursive=True) == ["in/a.jpg", "in/b.png", "in/again/deep/d.png", "in/sub/c.jpg"]
    assert paths("in") == ["in/a.jpg", "in/b.png"]


def test_a_pattern_means_the_files_that_match_without_earlier_outputs(place):
    assert paths("in/*.png") == ["in/b.png"]
    assert paths("in/a*.jpg") == ["in/a.jpg"]
    assert paths("i?/s*/*.jpg") == ["in/sub/c.jpg"]
    assert not sources.find(["in/*.png"]).photos[0].named


def test_every_name_that_gives_no_photo_is_named_at_once(place):
    (place / "empty").mkdir()
    assert fault("in", "missing.jpg", "nothing*.jpg", "in/a_*.jpg", "empty") == (
        "missing.jpg: no such file; nothing*.jpg: matches no file; "
        "in/a_*.jpg: matches only earlier outputs of this program; empty: no photos there")
    (place / "in/a_50s.jpg").rename("empty/a_50s.jpg")
    (place / "in/notes.txt").rename("empty/notes.txt")
    (place / "in/sub").rename("empty/sub")
    assert fault("empty") == ("empty: no photos there, only 1 earlier output, 1 .txt; "
                              "-r also looks into the folders inside")


def test_heif_photos_of_a_folder_are_taken_if_they_can_be_read(place, monkeypatch):
    (place / "in/phone.HEIC").write_text("")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    found = sources.find(["in"])
    assert found.told_skipped == "1 .heic, 1 .txt (HEIC and HEIF: pip install pillow-heif)"
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name == "pillow_heif")
    assert "in/phone.HEIC" in paths("in")
    assert paths("in/phone.HEIC") == ["in/phone.HEIC"]


def test_earlier_outputs_that_are_named_are_photos_only_if_no_other_file_is(place):
    photo_file.save_sheet(place / "in/b_50s.jpg", RGB)
    assert paths("in/a_50s.jpg") == ["in/a_50s.jpg"]
    assert paths("in/a_50s.jpg", "in/b_50s.jpg") == ["in/a_50s.jpg", "in/b_50s.jpg"]
    assert paths("in/a.jpg", "in/a_50s.jpg", "in/b_50s.jpg") == ["in/a.jpg"]  # as a shell writes out in/*.jpg


def test_brackets_are_literal_where_such_a_file_or_folder_exists(place):
    (place / "in/a.jpg").rename("c[1].jpg")
    (place / "in").rename("trip [2020]")
    assert paths("c[1].jpg") == ["c[1].jpg"]
    assert paths("trip [2020]") == paths("trip [2020]/*.png") == ["trip [2020]/b.png"]
    assert paths(f"{place}/trip [2020]/[ab].png") == [f"{place}/trip [2020]/b.png"]
    (place / "trip 2").mkdir()
    (place / "trip [2020]/b.png").rename("trip 2/d.png")
    assert paths("trip [2]/d.png") == ["trip 2/d.png"]  # no such folder: a pattern


def test_names_are_kept_in_order_and_each_once(place):
    assert paths("in/b.png", "in", "in/?.png", f"{place}/in", "in/../in/a.jpg") == ["in/b.png", "in/a.jpg"]


def test_a_name_that_the_system_refuses_is_named(place):
    assert fault("x" * 5000).startswith("x" * 80 + ": ")


def test_what_is_no_file_on_disk_is_refused(place):
    os.mkfifo(place / "pipe.jpg")
    os.mkfifo(place / "in/pipe.jpg")
    assert fault("-") == "-: photos are not read from standard input; save it in a file first"
    for name in ("pipe.jpg", "/dev/null"):
        assert fault(name) == f"{name}: not a file on disk; save the photo in one first"
    assert paths("in") == ["in/a.jpg", "in/b.png", "in/pipe.jpg"]  # reading it says why not; it is not opened here


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs /proc")
def test_a_file_behind_dev_fd_is_refused(place):
    with open("in/a.jpg") as file:
        name = f"/dev/fd/{file.fileno()}"
        assert Path(name).is_file()
        assert "not a file on disk" in fault(name)


def test_odd_names_are_told_in_one_line(place):
    assert fault("line\nbreak.jpg", "no\udcfftext.jpg") == (
        r"line\nbreak.jpg: no such file; no\udcfftext.jpg: no such file")


def test_an_output_names_a_file_if_it_has_a_suffix_of_one_and_is_no_folder(place):
    (place / "v1.png").mkdir()
    assert all(map(sources.names_a_file, ("out.png", "out.JPG", "out.mp4", "out.heic", "out.gif")))
    assert not any(map(sources.names_a_file, (None, "out", "out.png/", "v1.png", "aged_v0.3", "2024.05", "aged.final")))


def test_a_name_that_is_too_long_is_told_before_the_work(place):
    with pytest.raises(UserError, match="File name too long; choose a shorter one with -o, or rename the photo"):
        sources.check_writable(Path("x" * 253 + "_50s.jpg"), set(), force=False)


def test_photos_and_existing_files_may_not_be_written(place):
    (place / "link.jpg").symlink_to("in/a.jpg")
    protected = {sources.real_path("in/a.jpg")}
    for force in (False, True):
        with pytest.raises(UserError, match="link.jpg: is one of the photos, which are never overwritten"):
            sources.check_writable("link.jpg", protected, force)
    with pytest.raises(UserError, match="in/b.png: exists already; overwrite it with --force"):
        sources.check_writable("in/b.png", protected, force=False)
    sources.check_writable("in/b.png", protected, force=True)
    sources.check_writable("in/new.png", protected, force=False)
