"""Where the outputs for each photo are written."""

import pytest
from PIL import Image
from sample_photos import RGB

from ageing.errors import UserError
from ageing.photos import outputs
from ageing.photos.outputs import Kind
from ageing.photos.sources import find

OLDER, COMPARE, MOVING = Kind("50s"), Kind("50s_compare", ".jpg"), Kind("ages", ".webp")


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def photos(*names):
    for name in names:
        Image.fromarray(RGB).save(name)


def planned(names, kinds, output=None, recursive=False):
    """{photo: [outputs]}"""
    return {str(job.photo): [str(job.outputs[kind]) for kind in kinds]
            for job in outputs.jobs(find(names, recursive), kinds, output)}


def test_beside_the_photo_or_in_the_folder_with_its_own_suffix(place):
    photos("a.jpg", "b.TIFF", "c.jpeg")
    Image.fromarray(RGB).save("png.jpg", "PNG")
    Image.fromarray(RGB).save("none", "WEBP")
    names = ["a.jpg", "b.TIFF", "c.jpeg", "png.jpg", "none"]
    assert list(planned(names, [OLDER, MOVING], "out").values()) == [
        [f"out/{name}", f"out/{sheet}"] for name, sheet in (
            ("a_50s.jpg", "a_ages.webp"), ("b_50s.TIFF", "b_ages.webp"), ("c_50s.jpeg", "c_ages.webp"),
            ("png_50s.png", "png_ages.webp"), ("none_50s.webp", "none_ages.webp"))]
    (place / "in").mkdir()
    photos("in/a.jpg")
    assert planned(["in/a.jpg"], [OLDER, COMPARE]) == {"in/a.jpg": ["in/a_50s.jpg", "in/a_50s_compare.jpg"]}


@pytest.mark.parametrize("suffix", ["bmp", "gif", "jp2", "ppm", "pgm", "tga"])
def test_formats_that_cannot_carry_the_mark_become_png(suffix):
    photos(f"a.{suffix}")
    assert planned([f"a.{suffix}"], [OLDER]) == {f"a.{suffix}": ["a_50s.png"]}


def test_the_tree_is_kept(place):
    (place / "in/x/y").mkdir(parents=True)
    photos("in/a.jpg", "in/x/y/a.jpg")
    assert planned(["in"], [OLDER], "out", recursive=True) == {
        "in/a.jpg": ["out/a_50s.jpg"], "in/x/y/a.jpg": ["out/x/y/a_50s.jpg"]}
    assert planned(["in"], [OLDER], recursive=True) == {
        "in/a.jpg": ["in/a_50s.jpg"], "in/x/y/a.jpg": ["in/x/y/a_50s.jpg"]}


def test_a_file_takes_the_photo_and_sheets_lie_beside_it():
    photos("a.jpg")
    assert planned(["a.jpg"], [OLDER, MOVING, COMPARE], "x/older.png") == {
        "a.jpg": ["x/older.png", "x/older_ages.webp", "x/older_50s_compare.jpg"]}
    assert planned(["a.jpg"], [MOVING], "x/ages.gif") == {"a.jpg": ["x/ages.gif"]}   # a sheet alone
    with pytest.raises(UserError, match=r".png: a moving picture is written as .webp or .gif"):
        planned(["a.jpg"], [MOVING], "ages.png")
    with pytest.raises(UserError, match=r"\.bmp"):
        planned(["a.jpg"], [OLDER], "older.bmp")


def test_equal_names_get_the_suffix_only_where_needed(place):
    (place / "in").mkdir()
    photos("in/p.jpg", "in/p.png", "in/p.bmp", "in/q.bmp")
    assert planned(["in"], [OLDER, COMPARE]) == {
        "in/p.bmp": ["in/p_bmp_50s.png", "in/p_bmp_50s_compare.jpg"],
        "in/p.jpg": ["in/p_50s.jpg", "in/p_jpg_50s_compare.jpg"],
        "in/p.png": ["in/p_png_50s.png", "in/p_png_50s_compare.jpg"],
        "in/q.bmp": ["in/q_50s.png", "in/q_50s_compare.jpg"]}


def test_names_that_stay_equal_are_an_error_before_any_work(place):
    for folder in ("x", "y"):
        (place / folder).mkdir()
        photos(f"{folder}/p.jpg")
    with pytest.raises(UserError, match="x/p.jpg and y/p.jpg would both be written to out/p_jpg_50s.jpg"):
        planned(["x", "y"], [OLDER], "out")


@pytest.mark.parametrize(("names", "resumes"), [(["in/a.jpg"], False), (["in"], True), (["in/?.jpg"], True),
                                                (["in/a.jpg", "b.jpg"], True)])
def test_one_photo_that_is_named_itself_does_not_resume(place, names, resumes):
    (place / "in").mkdir()
    photos("in/a.jpg", "b.jpg")
    assert all(job.resumes == resumes for job in outputs.jobs(find(names), [OLDER]))


def test_a_damaged_photo_keeps_its_suffix():
    for name in ("a.jpg", "b.xyz"):
        with open(name, "w") as file:
            file.write("no")
    assert planned(["a.jpg", "b.xyz"], [OLDER]) == {"a.jpg": ["a_50s.jpg"], "b.xyz": ["b_50s.png"]}


def test_mpo_becomes_jpeg():
    for name in ("a.jpg", "b.mpo"):
        Image.fromarray(RGB).save(name, "MPO", save_all=True, append_images=[Image.fromarray(RGB)])
    assert planned(["a.jpg", "b.mpo"], [OLDER]) == {"a.jpg": ["a_50s.jpg"], "b.mpo": ["b_50s.jpg"]}


def test_heif_becomes_jpeg(place):
    (place / "phone.HEIC").write_text("")
    assert planned(["phone.HEIC"], [OLDER]) == {"phone.HEIC": ["phone_50s.jpg"]}
