"""Writing files so that a crash cannot spoil them, and reading the logs that are written line by line."""

import contextlib
import contextvars
import errno
import functools
import json
import os
import platform
import re
import secrets
import shutil
import time
import zlib
from pathlib import Path

from ageing.errors import UserError, reason

# Folders of network drives, systems and archivers: trash, thumbnails, earlier states. Compared in lower case.
SYSTEM_FOLDERS = {"@eadir", "#recycle", "#snapshot", "@recycle", "@recently-snapshot", "@__thumb", "$recycle.bin",
                  "recycler", "system volume information", "lost+found", "__macosx"}
UNFINISHED = re.compile(r"\.writing-([0-9a-f]{8})-(\d{1,9})-\w+(\.\w+)?")    # host, process
FORGOTTEN = 24 * 3600   # seconds without a change, after which an unfinished file of another machine has no writer
_mode = contextvars.ContextVar("mode", default=0o666)   # of new files, before the umask


@contextlib.contextmanager
def replacing(path):
    """Yield a temporary path in the folder of `path`. Rename it to `path` when the block succeeds.

    A crash or an error inside the block leaves the file at `path` as it was.
    Raises UserError if the folder cannot be written or the disk is full.
    """
    path = Path(path)
    # Pillow and Keras choose the format by the suffix, so it stays.
    temporary = path.parent / f"{unfinished()}{secrets.token_hex(4)}{path.suffix}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _clear_once(path.parent)
        # Made with its mode: some network shares refuse to change it later.
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, _mode.get()))
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        advice = ("Choose a shorter name" if error.errno == errno.ENAMETOOLONG else
                  "Free space or choose a folder you may write to")
        raise UserError(f"{path} could not be written: {reason(error)}. {advice}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


@contextlib.contextmanager
def as_private_as(*sources):
    """Within the block, nobody else can do more with new files than with each of the files at `sources`."""
    mode = 0o666
    for source in sources:
        with contextlib.suppress(OSError):  # whoever reads it says what is wrong
            mode &= os.stat(source).st_mode | 0o600
    token = _mode.set(mode)
    try:
        yield
    finally:
        _mode.reset(token)


def unfinished():
    """What the names of unfinished files and folders of this process begin with."""
    return f".writing-{_host()}-{os.getpid()}-"


def clear_leftovers(folder):
    """Delete what writers that no longer run have left in `folder`: kill -9 and power cuts leave unfinished files."""
    for path in Path(folder).glob(".writing-*"):
        if not (match := UNFINISHED.fullmatch(path.name)):
            continue
        with contextlib.suppress(OSError):  # gone meanwhile, or another user's
            known = match[1] == _host() and os.name != "nt"  # there os.kill would end the process
            if not _runs(int(match[2])) if known else path.stat().st_mtime < time.time() - FORGOTTEN:
                shutil.rmtree(path) if path.is_dir() else path.unlink()


_clear_once = functools.cache(clear_leftovers)  # a folder may take thousands of files


def _host():
    """This machine and, of containers that share its name, the one whose process numbers are known here."""
    numbering = ""
    with contextlib.suppress(OSError):  # Linux only
        numbering = os.readlink("/proc/self/ns/pid")
    return f"{zlib.crc32((platform.node() + numbering).encode()):08x}"


def _runs(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # another user's
        pass
    return True


def read_json_lines(path):
    """The objects in a file with one JSON object per line. An incomplete last line is ignored."""
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines if line.endswith("\n")]
