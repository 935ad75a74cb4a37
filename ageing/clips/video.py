"""Edit clips one after the other: each frame is read, its faces are followed, changed and written.

What happens to a face is the same as in a photo, but places and changes are averaged over time (tracking.py,
steady_changes.py).
"""

import collections
import concurrent.futures
import contextlib
import dataclasses
import itertools
import os
import signal
import sys
import time
from collections.abc import Callable

import av
from tqdm import tqdm

from ageing.clips import clip_file
from ageing.clips.steady_changes import SteadyChanges
from ageing.clips.tracking import Tracker
from ageing.errors import UserError, printable, reason, signals_to_end
from ageing.photos import outputs, photo_report
from ageing.photos.editor import Editor
from ageing.photos.sources import is_output
from ageing.storage import replacing

TOLD = 10   # seconds between two lines on how far a clip is


class Discarded(Exception):
    """Makes storage.replacing delete what was written, instead of giving it its name."""


@dataclasses.dataclass
class ClipEditor:
    """editor: what is loaded, and how faces are chosen and changed. codec: a key of clip_file.CODECS or None.

    asked_to_end(): the number of the signal that asked for it during the last clip, or 0.
    """

    editor: Editor
    codec: str | None = None
    asked_to_end: Callable[[], int] = int

    def attempt(self, job):
        """As `process`, but an error becomes the report, so that the clips after this one are still edited."""
        return photo_report.attempt(self.process, job, "clip")

    def process(self, job):
        """Edit the clip of an outputs.Job and write its outputs. Returns the report on it. Raises UserError.

        Ctrl-C ends it early: what is done becomes a clip with another name, and the report says "interrupted". So does
        an error in the middle, which the UserError tells.
        """
        editor, missing = self.editor, outputs.missing(job, self.editor.protected, self.editor.force)
        if not missing:
            return photo_report.report_finished(job.photo, job.outputs.values(), "clip")
        with clip_file.Clip(job.photo, editor.max_megapixels) as clip, interrupts() as self.asked_to_end:
            paths = {target: missing[kind] for target in editor.targets if (kind := editor.kind_of(target)) in missing}
            report = photo_report.report_on_clip(job.photo, clip, paths)
            with contextlib.suppress(Discarded), contextlib.ExitStack() as files:
                temporary = {target: files.enter_context(replacing(path)) for target, path in paths.items()}
                report["outputs"] = self._edit(clip, temporary, paths, report)
                if "interrupted" in report:
                    raise Discarded
        return report

    def _edit(self, clip, temporary, paths, report):
        """Write the clip to `temporary`, {target: path}, and complete the report. Returns the names it will have.

        They are `paths`, or those of parts. Raises Discarded if there is no face.
        """
        editor = self.editor
        tracker = Tracker(editor.detector, editor.aligner, editor.face)
        try:
            self._write(clip, tracker, temporary, report)
        except Exception as error:
            parts = [kept(temporary[target], path) for target, path in paths.items()
                     if tracker.appeared and clip_file.plays(temporary[target])]
            if not parts:
                raise
            foreseen = isinstance(error, (OSError, UserError, av.error.FFmpegError))
            told = reason(error) if foreseen else f"{type(error).__name__}: {reason(error)}"
            raise UserError(f"{clip.path}: {told}; what was done before is kept as "
                            f"{', '.join(map(str, parts))}") from error
        n = len(tracker.appeared)
        report |= {"faces": faces_of(tracker), "notes": notes_on(clip)}
        if not n:
            raise Discarded
        if "interrupted" in report:
            return [str(kept(temporary[target], path)) for target, path in paths.items()]
        if isinstance(editor.face, int) and editor.face > n:
            raise UserError(f"{clip.path}: --face {editor.face}, but {n} found; --json says where each of them first "
                            "stood")
        return [str(path) for path in paths.values()]

    def _write(self, clip, tracker, paths, report):
        """Write the clip to `paths`, {target: path}, until its end or until it is asked to end.

        Another thread encodes, while this one finds the faces of the next frame.
        """
        steps = Steps("read", "follow", "translate", "write")
        steady = SteadyChanges({target: target.translator for target in paths})
        codec, now = clip_file.codec_of(clip, self.codec), 0.0
        with progress(clip) as bar, contextlib.ExitStack() as files, InOrder() as later:
            writers = {target: files.enter_context(clip_file.Writer(path, clip, codec))
                       for target, path in paths.items()}
            for item in clip:
                if self.asked_to_end():
                    report["interrupted"] = clock(now) + (f" of {clock(clip.seconds)}" if clip.seconds else "")
                    break
                if isinstance(item, av.Packet):
                    for writer in writers.values():
                        later.do(writer.copy, item)
                    continue
                now = clip.time_of(item)
                photo = clip.rgb(item)
                steps.done("read")
                tracks = tracker.update(photo, now)
                steps.done("follow")
                changes = steady.update(photo, tracks, now)
                steps.done("translate")
                for target, writer in writers.items():
                    later.do(writer.write, item, changes[target], target.amount)
                steps.done("write")
                report["frames"] += 1
                bar.update()
        report["seconds"] = {name: round(value, 3) for name, value in steps.seconds.items()}


