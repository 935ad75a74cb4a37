"""Errors that a user can mend, and writing that a crash cannot spoil."""

import contextlib
import json
import os
import sys
import tempfile
from pathlib import Path


class UserError(Exception):
    """Something the user can mend. The message is one line: which file or key, and what to do."""


def run_script(main):
    """Call `main()` and end the process with the exit code that it returns.

    A UserError becomes one line on stderr and exit code 1, Ctrl-C exit code 130; neither shows a traceback.
    """
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # file names may hold any bytes
    try:
        code = main()
        sys.stdout.flush()
    except UserError as error:
        print("error: " + " ".join(str(error).split()), file=sys.stderr)
        code = 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        code = 130
    except BrokenPipeError:  # nobody reads on: `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    raise SystemExit(code)


@contextlib.contextmanager
def replacing(path):
    """Yield a temporary path in the folder of `path`; rename it to `path` when the block succeeds.

    A crash or an error inside the block leaves what stood at `path` untouched.
    Raises UserError if the folder cannot be written or the disk is full.
    """
    path = Path(path)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # The suffix stays, because Pillow and Keras choose the format by it.
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".writing-", suffix=path.suffix)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        os.chmod(temporary, 0o666 & ~_umask())  # mkstemp makes files that only their owner may read
        os.replace(temporary, path)
    except OSError as error:
        raise UserError(f"{path} could not be written: {reason(error)}. "
                        "Free space or choose a folder you may write to") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def read_json_lines(path):
    """The objects in a file with one JSON object a line; a last line that a kill has cut is left out."""
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines if line.endswith("\n")]


def reason(error):
    """The short text of an OSError, without its number."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _umask():
    value = os.umask(0)
    os.umask(value)
    return value
