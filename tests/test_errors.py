import os
import signal
import subprocess
import threading

import pytest
from conftest import bound_by_modes, python

import app
import infer_faces
from ageing.errors import UserError, kind_of, run_script


def stumble(error):
    def main():
        raise error
    return main


@pytest.mark.parametrize(("main", "code", "said"), [
    (lambda: 3, 3, ""), (stumble(UserError("two\n  lines")), 1, "error: two lines\n"),
    (stumble(KeyboardInterrupt()), 130, "interrupted\n"),
    (stumble(ModuleNotFoundError(name="yaml")), 1,
     "error: the package yaml is missing; install it with: pip install -r requirements-x.txt\n")])
def test_a_script_ends_with_its_code_and_one_line(capfd, monkeypatch, main, code, said):
    for descriptor, name in ((1, "stdout"), (2, "stderr")):  # not pytest's own streams: these close what they wrap
        monkeypatch.setattr(f"sys.{name}", open(descriptor, "w", buffering=1, closefd=False))  # noqa: SIM115
    with pytest.raises(SystemExit) as stop:
        run_script(main, "requirements-x.txt")
    assert stop.value.code == code
    assert capfd.readouterr().err == said


@pytest.mark.parametrize(("script", "arguments"), [
    *((infer_faces, a) for a in ("", "a.jpg --strength 2", "a.jpg --face 0", "a.jpg --confidence 7", "a.jpg --steps 2",
                                 "a.jpg --strength much", "a.jpg --years 5")),
    *((app, a) for a in ("--port 65536", "--port -1", "--port x", "--max-megapixels 0", "photo.jpg",
                         "--allow-host https://photos.example", "--allow-host photos.example:8443"))])
def test_wrong_arguments_exit_with_2(script, arguments):
    with pytest.raises(SystemExit) as stop:
        script.parse_arguments(arguments.split())
    assert stop.value.code == 2


@pytest.mark.parametrize("closed", ["<&- >&- 2>&-", ">&-", "2>&-"])
def test_a_script_without_a_console_does_its_work(tmp_path, closed):
    """What it prints is lost, and not written into the file that it opens next."""
    code = ("import sys; from ageing.errors import run_script\ndef main():\n    with open('made', 'w') as made:\n"
            "        print('lost', flush=True); print('lost', file=sys.stderr, flush=True); made.write('work')\n"
            "    return 3\nrun_script(main, 'x')")
    command, settings = python("-c", code, cwd=tmp_path)
    done = subprocess.run(["sh", "-c", f'"$@" {closed}', "sh", *command], check=False, capture_output=True, **settings)
    assert done.returncode == 3
    assert (tmp_path / "made").read_text() == "work"


def test_a_script_runs_in_a_notebook_whose_streams_are_no_files(monkeypatch):
    class Cell:
        def __init__(self):
            self.text = ""

        def write(self, text):
            self.text += text

        def flush(self):
            pass

    monkeypatch.setattr("sys.stdout", Cell())
    monkeypatch.setattr("sys.stderr", cell := Cell())
    with pytest.raises(SystemExit) as stop:
        run_script(stumble(UserError("no")), "x")
    assert (stop.value.code, cell.text) == (1, "error: no\n")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (getattr(signal, "SIGHUP", signal.SIGTERM), 129)])
def test_what_asks_to_end_may_ask_again_while_the_script_ends(number, code):
    script = ("import builtins, signal, sys; from ageing.errors import run_script\ntell = print\n"
              "def ask(*text, **more):\n    signal.raise_signal(int(sys.argv[1]))\n    tell(*text, **more)\n"
              "builtins.print = ask\nrun_script(ask, 'x')")
    command, settings = python("-c", script, int(number))
    done = subprocess.run(command, check=False, capture_output=True, **settings)
    assert (done.returncode, done.stderr) == (code, "interrupted\n")


def ends():
    signal.signal(signal.SIGINT, lambda *_: None)   # as training does
    return 0


def test_a_notebooks_signals_are_its_own_again_after_a_script():
    numbers = (signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM))
    before = [signal.getsignal(number) for number in numbers]
    with pytest.raises(SystemExit):
        run_script(ends, "x")
    assert [signal.getsignal(number) for number in numbers] == before


def test_a_script_runs_in_a_thread():
    codes = []

    def call():
        try:
            run_script(lambda: 3, "x")
        except SystemExit as stop:
            codes.append(stop.code)

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    assert codes == [3]


def test_what_is_at_a_path(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "gone").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe")
    names = ("file", "link", "", "pipe", "gone", "nowhere", "file/below", "zero\0byte", "x" * 300)
    assert [kind_of(tmp_path / name) for name in names] == ["file", "file", "folder", "other", *[None] * 5]


# Each gets a path below a folder that it may not enter.
READERS = """
import importlib, pathlib, sys
from ageing.errors import UserError

def call(name, *arguments):
    module, function = name.rsplit(".", 1)
    try:
        print(name, "found", getattr(importlib.import_module(module), function)(*arguments))
    except UserError as error:
        print(name, "one line:", error)
    except BaseException as error:
        print(name, "TRACEBACK", repr(error))

below = pathlib.Path("locked/below")
for options in (["--config", "locked/below"], ["--resume", "locked/below"], ["--export", "locked/below"]):
    call("train.main", options)
for options in (["locked/below"], ["empty", "-o", "locked/below"]):
    call("prepare_utkface.main", options)
for options in (["locked/below"], ["face.jpg", "--weights", "locked/below"]):
    call("infer_faces.main", options)
call("ageing.face_folder.list_images", below)
call("ageing.training.recipe_file.load", "child.yaml")
call("ageing.drawn_faces.fill", below)
call("ageing.photos.opening.check_file", below)
call("ageing.photos.photo_file.read", below, 100)
call("ageing.evaluation.photos.photos_in", below)
"""


def test_a_path_below_a_folder_that_may_not_be_entered_is_one_line(tmp_path):
    for folder in ("locked", "empty"):
        (tmp_path / folder).mkdir()
    (tmp_path / "face.jpg").write_bytes(b"")
    (tmp_path / "child.yaml").write_text("base: locked/below.yaml")
    (tmp_path / "locked").chmod(0)
    command, settings = python("-c", READERS, cwd=tmp_path)
    done = subprocess.run(command, capture_output=True, preexec_fn=bound_by_modes, **settings)
    (tmp_path / "locked").chmod(0o700)
    lines = done.stdout.splitlines()
    assert len(lines) == READERS.count("call(") + 3, done.stderr
    assert not [line for line in lines if "locked/below" not in line or "ermission denied" not in line]
