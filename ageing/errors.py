"""Errors that the user can fix, in one line."""

import errno
import os
import signal
import stat
import sys


class UserError(Exception):
    """Something that the user can fix. The message is one line: it names the file or the key and says what to do."""


def run_script(main, requirements):
    """Call `main()` and end the process with the exit code that it returns.

    A UserError or a missing package becomes one line on stderr and exit code 1. Ctrl-C becomes exit code 130. What
    asks to end (TERM, HUP) does what Ctrl-C does, with the exit code 143 or 129. None of them shows a traceback.
    requirements: the file that lists the script's packages.
    """
    for name in ("stdin", "stdout", "stderr"):  # in order of their numbers: an open file takes the lowest free one
        if getattr(sys, name) is None:  # no console, or closed
            setattr(sys, name, open(os.devnull, "r" if name == "stdin" else "w"))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # not in a notebook
            stream.reconfigure(errors="backslashreplace")  # a file name may hold bytes that are no text
    ended_by = _end_like_ctrl_c()
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
        code = 128 + ended_by[-1]
    except BrokenPipeError:  # the reader closed the pipe, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    raise SystemExit(code)


def _end_like_ctrl_c():
    """Let TERM and HUP do what Ctrl-C does at that moment. Returns the list of the signals; its last one ended it."""
    ended_by = [signal.SIGINT]

    def end(number, frame):
        ended_by.append(number)
        for_ctrl_c = signal.getsignal(signal.SIGINT)
        (for_ctrl_c if callable(for_ctrl_c) else signal.default_int_handler)(number, frame)

    for number in (signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)):  # Windows has no HUP
        if signal.getsignal(number) != signal.SIG_IGN:  # as nohup does
            signal.signal(number, end)
    return ended_by


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
        if error.errno == errno.ENAMETOOLONG:  # so nothing is there
            return None
        raise UserError(f"{path}: cannot be read: {reason(error)}") from error
    return "folder" if stat.S_ISDIR(mode) else "file" if stat.S_ISREG(mode) else "other"
