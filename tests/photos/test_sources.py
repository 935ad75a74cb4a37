"""Which photos a command line means, and which files may be written."""

import pytest
from PIL import Image
from sample_photos import RGB

from ageing.errors import UserError
from ageing.photos import photo_file, sources


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A working folder with in/a.jpg, in/b.png, an earlier output, a hidden file and a text."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    for name in ("b.png", "a.jpg"):
        Image.fromarray(RGB).save(tmp_path / "in" / name)
    photo_file.save_sheet(tmp_path / "in/a_50s.jpg", RGB)
    (tmp_path / "in/._a.jpg").write_text("what macOS leaves")
    (tmp_path / "in/notes.txt").write_text("no photo")
    return tmp_path


def expand(*names):
    return [str(path) for path in sources.expand(names)]


def test_a_folder_means_its_photos_without_earlier_outputs(place):
    assert expand("in") == ["in/a.jpg", "in/b.png"]


def test_a_pattern_means_the_files_that_match(place):
    assert expand("in/*.png") == ["in/b.png"]
    assert expand("nothing*.jpg") == []


def test_a_name_with_brackets_may_be_a_file(place):
    (place / "in/a.jpg").rename("c[1].jpg")
    assert expand("c[1].jpg") == ["c[1].jpg"]


def test_names_are_kept_in_order_and_each_once(place):
    assert expand("in/b.png", "missing.jpg", "in", "in/?.png") == ["in/b.png", "missing.jpg", "in/a.jpg"]


def test_a_name_that_the_system_refuses_is_named(place):
    with pytest.raises(UserError, match=r"^x{80}: cannot be read"):
        sources.expand(["x" * 5000])


def test_an_output_names_a_file_if_it_has_a_suffix_and_is_no_folder(place):
    (place / "v1.2").mkdir()
    assert sources.names_a_file("out.png")
    assert not any(map(sources.names_a_file, (None, "out", "out.png/", "v1.2")))


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
