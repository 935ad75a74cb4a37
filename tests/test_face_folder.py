import numpy as np
import pytest
from PIL import Image

from ageing import face_folder
from ageing.errors import UserError


def test_broken_and_tiny_images_are_skipped_and_counted(tmp_path):
    folder = tmp_path / "20s"
    folder.mkdir()
    Image.new("RGB", (40, 40)).save(folder / "25_0_0_good.jpg")
    Image.new("CMYK", (40, 50)).save(folder / "25_0_0_cmyk.jpg")
    Image.new("L", (40, 40)).save(folder / "25_0_0_grey.png")
    Image.new("RGB", (8, 8)).save(folder / "25_0_0_tiny.png")
    good = (folder / "25_0_0_good.jpg").read_bytes()
    (folder / "25_0_0_cut.jpg").write_bytes(good[:len(good) // 2])
    (folder / "25_0_0_empty.jpg").write_bytes(b"")
    (folder / "25_0_0_text.jpg").write_text("no picture")
    domain = face_folder.load_domain(folder, 16, progress=False)
    assert len(domain) == 3
    assert domain.skipped == {"tiny": 1, "unreadable": 3}


@pytest.mark.parametrize("state", ["missing", "empty", "broken"])
def test_folder_without_faces_is_named(tmp_path, state):
    folder = tmp_path / "20s"
    if state != "missing":
        folder.mkdir()
    if state == "broken":
        (folder / "a.jpg").write_text("no picture")
    with pytest.raises(UserError, match="20s: .*prepare_utkface"):
        face_folder.load_domain(folder, 16, progress=False)


def test_fixed_faces_stay_when_others_are_added(tmp_path):
    for i in range(20):
        Image.new("RGB", (32, 32), (i,) * 3).save(tmp_path / f"25_0_0_{i}.png")
    before = face_folder.fixed_faces(tmp_path, 16, 5)
    np.testing.assert_array_equal(before, face_folder.fixed_faces(tmp_path, 16, 5))
    (tmp_path / "25_0_0_broken.png").write_text("")
    np.testing.assert_array_equal(before, face_folder.fixed_faces(tmp_path, 16, 5))