def progress(clip):
    """Opens a progress bar with the time left or, where stderr is no terminal, Lines."""
    if not sys.stderr.isatty():
        return contextlib.nullcontext(Lines(clip))
    return tqdm(desc=clip.path.name, total=clip.frames, unit="frame", leave=False)


class Lines:
    """In place of a progress bar: a line every `TOLD` seconds."""

    def __init__(self, clip):
        self.clip, self.frames, self.begin = clip, 0, time.monotonic()
        self.next = self.begin + TOLD

    def update(self):
        self.frames, now = self.frames + 1, time.monotonic()
        if now < self.next:
            return
        self.next, total, told = now + TOLD, self.clip.frames, f"{self.frames} frames"
        if total and total > self.frames:
            left = (total - self.frames) * (now - self.begin) / self.frames
            told = f"{self.frames} of {total} frames, {clock(left)} left"
        print(printable(f"{self.clip.path.name}: {told}"), file=sys.stderr, flush=True)


class Steps:
    """A stopwatch. seconds: {step: how long it took in all frames together}."""

    def __init__(self, *names):
        self.seconds, self.last = dict.fromkeys(names, 0.0), time.perf_counter()

    def done(self, name):
        now = time.perf_counter()
        self.seconds[name], self.last = self.seconds[name] + now - self.last, now


class InOrder:
    """Calls functions in another thread, one after the other. Their errors are raised in this one, at a later call."""

    AHEAD = 4   # calls that may wait: each may hold a frame

    def __enter__(self):
        self.pool, self.pending = concurrent.futures.ThreadPoolExecutor(1), collections.deque()
        return self

    def do(self, function, *arguments):
        self.pending.append(self.pool.submit(function, *arguments))
        while len(self.pending) > self.AHEAD:
            self.pending.popleft().result()

    def __exit__(self, kind, error, trace):
        self.pool.shutdown(cancel_futures=kind is not None)
        if kind is None:
            for call in self.pending:
                call.result()


def faces_of(tracker):
    """What the report says on the faces of a clip: numbers as for --face, seconds of their first and last frame."""
    return [{"number": track.number, "box": [round(v, 1) for v in track.box], "from": round(track.begin, 3),
             "to": round(track.end, 3), "aligned": True, "edited": track.edited} for track in tracker.appeared]


def notes_on(clip):
    damaged = [f"{clip.damaged} damaged place{'s' * (clip.damaged > 1)} left out"] * bool(clip.damaged)
    times = "once" if clip.clock.jumped == 1 else f"{clip.clock.jumped} times"
    jumped = [f"its clock jumped {times}: what follows was joined without the gap"] * bool(clip.clock.jumped)
    return damaged + jumped + list(dict.fromkeys(clip.notes))


def kept(temporary, path):
    """Give the written beginning of a clip, which was to become `path`, a name that says so. Returns its path."""
    names = (path.with_name(f"{path.stem}_part{n}{path.suffix}") for n in itertools.chain([""], itertools.count(2)))
    part = next(name for name in names if not name.exists() or is_output(name))
    with replacing(part) as other:
        os.replace(temporary, other)
    return part


def clock(seconds):
    """Seconds as 0:07 or 1:02:03."""
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


@contextlib.contextmanager
def interrupts():
    """Yield a function that returns the number of the signal that asked the process to end, or 0.

    A second Ctrl-C raises KeyboardInterrupt at once.
    """
    pressed = []

    def note(number, frame):
        if pressed and number == signal.SIGINT:
            raise KeyboardInterrupt
        pressed.append(number)

    before = {one: signal.signal(one, note) for one in signals_to_end()}
    try:
        yield lambda: pressed[0] if pressed else 0
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
