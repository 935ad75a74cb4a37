"""Errors that a user can mend, in one line."""

import os
import sys


class UserError(Exception):
    """Something the user can mend. The message is one line: it names the file or the key and says what to do."""


def run_script(main):
    """Call `main()` and end the process with the exit code that it returns.

    A UserError becomes one line on stderr and exit code 1. Ctrl-C becomes exit code 130. Neither shows a traceback.
    """
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # a file name may hold bytes that are no text
    try:
        code = main()
        sys.stdout.flush()
    except UserError as error:
        print("error: " + " ".join(str(error).split()), file=sys.stderr)
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
