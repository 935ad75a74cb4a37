"""Writing files so that a crash cannot spoil them, and reading the logs that are written line by line."""

import contextlib
import json
import os
import shutil
import tempfile
from pathlib import Path

from ageing.errors import UserError, reason


@contextlib.contextmanager
def replacing(path):
    """Yield a temporary path in the folder of `path`. Rename it to `path` when the block succeeds.

    A crash or an error inside the block leaves the file at `path` as it was.
    Raises UserError if the folder cannot be written or the disk is full.
    """
    path = Path(path)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Pillow and Keras choose the format by the suffix, so it stays.
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".writing-", suffix=path.suffix)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        os.chmod(temporary, 0o666 & ~_umask())  # mkstemp makes files that only their owner can read
        os.replace(temporary, path)
    except OSError as error:
        raise UserError(f"{path} could not be written: {reason(error)}. "
                        "Free space or choose a folder you may write to") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def clear_leftovers(folder):
    """Remove what `replacing` left in `folder` when its process was killed. The caller knows that none writes there."""
    for path in Path(folder).glob(".writing-*"):
        with contextlib.suppress(OSError):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def read_json_lines(path):
    """The objects in a file with one JSON object per line. An incomplete last line is ignored."""
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines if line.endswith("\n")]


def _umask():
    value = os.umask(0)
    os.umask(value)
    return value
