"""Errors that the user can fix, in one line."""

import argparse
import contextlib
import errno
import os
import signal
import stat
import sys
import threading

from ageing.project import as_installed


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
    with _ending_like_ctrl_c() as ended_by:
        try:
            code = main()
            sys.stdout.flush()
        except UserError as error:
            print("error: " + " ".join(str(error).split()), file=sys.stderr)
            code = 1
        except ModuleNotFoundError as error:
            print(as_installed(f"error: the package {error.name} is missing; install it with: "
                               f"pip install -r {requirements}"), file=sys.stderr)
            code = 1
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            code = 128 + ended_by[-1]
        except BrokenPipeError:  # the reader closed the pipe, as `| head` does
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            code = 1
    raise SystemExit(code)


@contextlib.contextmanager
def _ending_like_ctrl_c():
    """Inside the block, TERM and HUP do what Ctrl-C does. Yields a list of signals: its last one ended the block."""
    ended_by = [signal.SIGINT]

    def end(number, frame):
        if len(ended_by) == 1:  # a closed terminal and its shell may both send HUP
            ended_by.append(number)
            for_ctrl_c = signal.getsignal(signal.SIGINT)
            (for_ctrl_c if callable(for_ctrl_c) else signal.default_int_handler)(number, frame)

    in_main = threading.current_thread() is threading.main_thread()  # no other may change what signals do
    before = {number: signal.getsignal(number) for number in signals_to_end() if in_main}
    for number in before.keys() - {signal.SIGINT}:
        signal.signal(number, end)
    try:
        yield ended_by
    finally:
        for number, handler in before.items():  # a notebook lives on
            signal.signal(number, handler)


def signals_to_end():
    """The signals that ask the process to end: Ctrl-C, a shutdown, a closed terminal. Those that it ignores are left
    out, as with nohup."""
    signals = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    return [number for number in signals if signal.getsignal(number) != signal.SIG_IGN]  # Windows has no HUP


def between(low, high, kind=float):
    """A type for argparse: a number from `low` to `high`."""
    def number(text):
        value = kind(text)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text} is not between {low} and {high}")
        return value
    return number


def reason(error):
    """The short text of an OSError, without its number."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def printable(text):
    """`text` in one line: a file name may hold line breaks and bytes that are no text, which become escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def kind_of(path):
    """What is at `path`, links followed: "file", "folder", "other" (a pipe, a device) or None.

    Path.exists and its kind raise PermissionError below a folder that may not be entered: here that is a UserError.
    """
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a name with a zero byte
        return None
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            return None
        raise UserError(f"{path}: cannot be read: {reason(error)}") from error
    return "folder" if stat.S_ISDIR(mode) else "file" if stat.S_ISREG(mode) else "other"
