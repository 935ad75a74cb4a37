"""Visitors' photos: apart from each other, few, and gone afterwards."""

import os
import signal
import subprocess

import pytest
from conftest import ROOT, python
from page_server import Clock

from ageing.page import sessions
from ageing.page.sessions import Full, Sessions, Unknown, Upload


@pytest.fixture
def kept():
    return Sessions(Clock())


def given(kept, session, size=10):
    upload = Upload("a.jpg", size=size)
    kept.reserve(session, size)
    kept.take(session, upload)
    session.reserved = 0
    return upload


def test_keys_cannot_be_guessed(kept, monkeypatch):
    monkeypatch.setattr(sessions, "MOST_SESSIONS", 500)
    keys = {kept.begin().key for _ in range(500)}
    assert len(keys) == 500
    assert min(map(len, keys)) >= 32    # 24 random bytes
    for key in (None, "", "x", next(iter(keys))[:-1]):
        with pytest.raises(Unknown):
            kept.get(key)


def test_the_end_of_a_session_deletes_its_photo_and_no_other(kept):
    one, other = kept.begin(), kept.begin()
    mine, theirs = given(kept, one), given(kept, other)
    kept.end(one.key)
    assert mine.file.closed
    assert not theirs.file.closed
    assert kept.get(other.key).upload is theirs
    with pytest.raises(Unknown):
        kept.get(one.key)
    kept.end("never was")


def test_a_session_that_is_left_alone_ends(kept):
    one, other = kept.begin(), kept.begin()
    upload = given(kept, one)
    kept.clock.now += sessions.IDLE - 1
    kept.get(other.key)
    kept.clock.now += 2
    kept.end_idle()
    assert upload.file.closed
    assert list(kept.all) == [other.key]


def test_a_photo_that_arrives_after_the_end_is_not_kept(kept):
    session = kept.begin()
    kept.end(session.key)
    with pytest.raises(Unknown):
        kept.take(session, Upload("a.jpg"))


def test_the_number_of_sessions_is_bounded_and_those_in_use_stay(kept):
    every = [kept.begin() for _ in range(sessions.MOST_SESSIONS)]
    with pytest.raises(Full):
        kept.begin()
    kept.clock.now += sessions.GIVES_WAY + 1
    for session in every[1:]:
        kept.get(session.key)
    upload = given(kept, every[0])
    kept.begin()
    assert upload.file.closed
    with pytest.raises(Unknown):
        kept.get(every[0].key)
    with pytest.raises(Full):
        kept.begin()


def test_the_bytes_of_all_photos_are_bounded(kept):
    one, two, three = kept.begin(), kept.begin(), kept.begin()
    half = sessions.MOST_KEPT // 2
    first = given(kept, one, half)
    kept.reserve(two, half)                 # on its way
    with pytest.raises(Full):
        kept.reserve(three, 1)
    kept.reserve(two, half)                 # in place of its own
    kept.clock.now += sessions.GIVES_WAY + 1
    kept.get(two.key)
    kept.get(three.key)
    kept.reserve(three, 1)
    assert first.file.closed
    with pytest.raises(Full):
        kept.reserve(three, 2 * half)
    assert sum(session.kept for session in kept.all.values()) <= sessions.MOST_KEPT


@pytest.mark.parametrize(("name", "suffix"), [("a.jpg", ".jpg"), ("a.b.TIFF", ".TIFF"), ("a", ""), ("a.j/g", ""),
                                              ("a.ä", ""), ("a.jpg\n", ""), ("..", ""), ("a.muchtoolong", "")])
def test_a_suffix_is_short_and_plain(name, suffix):
    assert Upload(name).suffix == suffix


def test_a_program_that_is_killed_leaves_no_photo(tmp_path):
    code = "from ageing.page.sessions import Upload\nimport time\nupload = Upload('a.jpg')\n" \
           "upload.file.write(bytes(10_000))\nupload.file.flush()\nprint('kept', flush=True)\ntime.sleep(60)"
    command, settings = python("-c", code, env={"TMPDIR": str(tmp_path)}, cwd=ROOT)
    with subprocess.Popen(command, stdout=subprocess.PIPE, **settings) as child:
        assert child.stdout.readline() == "kept\n"
        os.kill(child.pid, signal.SIGKILL)
    assert not list(tmp_path.iterdir())
