import numpy as np
import pytest
from PIL import Image, ImageDraw

from ageing import face_folder, forehead

SKINS = {"light": (238, 205, 180), "dark": (92, 60, 42)}
RED, BLACK = (160, 10, 30), (20, 10, 10)


def face(skin, size=128, dot=None, line=None, at=(0.5, 0.22)):
    """Skin all over, with a dot on the forehead or a line across it, each of the colour given."""
    face = Image.new("RGB", (size, size), skin)
    x, y = at[0] * size, at[1] * size
    pen, reach = ImageDraw.Draw(face), 0.03 * size
    if dot:
        pen.ellipse((x - reach, y - reach, x + reach, y + reach), fill=dot)
    if line:
        pen.rectangle((x - reach / 2, y - 4 * reach, x + reach / 2, y + 4 * reach), fill=line)
    return np.asarray(face)


@pytest.mark.parametrize(("skin", "colours"), [(SKINS["light"], (RED, BLACK)), (SKINS["dark"], (RED,))], ids=SKINS)
@pytest.mark.parametrize("size", [64, 128, 256])
def test_a_bindi_is_a_spot_a_frown_and_skin_are_none(skin, colours, size):
    darker = tuple(int(0.75 * c) for c in skin)
    assert forehead.spot_contrast(face(skin, size)) == pytest.approx(0, abs=0.1)
    assert forehead.spot_contrast(face(skin, size, line=darker)) < 1
    for colour in colours:
        assert forehead.spot_contrast(face(skin, size, dot=colour)) > forehead.WORN
        assert forehead.spot_contrast(face(skin, size, dot=colour, at=(0.5, 0.7))) < 1  # on the mouth


def test_faces_with_a_mark_on_the_forehead_are_skipped_on_demand(tmp_path):
    (tmp_path / "20s").mkdir()
    for i, dot in enumerate((None, RED, None)):
        Image.fromarray(face(SKINS["light"], dot=dot)).save(tmp_path / "20s" / f"25_1_3_{i}.png")
    for skip, left in ((False, 3), (True, 2)):
        domain = face_folder.load_domain(tmp_path / "20s", 64, progress=False, skip_marked=skip)
        assert len(domain) == left
        assert domain.skipped == ({"with a mark on the forehead": 1} if skip else {})
