"""Age the faces in photos on a page in the browser, served by this machine.

    python app.py                       opens the page: drop a photo, move the slider, download
    python app.py --no-browser          only prints its address
    python app.py --port 9000           another port; 0 takes a free one
    python app.py --host 0.0.0.0        also for other machines of the network; read the warning
    python app.py --allow-host NAME     also under this name, as behind a proxy with https

The page asks this machine for everything and no other, and nothing leaves it. Photos are deleted when the page is
closed. Edit only photos of people who agreed. Ctrl-C ends it. Exit codes: 0 ended, 1 it could not start, 2 wrong
arguments.
"""

import argparse
import contextlib
import re
import socket
import sys
import tempfile
import threading
import webbrowser
from pathlib import Path

from ageing.errors import UserError, between, reason, run_script
from ageing.project import PROJECT, as_installed
from ageing.storage import clear_leftovers

MOST_CONNECTIONS = 100


def parse_arguments(argv=None):
    parser = argparse.ArgumentParser(description=as_installed(__doc__),
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1", metavar="ADDRESS",
                        help="what to listen on (default: 127.0.0.1, which only this machine reaches)")
    parser.add_argument("--port", type=between(0, 65_535, int), default=8060, metavar="N", help="default: 8060")
    parser.add_argument("--allow-host", action="append", default=[], type=_name, metavar="NAME",
                        help="also answer under this name, as behind a proxy with https; may be given several times")
    parser.add_argument("--no-browser", action="store_true", help="do not open the page in a browser")
    parser.add_argument("--max-megapixels", type=between(0.001, 10_000), default=150, metavar="N",
                        help="refuse photos that are larger (default: 150)")
    parser.add_argument("--weights", default=PROJECT / "saved_models", type=Path, metavar="DIR",
                        help="folder with g_AB.onnx and g_BA.onnx (default: saved_models)")
    return parser.parse_args(argv)


def _name(text):
    if not re.fullmatch(r"[A-Za-z0-9._-]+", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not the name of a host alone, without https:// and port")
    return text


def main(argv=None):
    args = parse_arguments(argv)

    # Imported here: --help and wrong arguments answer at once.
    import asyncio

    import uvicorn

    from ageing.page import guard, server

    if asyncio._get_running_loop():
        raise UserError("a notebook cannot serve the page; start app.py in a terminal")
    clear_leftovers(tempfile.gettempdir())  # photos of a page that was killed
    with listening(args.host, args.port) as place:
        pages = server.Pages(load_worker(args))
        host, port = place.getsockname()[:2]
        here = f"http://{own_address(host)}:{port}/"
        print(f"The page is at {here} (Ctrl-C ends it). Nothing leaves this machine.", flush=True)
        if not guard.is_loopback(host):
            print(f"warning: everybody in the network can use the page at http://{address_for_others(host)}:{port}/, "
                  "without a password and unencrypted; tell them to edit only photos of people who agreed",
                  file=sys.stderr, flush=True)
        if not args.no_browser:  # in a thread: a browser in the terminal would hold up the server that it waits for
            threading.Thread(target=webbrowser.open, args=[here], daemon=True).start()
        config = uvicorn.Config(server.application(pages, args.host, args.allow_host), http="h11", loop="asyncio",
                                ws="none", log_config=None, log_level="error", access_log=False,
                                server_header=False, limit_concurrency=MOST_CONNECTIONS, timeout_graceful_shutdown=3)
        with contextlib.suppress(KeyboardInterrupt):  # how it is ended
            uvicorn.Server(config).run([place])
    return 0


def listening(host, port):
    """A socket that listens there. Raises UserError."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise UserError(f"{host}, port {port}: cannot listen there ({reason(error)}); choose another with --port or "
                        "--host") from error


def own_address(host):
    """Under which a program of this machine reaches a server that listens on the address `host`."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"[{host}]" if ":" in host else host


def address_for_others(host):
    """Under which other machines reach a server that listens on the address `host`."""
    if host not in ("0.0.0.0", "::"):
        return own_address(host)
    with socket.socket(socket.AF_INET6 if host == "::" else socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:  # nothing is sent: the system only says which of its addresses it would use
            probe.connect(("2001:db8::1" if host == "::" else "192.0.2.1", 9))
        except OSError:  # no network
            return socket.gethostname()
        return own_address(probe.getsockname()[0])


def load_worker(args):
    from ageing.faces.alignment import Aligner
    from ageing.faces.detector import Detector
    from ageing.faces.translator import load
    from ageing.page.worker import Worker

    return Worker(Detector(), Aligner(), load(args.weights), args.max_megapixels)


def command():
    run_script(main, "requirements-app.txt")


if __name__ == "__main__":
    command()
