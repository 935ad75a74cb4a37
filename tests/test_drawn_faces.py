import numpy as np
import pytest

from ageing import drawn_faces, utkface
from ageing.errors import UserError


def test_a_person_is_the_same_every_time_and_people_differ():
    np.testing.assert_array_equal(drawn_faces.draw(3, 25, 32), drawn_faces.draw(3, 25, 32))
    assert len({drawn_faces.draw(i, 25, 32).tobytes() for i in range(20)}) == 20


@pytest.mark.parametrize("size", [32, 64])
@pytest.mark.parametrize("person", [3, 5, 6])  # a man, two women
def test_a_person_grows_older_more_and_more(person, size):
    faces = [drawn_faces.draw(person, age, size).astype(float) for age in (25, 35, 45, 55, 65, 75, 85)]
    for start in (faces[0], faces[3]):
        change = [np.abs(face - start).mean() for face in faces]
        later = change[change.index(0) + 1:]
        assert later == sorted(later)
        assert later[0] > 2
    # The background stays: the corner pixels change less than the grain of a photo.
    assert all(np.abs(face - faces[0])[:4, :4].max() == 0 for face in faces)


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


def test_of_several_old_ages_each_shows_others_in_training_and_the_same_people_in_validation(tmp_path):
    drawn_faces.fill(tmp_path, train=3, validation=2, size=32)
    one = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.png")}
    drawn_faces.fill(tmp_path, "20s", ("50s", "70s"), train=3, validation=2, size=32)
    assert drawn_faces.count(tmp_path, "20s", ("50s", "70s"), train=3) == (3, 3, 3)
    assert drawn_faces.count(tmp_path, "20s", ("50s",), train=3) == (3, 3)  # 70s of another recipe may be there
    assert {path: path.stat().st_mtime_ns for path in one} == one
    names = {folder.name: [path.name for path in folder.iterdir()] for folder in (tmp_path / "train").iterdir()}
    assert {domain: {utkface.age_of(name) for name in found} for domain, found in names.items()} == {
        "20s": {25}, "50s": {55}, "70s": {75}}
    assert len({name.split("person")[1] for found in names.values() for name in found}) == 9
    young, old = drawn_faces.true_pairs(tmp_path, "20s", "50s", 32)
    same, older = drawn_faces.true_pairs(tmp_path, "20s", "70s", 32)
    np.testing.assert_array_equal(young, same)
    np.testing.assert_array_equal(old, [drawn_faces.draw(10**6 + i, 55, 32) for i in range(2)])
    np.testing.assert_array_equal(older, [drawn_faces.draw(10**6 + i, 75, 32) for i in range(2)])


def test_of_two_domains_with_other_names_one_is_young_and_one_is_old(tmp_path):
    drawn_faces.fill(tmp_path, "before", ("after",), train=1, validation=1, size=32)
    ages = {path.parts[-2]: utkface.age_of(path.name) for path in tmp_path.rglob("*.png")}
    assert ages == {"before": 25, "after": 55}


def test_of_several_old_domains_each_must_tell_its_age(tmp_path):
    with pytest.raises(UserError, match=r"data\.domain_B: of ancient nobody knows the age.* 20s, 30s,"):
        drawn_faces.fill(tmp_path, "20s", ("50s", "ancient"), train=1, validation=1)
    assert not list(tmp_path.iterdir())


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
