import os
import signal
import stat
import subprocess
import time

import pytest
from conftest import python

from ageing import storage
from ageing.errors import UserError
from ageing.storage import replacing


def test_what_is_written_appears_whole(tmp_path):
    with replacing(tmp_path / "new" / "a.txt") as temporary:
        temporary.write_text("all of it")
        assert not (tmp_path / "new" / "a.txt").exists()
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["a.txt"]
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE((tmp_path / "new" / "a.txt").stat().st_mode) == 0o666 & ~umask


def test_an_error_leaves_what_was_there(tmp_path):
    (tmp_path / "a.txt").write_text("old")

    def stumble():
        with replacing(tmp_path / "a.txt") as temporary:
            temporary.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        stumble()
    assert (tmp_path / "a.txt").read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_full_disk_is_named(tmp_path):
    with pytest.raises(UserError, match=r"a\.txt could not be written: No space left"), replacing(tmp_path / "a.txt"):
        raise OSError(28, "No space left on device")


@pytest.mark.parametrize(("name", "said"), [("file/a.txt", "could not be written"),
                                            ("x" * 256, "too long. Choose a shorter name")])
def test_a_name_that_cannot_be_written_is_named(tmp_path, name, said):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=said), replacing(tmp_path / name):
        pass


@pytest.mark.parametrize(("mode", "made"), [(0o600, 0o600), (0o640, 0o640), (0o644, 0o644), (0o400, 0o600)])
def test_what_is_made_of_a_private_file_is_private(tmp_path, mode, made):
    (tmp_path / "mine").write_text("")
    (tmp_path / "mine").chmod(mode)
    umask = os.umask(0o022)
    try:
        with storage.as_private_as(tmp_path / "mine"), replacing(tmp_path / "a"):
            pass
        with replacing(tmp_path / "b"):
            pass
    finally:
        os.umask(umask)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == made
    assert stat.S_IMODE((tmp_path / "b").stat().st_mode) == 0o644


def test_a_share_that_refuses_chmod_can_be_written(tmp_path, monkeypatch):
    def refuse(*arguments, **more):
        raise PermissionError(1, "Operation not permitted")

    for name in ("chmod", "fchmod"):
        monkeypatch.setattr(os, name, refuse)
    with replacing(tmp_path / "a") as temporary:
        temporary.write_text("whole")
    assert (tmp_path / "a").read_text() == "whole"


WRITES = """
import sys, time
from ageing.errors import run_script
from ageing.storage import replacing

def main():
    with replacing(sys.argv[1]) as temporary:
        temporary.write_text("half")
        print("writing", flush=True)
        time.sleep(60)

run_script(main, "")
"""


@pytest.fixture
def writer(tmp_path):
    """A process that writes `tmp_path`/a and never ends."""
    command, settings = python("-c", WRITES, tmp_path / "a")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **settings) as child:
        child.stdout.readline()
        yield child
        child.kill()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_what_is_asked_to_end_leaves_nothing(tmp_path, writer, number, code):
    writer.send_signal(number)
    _, err = writer.communicate(timeout=20)
    assert (writer.returncode, err) == (code, "interrupted\n")
    assert not list(tmp_path.iterdir())


def test_what_a_killed_writer_left_goes_at_the_next_write_and_nothing_else_does(tmp_path, writer):
    (tmp_path / ".writing-abcdefgh.txt").write_text("a user's own")
    with replacing(tmp_path / "b"):
        assert len(list(tmp_path.iterdir())) == 3   # the writer still runs
    writer.kill()
    writer.wait()
    storage._clear_once.cache_clear()   # as in another process
    with replacing(tmp_path / "b"):
        pass
    assert {path.name for path in tmp_path.iterdir()} == {".writing-abcdefgh.txt", "b"}


def test_a_writer_on_this_machine_may_pause_for_days(tmp_path, writer):
    half, = tmp_path.iterdir()
    os.utime(half, (0, time.time() - 2 * storage.FORGOTTEN))
    storage.clear_leftovers(tmp_path)
    assert half.exists()


def test_another_container_with_this_machines_name_is_another_machine(tmp_path, writer, monkeypatch):
    half, = tmp_path.iterdir()
    monkeypatch.setattr(os, "readlink", lambda path: "pid:[1]")    # where the writer's number means nothing
    monkeypatch.setattr(storage, "_runs", lambda process: False)
    storage.clear_leftovers(tmp_path)
    assert half.exists()


def test_what_another_machine_writes_stays_for_a_day(tmp_path):
    (tmp_path / ".writing-00000000-1-12345678").mkdir()     # a folder, as an export makes it
    storage.clear_leftovers(tmp_path)
    assert len(list(tmp_path.iterdir())) == 1
    os.utime(tmp_path / ".writing-00000000-1-12345678", (0, time.time() - 2 * storage.FORGOTTEN))
    storage.clear_leftovers(tmp_path)
    assert not list(tmp_path.iterdir())
