"""One clip after the other: what is written, what is reported, how it ends early."""

import io
import os
import re
import signal
import subprocess
import time
import types
from pathlib import Path

import moving_portrait
import numpy as np
import pytest
import sample_clips
from conftest import ROOT, Stub, python

from ageing.clips import clip_file, video
from ageing.clips.video import ClipEditor
from ageing.errors import UserError
from ageing.faces import ages
from ageing.faces.alignment import Aligner
from ageing.faces.detector import Detector
from ageing.faces.direction import Direction
from ageing.photos import outputs
from ageing.photos.editor import Editor
from ageing.photos.photo_report import closing, summary
from ageing.photos.sources import find


@pytest.fixture(scope="module")
def parts():
    return Detector(), Aligner()


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """A folder with face.mp4 (12 frames, with sound) and nobody.mp4."""
    place = tmp_path_factory.mktemp("clips")
    sample_clips.write_face(place / "face.mp4", 0.8, 15, sound="aac", matrix=1)
    sample_clips.write(place / "nobody.mp4", sample_clips.pictures(6))
    return place


@pytest.fixture
def place(tmp_path, monkeypatch, clips):
    monkeypatch.chdir(tmp_path)
    for clip in clips.iterdir():
        os.link(clip, tmp_path / clip.name)
    return tmp_path


def editor(parts, codec=None, targets=None, **more):
    return ClipEditor(Editor(*parts, targets or ages.of_directions({Direction.AGE: Stub(40)}), **more), codec)


def attempt(one, *names, output=None):
    return [one.attempt(job) for job in outputs.jobs(find(names), one.editor.kinds, output, one.codec)]


def change(path, source="face.mp4"):
    """float (n, H, W, 3)."""
    before, after = (np.stack([sample_clips.rgb(frame) for _, frame in sample_clips.read(one)[0]]).astype(float)
                     for one in (source, path))
    return after - before


def test_a_line_every_ten_seconds_where_there_is_no_terminal(monkeypatch, capsys):
    clip = types.SimpleNamespace(path=Path("in/face.mp4"), frames=120)
    now = iter(range(0, 999, 4))    # four seconds a frame
    monkeypatch.setattr(video.time, "monotonic", lambda: float(next(now)))
    lines = video.Lines(clip)
    for _ in range(6):
        lines.update()
    clip.frames = None
    for _ in range(3):
        lines.update()
    assert capsys.readouterr().err.splitlines() == [
        "face.mp4: 3 of 120 frames, 7:48 left", "face.mp4: 6 of 120 frames, 7:36 left", "face.mp4: 9 frames"]


def test_every_frame_is_changed_in_the_face_only(place, parts):
    report, = attempt(editor(parts), "face.mp4")
    assert report["outputs"] == ["face_50s.mp4"]
    assert (report["width"], report["height"], report["frames"]) == (384, 216, 12)
    face, = report["faces"]
    left, top, right, bottom = map(int, face["box"])
    assert face | {"box": []} == {"number": 1, "box": [], "from": 0.0, "to": pytest.approx(11 / 15, abs=1e-3),
                                  "aligned": True, "edited": True}
    assert summary(report) == "face.mp4: 1 face in 12 frames made older (50s) -> face_50s.mp4"
    assert report["seconds"].keys() == {"read", "follow", "translate", "write"}
    changed = change("face_50s.mp4")
    here = changed[:, top:bottom, left:right].mean(3)     # the face moves: in the last frame half of it is here
    assert (np.percentile(here, 75, axis=(1, 2)) > 25).all()
    assert np.abs(changed[:, :, :80].mean((1, 2, 3))).max() < 1.5
    assert sample_clips.packets("face_50s.mp4") == sample_clips.packets("face.mp4")
    assert clip_file.is_marked("face_50s.mp4")
    assert not list(place.glob(".writing*"))


def test_strength_and_both_directions(place, parts):
    targets = [ages.Target("50s", Direction.AGE, Stub(40), 0.5), ages.Target("20s", Direction.REJUVENATE, Stub(-40), 0)]
    report, = attempt(editor(parts, "ffv1", targets), "face.mp4")
    assert report["outputs"] == ["face_50s_0.5.mkv", "face_20s_0.mkv"]
    assert 15 < change("face_50s_0.5.mkv").max(axis=(1, 2, 3)).min() < 30
    assert not change("face_20s_0.mkv").any()    # strength 0 without loss is the clip itself


def test_a_clip_without_faces_is_reported_and_nothing_is_written(place, parts):
    report, = attempt(editor(parts), "nobody.mp4")
    assert report["faces"] == report["outputs"] == []
    assert summary(report) == "nobody.mp4: no face found, nothing written (lower --confidence to find more)"
    assert {path.name for path in place.iterdir()} == {"face.mp4", "nobody.mp4"}


