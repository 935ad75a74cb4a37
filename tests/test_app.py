"""The command that serves the page: its options and its messages."""

import asyncio
import ipaddress
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import webbrowser

import pytest
from conftest import ROOT, help_of, python

import app
import infer_faces
from ageing.errors import UserError

sys.path.append(str(ROOT / "tests/page"))
from page_server import Visitor, ask, started


def test_one_command_serves_the_page_on_this_machine(tmp_path):
    """As a user starts it; a photo becomes what infer_faces.py makes of it; Ctrl-C ends it with success."""
    addresses = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
    photo, made = ROOT / "samples/astronaut.jpg", {}
    with started() as (child, port, line):
        assert line == f"The page is at http://127.0.0.1:{port}/ (Ctrl-C ends it). Nothing leaves this machine.\n"
        page = ask(port, "/", method="GET")
        assert page.status == 200
        assert b"Edit only photos of people who agreed." in page.body
        for address in addresses - {"127.0.0.1"}:
            with pytest.raises(OSError, match="refused"):
                socket.create_connection((address, port), timeout=10)
        visitor = Visitor(port)
        assert visitor.open(photo.name, photo.read_bytes()).status == 200
        for direction, strength in (("age", 0.7), ("rejuvenate", -0.7)):
            made[direction] = visitor.edited(strength, [0]).body
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=20)
    assert (child.returncode, out, err) == (0, "", "")
    for direction, data in made.items():
        out = tmp_path / f"{direction}.jpg"
        assert infer_faces.main([str(photo), "-o", str(out), "--direction", direction, "--strength", "0.7"]) == 0
        assert data == out.read_bytes()
    assert app.parse_arguments([]).max_megapixels == infer_faces.parse_arguments(["x"]).max_megapixels


@pytest.fixture
def instant(monkeypatch):
    """app.main without its networks and its server; what it opens in the browser is in the list."""
    import uvicorn

    opened = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    monkeypatch.setattr(app, "load_worker", lambda args: None)
    monkeypatch.setattr(uvicorn.Server, "run", lambda self, sockets: time.sleep(0.2))
    return opened


def test_the_browser_is_opened_unless_it_is_not_wanted(instant, capsys):
    assert app.main(["--port", "0"]) == 0
    address, = instant
    assert address in capsys.readouterr().out
    assert app.main(["--port", "0", "--no-browser"]) == 0
    assert len(instant) == 1


def test_other_hosts_are_served_after_one_line_of_warning(instant, capsys):
    assert app.main(["--port", "0", "--no-browser"]) == 0
    assert capsys.readouterr().err == ""
    assert app.main(["--port", "0", "--no-browser", "--host", "0.0.0.0"]) == 0
    out, err = capsys.readouterr()
    port = re.search(r":(\d+)/ ", out)[1]
    assert f" http://127.0.0.1:{port}/ " in out
    assert err == (f"warning: everybody in the network can use the page at http://{app.address_for_others('0.0.0.0')}:"
                   f"{port}/, without a password and unencrypted; tell them to edit only photos of people who agreed\n")


def test_a_photo_that_a_killed_page_left_is_deleted_at_the_next_start(instant, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / ".writing-00000000-1-12345678").mkdir()
    os.utime(tmp_path / ".writing-00000000-1-12345678", (0, 0))
    app.main(["--port", "0", "--no-browser"])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("host", "own"), [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::", "[::1]"),
                                           ("192.168.1.7", "192.168.1.7"), ("::1", "[::1]")])
def test_browsers_are_told_addresses_that_they_take_and_others_none_that_is_their_own(host, own):
    others = app.address_for_others(host)
    assert app.own_address(host) == own
    assert others == own if host not in ("0.0.0.0", "::") else (
        others == socket.gethostname() or not ipaddress.ip_address(others.strip("[]")).is_loopback)


def test_a_port_in_use_is_one_line(capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"127.0.0.1, port {port}: cannot listen there .*; choose another with "):
            app.main(["--port", str(port), "--no-browser"])
    with pytest.raises(UserError, match="no.such.host.invalid, port 1: cannot listen there"):
        app.listening("no.such.host.invalid", 1)


def test_missing_weights_are_one_line(tmp_path):
    with pytest.raises(UserError, match="g_AB.onnx: no such file"):
        app.main(["--port", "0", "--no-browser", "--weights", str(tmp_path)])


def test_help_is_instant_and_there_is_no_way_to_share_the_page_in_public():
    out = help_of("app.py")
    assert "python app.py" in out
    assert re.findall(r"^  (--[a-z-]+)", out, re.M) == ["--host", "--port", "--allow-host", "--no-browser",
                                                        "--max-megapixels", "--weights"]


def test_a_missing_package_is_one_line_that_names_the_requirements(tmp_path):
    (tmp_path / "uvicorn.py").write_text("raise ModuleNotFoundError(\"No module named 'uvicorn'\", name='uvicorn')")
    command, settings = python(ROOT / "app.py", "--no-browser", env={"PYTHONPATH": f"{tmp_path}"})
    done = subprocess.run(command, capture_output=True, check=False, **settings)
    assert (done.returncode, done.stderr) == (
        1, "error: the package uvicorn is missing; install it with: pip install -r requirements-app.txt\n")


def test_no_training_framework_is_imported():
    names = ["app", "infer_faces", "uvicorn", *(f"ageing.{room}.{path.stem}" for room in ("faces", "photos", "page")
                                                for path in (ROOT / "ageing" / room).glob("*.py"))]
    code = f"import importlib, sys\nfor name in {names}: importlib.import_module(name)\n" \
           "print({'keras', 'tensorflow', 'jax', 'torch'} & sys.modules.keys())"
    command, settings = python("-c", code)
    assert subprocess.run(command, capture_output=True, check=True, **settings).stdout == "set()\n"


def test_a_notebook_is_told_to_use_a_terminal(instant):
    async def cell():
        app.main(["--port", "0"])

    with pytest.raises(UserError, match="start app.py in a terminal"):
        asyncio.run(cell())
    assert instant == []
