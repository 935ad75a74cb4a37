"""The page's server in a thread of this process, with stubs in place of its networks, and a visitor without browser."""

import contextlib
import copy
import dataclasses
import http.client
import json
import re
import socket
import subprocess
import sys
import threading
import time
from urllib.parse import quote, unquote

import numpy as np
import uvicorn
from conftest import ROOT, python

from ageing.faces.alignment import placement_of
from ageing.faces.detector import Face
from ageing.page import server
from ageing.page.worker import Worker

sys.path.append(str(ROOT / "tests/photos"))   # sample_photos and its neighbours
FACES = [Face((60, 40, 160, 160), 1.0), Face((180, 50, 230, 110), 1.0)]


class Finds:
    """In place of a Detector: finds FACES, or none in photos that are less than 100 pixels high."""

    def find(self, photo):
        return [face for face in FACES if photo.shape[0] >= 100]


class Squares:
    """In place of an Aligner: the squares about the detector's boxes."""

    def align(self, photo, faces):
        return [dataclasses.replace(placement_of(face.box), aligned=True) for face in faces]


class Marbled:
    """In place of a Translator: a pattern of grey levels, `sign` says whether it lightens. Notes what it is told.

    It takes `seconds`, and notes how many work at the same time. Told an age, it changes a hundredth per year.
    """

    size, multiple, age = 32, 4, None
    at_once = most_at_once = 0

    def __init__(self, sign, title, seconds=0.0, ages=None):
        self.sign, self.title, self.seconds, self.ages, self.calls = sign, title, seconds, ages, []

    def told(self, age):
        other = copy.copy(self)
        other.age, other.sign = age, self.sign * age / 100
        return other

    def change(self, crops):
        self.calls.append(self.age)
        Marbled.at_once += 1
        Marbled.most_at_once = max(Marbled.most_at_once, Marbled.at_once)
        time.sleep(self.seconds)
        Marbled.at_once -= 1
        y, x = np.mgrid[:self.size, :self.size]
        pattern = self.sign * (20 + 15 * np.sin(x / 3) + 10 * np.cos(y / 4))[..., None] * (1, 0.8, 0.6)
        return np.broadcast_to(pattern, crops.shape).astype(np.float32)


def pages(seconds=0.0, kept=None, ages=None):
    """server.Pages with stubs. ages: that the generator which ages can be told, see Translator."""
    translators = {"age": Marbled(1, "50s", seconds, ages), "rejuvenate": Marbled(-1, "20s", seconds)}
    worker = Worker(Finds(), Squares(), translators)
    return server.Pages(worker, kept)


@contextlib.contextmanager
def served(pages, host="127.0.0.1", allowed=()):
    """The port at which `pages` are served."""
    with socket.create_server(("127.0.0.1", 0)) as place:
        config = uvicorn.Config(server.application(pages, host, allowed), http="h11", loop="asyncio", ws="none",
                                log_config=None, log_level="error", access_log=False, timeout_graceful_shutdown=1)
        running = uvicorn.Server(config)
        thread = threading.Thread(target=running.run, args=[[place]])
        thread.start()
        try:
            while not running.started:
                time.sleep(0.01)
            yield place.getsockname()[1]
        finally:
            running.should_exit = True
            thread.join()


@contextlib.contextmanager
def started(*arguments):
    """(child process of app.py, port, the line that it printed)."""
    command, settings = python(ROOT / "app.py", "--no-browser", "--port", 0, *arguments, cwd=ROOT)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **settings) as child:
        line = child.stdout.readline()
        try:
            yield child, int(re.search(r":(\d+)/ ", line)[1]), line
        finally:
            child.terminate()


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


def until(condition):
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


class Visitor:
    """What the page's script does, without a browser."""

    def __init__(self, port):
        self.port, self.session, self.number = port, "", ""
        self.session = json.loads(self.ask("/session").body)["session"]

    def ask(self, path, body=b"", headers=None, method="POST"):
        """The answer, with its `body`. Header fields that are None are not sent."""
        return ask(self.port, path, body, {"Session": self.session, **(headers or {})}, method)

    def open(self, name, data):
        answer = self.ask("/photo", data, {"Name": quote(name)})
        if answer.status == 200:
            self.number = answer.headers["number"]
        return answer

    def edited(self, strength, faces=(0, 1), more=""):
        return self.edited_at(stop(strength), faces, more)

    def edited_at(self, stop, faces=(0, 1), more=""):
        chosen = "".join(f"&face={face}" for face in faces)
        return self.ask(f"/photo/{self.number}/edited?stop={stop}{chosen}{more}")


def stop(strength):
    """The index of the slider's stop for a strength; a negative one is younger."""
    return 30 + round(20 * strength)


def ask(port, path, body=b"", headers=None, method="POST"):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    sent = {"Origin": f"http://127.0.0.1:{port}", **(headers or {})}
    with contextlib.closing(connection):
        connection.request(method, path, body, {name: value for name, value in sent.items() if value is not None})
        answer = connection.getresponse()
        answer.body = answer.read()
        return answer


def sentence(answer):
    """The text of an answer that is an error, checked to be one sentence or two in one line."""
    text = answer.body.decode()
    assert answer.headers["content-type"].startswith("text/plain")
    assert text.endswith(".")
    assert "\n" not in text
    assert "Traceback" not in text
    return text


def name_of(answer):
    """The name under which an answer is saved."""
    return unquote(answer.headers["content-disposition"].split("''")[1])


def unpacked(body):
    """What blend.js reads in the answer to a photo: (description, RGBA, [(weights, {direction: delta})])."""
    length = int.from_bytes(body[:4], "little")
    head = json.loads(body[4:4 + length])

    def array(start, kind, shape):
        return np.frombuffer(body, kind, int(np.prod(shape)), 4 + length + start).reshape(shape)

    width, height = head["size"]
    faces = []
    for face in head["faces"]:
        shape = face["place"][3], face["place"][2]
        weights = array(face["weights"], "<u2", shape) / head["weights"]
        faces.append((weights, {direction: array(start, "<i2", (*shape, 3)) / head["levels"]
                                for direction, start in face["deltas"].items()}))
    return head, array(0, "u1", (height, width, 4)), faces
