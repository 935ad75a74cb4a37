import numpy as np
import pytest

from ageing import drawn_faces, utkface
from ageing.errors import UserError


def test_a_person_is_the_same_every_time_and_people_differ():
    np.testing.assert_array_equal(drawn_faces.draw(3, 25, 32), drawn_faces.draw(3, 25, 32))
    assert len({drawn_faces.draw(i, 25, 32).tobytes() for i in range(20)}) == 20


def test_a_person_grows_older_more_and_more():
    young = drawn_faces.draw(5, 25, 64).astype(float)
    change = [np.abs(drawn_faces.draw(5, age, 64) - young).mean() for age in (35, 45, 55)]
    assert 0 < change[0] < change[1] < change[2]
    # The background stays: the corner pixels change less than the grain of a photo.
    assert np.abs(drawn_faces.draw(5, 55, 64) - young)[:4, :4].max() == 0


def test_folders_are_filled_once_and_validation_people_come_in_pairs(tmp_path):
    assert drawn_faces.count(tmp_path, train=3) == (3, 3)
    assert not list(tmp_path.iterdir())
    drawn_faces.fill(tmp_path, train=3, validation=2, size=32)
    assert drawn_faces.count(tmp_path, train=3) == (3, 3)
    files = sorted(p for p in tmp_path.rglob("*.png"))
    assert len(files) == 10
    assert all(utkface.parse_name(p.name) for p in files)
    mine = next(p for p in files if "train" in p.parts)
    mine.write_bytes(b"a user's own")
    drawn_faces.fill(tmp_path, train=3, validation=2, size=32)
    assert mine.read_bytes() == b"a user's own"
    young, old = drawn_faces.true_pairs(tmp_path, "20s", "50s", 32)
    assert young.shape == old.shape == (2, 32, 32, 3)
    np.testing.assert_array_equal(young[1], drawn_faces.draw(10**6 + 1, 25, 32))
    np.testing.assert_array_equal(old[1], drawn_faces.draw(10**6 + 1, 55, 32))


@pytest.mark.parametrize(("other", "named"), [
    ("photo.jpg", "photo.jpg"), ("train/mine/photo.jpg", "mine"), ("train/20s/photo.jpg", "photo.jpg"),
    ("train/20s/55_0_0_person0000400.png", "55_0_0_person0000400.png"), ("validation/50s/notes.txt", "notes.txt")])
@pytest.mark.parametrize("ask", [drawn_faces.fill, drawn_faces.count])
def test_a_folder_that_holds_anything_else_is_refused_and_stays_as_it_is(tmp_path, other, named, ask):
    theirs = tmp_path / other
    theirs.parent.mkdir(parents=True, exist_ok=True)
    theirs.write_text("a user's own")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError, match=f"holds {named}, which .*data.path"):
        ask(tmp_path, train=3, validation=2)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", ["Thumbs.db", "desktop.ini", ".DS_Store"])
def test_what_systems_leave_in_folders_is_no_ones_photo(tmp_path, name):
    (tmp_path / "train/20s").mkdir(parents=True)
    (tmp_path / "train/20s" / name).write_text("")
    assert drawn_faces.count(tmp_path, train=3, validation=2) == (3, 3)


def test_a_linked_folder_of_photos_is_refused(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/me.jpg").write_text("")
    (tmp_path / "faces/train").mkdir(parents=True)
    (tmp_path / "faces/train/20s").symlink_to(tmp_path / "photos")
    with pytest.raises(UserError, match=r"20s holds me\.jpg, which is no drawn face"):
        drawn_faces.fill(tmp_path / "faces", train=3, validation=2, size=32)
    assert [path.name for path in (tmp_path / "photos").iterdir()] == ["me.jpg"]


@pytest.mark.parametrize("size", [16, 128])
def test_any_size(size):
    assert drawn_faces.draw(1, 55, size).shape == (size, size, 3)
