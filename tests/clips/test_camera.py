"""A camera's picture in a window; a clip is the camera here."""

import re
import sys
import types

import cv2
import numpy as np
import pytest
import sample_clips
from conftest import Stub

import infer_faces
from ageing.clips import camera
from ageing.errors import UserError
from ageing.faces import translator


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(translator, "Translator", lambda path: Stub(40))
    sample_clips.write_face("face.mp4", 0.6, 15, motion=0)
    return tmp_path


def run(*arguments):
    return infer_faces.main([str(a) for a in arguments])


def test_the_faces_of_a_camera_are_shown_aged_until_q(place, monkeypatch, capsys):
    shown = []

    def show(picture):
        shown.append(picture)
        return len(shown) < 6

    monkeypatch.setattr(camera, "open_window", lambda: show)
    assert run("--camera", "face.mp4") == 0
    assert len(shown) == 6
    source = sample_clips.rgb(sample_clips.read("face.mp4")[0][5][1]).astype(int)
    change = shown[5] - source
    assert change[45:55, 190:200].mean() > 25
    assert np.abs(change[:, :80]).mean() < 4
    assert "q in the window ends" in capsys.readouterr().out
    assert [path.name for path in place.iterdir()] == ["face.mp4"]


def test_the_end_of_the_pictures_ends_it(place, monkeypatch):
    shown = []
    monkeypatch.setattr(camera, "open_window", lambda: lambda picture: shown.append(picture) or True)
    assert run("--camera", "face.mp4", "--strength", 0.5, "--face", "largest") == 0
    assert len(shown) == 9


@pytest.mark.parametrize("source", ["missing.mp4", "9"])
def test_no_camera_is_one_line(place, monkeypatch, capfd, source):
    monkeypatch.setattr(camera, "open_window", lambda: None)
    with pytest.raises(UserError, match=f"camera {source}: no picture comes from it; is it connected, free"):
        run("--camera", source)
    assert capfd.readouterr().err == ""


def test_where_no_window_is_possible_it_says_what_to_install(place, monkeypatch):
    monkeypatch.setattr(cv2, "getBuildInformation", lambda: "  OpenCV\n  GUI:                           NONE\n")
    with pytest.raises(UserError, match="--camera: no window is possible: .*then pip install opencv-python"):
        run("--camera", 0)
    monkeypatch.setattr(cv2, "getBuildInformation", lambda: "  GUI:                           QT5\n")
    monkeypatch.setattr(sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UserError, match=re.escape("there is no screen (DISPLAY is not set)")):
        run("--camera", 0)


def test_q_and_closing_the_window_end_it(monkeypatch):
    state = types.SimpleNamespace(key=-1, visible=1.0, shown=[])
    monkeypatch.setattr(camera, "no_window", lambda: None)
    monkeypatch.setattr(cv2, "namedWindow", lambda *arguments: None)
    monkeypatch.setattr(cv2, "imshow", lambda title, picture: state.shown.append(picture))
    monkeypatch.setattr(cv2, "waitKey", lambda milliseconds: state.key)
    monkeypatch.setattr(cv2, "getWindowProperty", lambda title, name: state.visible)
    show = camera.open_window()
    picture = np.zeros((2, 2, 3), np.uint8)
    picture[..., 0] = 200
    assert show(picture)
    assert state.shown[0][0, 0].tolist() == [0, 0, 200]     # OpenCV shows blue, green, red
    state.key = ord("q")
    assert not show(picture)
    state.key, state.visible = -1, 0.0
    assert not show(picture)


@pytest.mark.parametrize("wrong", ["a.jpg", "-o out.mp4", "--compare", "--direction both", "--json -", "--codec av1"])
def test_what_a_camera_cannot_do_is_a_wrong_argument(wrong, capsys):
    with pytest.raises(SystemExit) as ended:
        run("--camera", 0, *wrong.split())
    assert ended.value.code == 2
    assert "--camera only shows a picture; use it without" in capsys.readouterr().err


def test_neither_photos_nor_a_camera(capsys):
    with pytest.raises(SystemExit) as ended:
        run("--strength", 1)
    assert ended.value.code == 2
    assert "arguments are required: PHOTO" in capsys.readouterr().err
