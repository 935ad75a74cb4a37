"""Show what a camera sees, with the faces aged, in a window."""

import os
import sys
import time

import cv2

from ageing.clips.steady_changes import SteadyChanges
from ageing.errors import UserError
from ageing.faces import blending

TITLE = "Aged faces: q ends"


def run(source, tracker, target, window):
    """Show the pictures of a camera until the window says that it was closed. Returns their number.

    source: the camera's index, or a clip's path in its place. tracker: a tracking.Tracker. target: an ages.Target.
    window: a function that shows an uint8 RGB picture and returns whether to go on. Raises UserError if there are no
    pictures.
    """
    cv2.utils.logging.setLogLevel(0)  # what goes wrong is told as one UserError
    camera = cv2.VideoCapture(source)
    camera.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # old pictures are dropped, not shown late
    steady, begin, shown = SteadyChanges({target: target.translator}), time.monotonic(), 0
    try:
        while True:
            there, picture = camera.read()
            if not there:
                break
            photo, now = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), time.monotonic() - begin
            changes = steady.update(photo, tracker.update(photo, now), now)[target]
            shown += 1
            if not window(blending.blend(photo, changes, target.amount)):
                break
    finally:
        camera.release()
    if not shown:
        raise UserError(f"camera {source}: no picture comes from it; is it connected, free, and allowed for this "
                        "program?")
    return shown


def open_window():
    """A function that shows an uint8 RGB picture in a window: it returns False when q is pressed or the window closed.

    Raises UserError if no window is possible here.
    """
    if reason := no_window():
        raise UserError(f"--camera: no window is possible: {reason}")
    cv2.namedWindow(TITLE, cv2.WINDOW_AUTOSIZE | cv2.WINDOW_GUI_NORMAL)

    def show(picture):
        cv2.imshow(TITLE, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        pressed = cv2.waitKey(1) & 0xFF
        return pressed != ord("q") and cv2.getWindowProperty(TITLE, cv2.WND_PROP_VISIBLE) >= 1
    return show


def no_window():
    """Why no window can be opened, or None. Without a screen, OpenCV would end the whole program."""
    gui = next((line.split(":")[1].strip() for line in cv2.getBuildInformation().splitlines()
                if line.strip().startswith("GUI:")), "")
    if gui in ("", "NONE"):
        return ("this OpenCV is built without windows; pip uninstall opencv-python-headless, then pip install "
                "opencv-python")
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return "there is no screen (DISPLAY is not set)"
    return None
