"""Errors that the user can fix, in one line."""

import os
import stat
import sys


class UserError(Exception):
    """Something that the user can fix. The message is one line: it names the file or the key and says what to do."""


def run_script(main, requirements):
    """Call `main()` and end the process with the exit code that it returns.

    A UserError or a missing package becomes one line on stderr and exit code 1. Ctrl-C becomes exit code 130. None of
    them shows a traceback. requirements: the file that lists the script's packages.
    """
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # a file name may hold bytes that are no text
    try:
        code = main()
        sys.stdout.flush()
    except UserError as error:
        print("error: " + " ".join(str(error).split()), file=sys.stderr)
        code = 1
    except ModuleNotFoundError as error:
        print(f"error: the package {error.name} is missing; install it with: pip install -r {requirements}",
              file=sys.stderr)
        code = 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        code = 130
    except BrokenPipeError:  # the reader closed the pipe, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    raise SystemExit(code)


def reason(error):
    """The short text of an OSError, without its number."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def kind_of(path):
    """What is at `path`, links followed: "file", "folder", "other" (a pipe, a device) or None.

    Path.exists and its kind raise PermissionError below a folder that may not be entered: here that is a UserError.
    """
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a name with a zero byte
        return None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {reason(error)}") from error
    return "folder" if stat.S_ISDIR(mode) else "file" if stat.S_ISREG(mode) else "other"