def test_a_number_that_no_face_has(place, parts):
    report, = attempt(editor(parts, face=2), "face.mp4")
    assert report == {"clip": "face.mp4",
                      "error": "face.mp4: --face 2, but 1 found; --json says where each of them first stood"}
    assert not (place / "face_50s.mp4").exists()


def test_outputs_that_exist_and_second_runs(place, parts):
    (place / "in").mkdir()
    (place / "face.mp4").rename("in/face.mp4")
    first, = attempt(editor(parts), "in")
    done, = attempt(editor((None, None)), "in")   # without a detector, it would fail
    assert done == {"clip": "in/face.mp4", "done before": True, "outputs": ["in/face_50s.mp4"]}
    assert closing([first, done], "") == "1 clip: 1 edited (1 face); 1 done before"
    again, = attempt(editor(parts), "in/face.mp4")
    assert "in/face_50s.mp4: exists already; overwrite it with --force" in again["error"]
    forced, = attempt(editor(parts, force=True), "in")
    assert forced["outputs"] == ["in/face_50s.mp4"]


def test_any_error_stops_its_clip_only_and_leaves_nothing(place, parts, monkeypatch):
    (place / "bad.mp4").write_text("no clip")
    monkeypatch.setattr(clip_file.Writer, "write", lambda *arguments: 1 / 0)
    bad, broken = attempt(editor(parts), "bad.mp4", "face.mp4")
    assert bad["error"].startswith("bad.mp4: a damaged clip")
    assert broken == {"clip": "face.mp4", "error": "face.mp4: ZeroDivisionError: division by zero"}
    assert {path.name for path in place.iterdir()} == {"face.mp4", "nobody.mp4", "bad.mp4"}


def test_a_full_disk_is_one_line(place, parts, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(clip_file.Writer, "write", full)
    report, = attempt(editor(parts), "face.mp4")
    assert report["error"].startswith("face_50s.mp4 could not be written: No space left on device")


@pytest.mark.parametrize(("name", "error", "told"), [
    ("face.mp4", ZeroDivisionError("division by zero"), "ZeroDivisionError: division by zero"),
    ("face.mkv", OSError(28, "No space left on device"), "No space left on device")])
def test_an_error_in_the_middle_keeps_what_was_done(place, parts, monkeypatch, name, error, told):
    write, calls = clip_file.Writer.write, []

    def fail(*arguments):
        calls.append(1)
        if len(calls) >= 8:
            raise error
        write(*arguments)

    monkeypatch.setattr(clip_file.Writer, "write", fail)
    (place / "face.mp4").rename(name)
    report, = attempt(editor(parts), name)
    part = name.replace(".", "_50s_part.")
    assert report["error"] == f"{name}: {told}; what was done before is kept as {part}"
    assert len(sample_clips.read(part)[0]) == 7
    assert len(sample_clips.packets(part)) > 5
    assert clip_file.is_marked(part)
    assert {path.name for path in place.iterdir()} == {name, "nobody.mp4", part}


@pytest.mark.parametrize("number", [signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)])
def test_a_shutdown_and_a_closed_terminal_end_a_clip_as_ctrl_c(number):
    before = signal.getsignal(number)
    with video.interrupts() as stopped:
        signal.raise_signal(number)
        signal.raise_signal(number)     # a terminal and its shell may both say it
        assert stopped()
    assert signal.getsignal(number) == before


def test_signals_that_are_ignored_stay_so():
    """As with nohup."""
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with video.interrupts() as stopped:
            signal.raise_signal(signal.SIGTERM)
            assert not stopped()
    finally:
        signal.signal(signal.SIGTERM, before)


def test_interrupted_in_the_process(place, parts, monkeypatch):
    """Ctrl-C after the fifth frame."""
    write, calls = clip_file.Writer.write, []

    def count(*arguments):
        calls.append(1)
        if len(calls) == 5:
            os.kill(os.getpid(), signal.SIGINT)
        write(*arguments)

    monkeypatch.setattr(clip_file.Writer, "write", count)
    report, = attempt(editor(parts), "face.mp4")
    assert report["interrupted"] == "0:00 of 0:00"
    assert report["outputs"] == ["face_50s_part.mp4"]
    assert summary(report) == "face.mp4: interrupted, the first 0:00 of 0:00 -> face_50s_part.mp4"
    assert 5 <= len(sample_clips.read("face_50s_part.mp4")[0]) <= 5 + video.InOrder.AHEAD
    assert clip_file.is_marked("face_50s_part.mp4")
    assert not (place / "face_50s.mp4").exists()
    monkeypatch.undo()
    os.chdir(place)
    report, = attempt(editor(parts), ".")[:1]   # the part is no clip to age, and the clip is not done
    assert report["outputs"] == ["face_50s.mp4"]


def test_interrupted_at_the_very_end_the_clip_is_complete_and_the_command_ends(place, parts, monkeypatch):
    write, calls = clip_file.Writer.write, []

    def count(*arguments):
        calls.append(1)
        write(*arguments)
        if len(calls) == 12:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.2)

    monkeypatch.setattr(clip_file.Writer, "write", count)
    one = editor(parts)
    report, = attempt(one, "face.mp4")
    assert "interrupted" not in report
    assert one.asked_to_end() == signal.SIGINT
    assert len(sample_clips.read("face_50s.mp4")[0]) == 12


def test_a_part_overwrites_only_parts(place):
    (place / "face_50s_part.mp4").write_text("mine")
    (place / "new.mp4").write_text("part")
    assert video.kept(place / "new.mp4", place / "face_50s.mp4") == place / "face_50s_part2.mp4"
    assert (place / "face_50s_part.mp4").read_text() == "mine"
    assert (place / "face_50s_part2.mp4").read_text() == "part"


@pytest.mark.slow
def test_ctrl_c_leaves_a_playable_file(place):
    photos = [photo for photo, _ in moving_portrait.frames(moving_portrait.portrait("astronaut"), 0.6, 25, (384, 216))]
    sample_clips.write("long.mp4", photos * 40, rate=25, sound="aac", options={"preset": "ultrafast"})
    command, settings = python(ROOT / "infer_faces.py", "long.mp4", "--json", "report.json", cwd=place)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **settings)
    while not any(path.stat().st_size > 20_000 for path in place.glob(".writing*")):
        time.sleep(0.05)
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err == "interrupted\n"
    assert re.fullmatch(r"long.mp4: interrupted, the first 0:\d\d of 0:24 -> long_50s_part.mp4\n", out)
    frames, container = sample_clips.read("long_50s_part.mp4")
    assert 5 < len(frames) < 590
    assert container.streams.audio
    assert clip_file.is_marked("long_50s_part.mp4")
    assert '"interrupted"' in (place / "report.json").read_text()
    assert not list(place.glob(".writing*"))


def test_progress_tells_the_time_left(place, parts, monkeypatch, capsys):
    shown = []

    class Bar(video.tqdm):
        def __init__(self, **settings):
            super().__init__(**settings, file=io.StringIO(), mininterval=0)

        def update(self, n=1):
            super().update(n)
            shown.append(str(self))

    monkeypatch.setattr(video, "tqdm", Bar)
    monkeypatch.setattr(video, "TOLD", 0)
    attempt(editor(parts), "face.mp4")
    assert not shown
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 12
    assert told[2].startswith("face.mp4: 3 of 12 frames, 0:0")
    monkeypatch.setattr("sys.stderr", types.SimpleNamespace(isatty=lambda: True))
    attempt(editor(parts, force=True), "face.mp4")
    assert len(shown) == 12
    assert re.search(r"face.mp4:\s+50%.* 6/12 \[00:0\d<00:0\d", shown[5])


def test_calls_in_another_thread_keep_their_order_and_raise_their_errors():
    done = []
    with video.InOrder() as later:
        for i in range(50):
            later.do(done.append, i)
    assert done == list(range(50))
    with pytest.raises(ZeroDivisionError), video.InOrder() as later:
        later.do(lambda: 1 / 0)


def test_clocks():
    assert [video.clock(seconds) for seconds in (0, 7.9, 75, 3723)] == ["0:00", "0:07", "1:15", "1:02:03"]


def test_a_second_ctrl_c_ends_at_once():
    with video.interrupts() as stopped:
        assert not stopped()
        os.kill(os.getpid(), signal.SIGINT)
        assert stopped()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_refused_colours_are_one_line(place, parts):
    sample_clips.write("hdr.mp4", sample_clips.pictures(2), codec="libx265", pixel_format="yuv420p10le", matrix=9,
                       transfer=16, options={"x265-params": "log-level=none:bframes=0:frame-threads=1:pools=none"})
    report, = attempt(editor(parts, "h264"), "hdr.mp4")
    assert report["error"] == "hdr.mp4: HDR needs 10 bits, but h264 is written with 8: use --codec hevc or av1"
    with pytest.raises(UserError, match="out.jpg: clips are written as .mp4"):
        attempt(editor(parts), "face.mp4", output="out.jpg")


@pytest.mark.slow
def test_ten_frames_a_second_at_720p_on_two_cores(place, parts):
    """Of processor time: the clock also counts what other programs do."""
    from ageing.clips.tracking import FINEST
    from ageing.faces.translator import Translator

    sample_clips.write_face("large.mp4", 3, 30, moving_portrait.SIZE, options={"preset": "veryfast"})
    shipped = ages.of_directions({Direction.AGE: Translator(ROOT / "saved_models/g_AB.onnx")})
    one = editor((Detector(finest=FINEST), parts[1]), targets=shipped)
    begin = time.process_time()
    report, = attempt(one, "large.mp4")
    seconds = time.process_time() - begin
    assert report["frames"] == 90
    assert 90 / (seconds / 2) > 10
