"""The command that serves the page: its options and its messages."""

import asyncio
import http.client
import ipaddress
import re
import signal
import socket
import subprocess
import tempfile
import time
import webbrowser

import pytest
from conftest import ROOT, help_of, python

import app
from ageing.errors import UserError


@pytest.fixture
def started():
    """Starts app.py with these arguments: (child process, port). It is ended afterwards."""
    children = []

    def start(*arguments, script=(ROOT / "app.py",), **settings):
        command, more = python(*script, "--no-browser", "--port", 0, *arguments, cwd=ROOT, **settings)
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)
        children.append(child)
        child.first = child.stdout.readline()
        return child, int(re.search(r":(\d+)/ ", child.first)[1])

    yield start
    for child in children:
        child.kill()
        child.communicate()


def get(port, path="/", host="127.0.0.1"):
    connection = http.client.HTTPConnection(host, port, timeout=10)
    connection.request("GET", path)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


def post(port, path, body, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("POST", path, body, {"Origin": f"http://127.0.0.1:{port}", **headers})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer


def test_one_command_serves_the_page_on_this_machine(started):
    """As a user starts it; a photo is aged; Ctrl-C ends it with success."""
    addresses = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
    child, port = started()
    assert child.first == (f"The page is at http://127.0.0.1:{port}/ (Ctrl-C ends it). Nothing leaves this machine.\n")
    status, text = get(port)
    assert status == 200
    assert "Edit only photos of people who agreed." in text
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("POST", "/session", b"", {"Origin": f"http://127.0.0.1:{port}"})
    session = re.search(r'"session":"([^"]+)"', connection.getresponse().read().decode())[1]
    connection.close()
    photo = (ROOT / "samples/astronaut.jpg").read_bytes()
    answer = post(port, "/photo?side=800", photo, Session=session, Name="a.jpg")
    assert answer.status == 200
    assert post(port, f"/photo/{answer.headers['number']}/edited", b'{"stop": 40, "faces": [0]}', Session=session
                ).status == 200
    for address in addresses - {"127.0.0.1"}:
        with pytest.raises(OSError, match="refused"):
            get(port, host=address)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=20)
    assert child.returncode == 0
    assert out == err == ""


@pytest.fixture
def instant(monkeypatch):
    """app.main without its networks and its server; what it opens in the browser is in the list."""
    import uvicorn

    opened = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    monkeypatch.setattr(app, "load_worker", lambda args: type("Worker", (), {"translators": {"age": None}})())
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


@pytest.mark.parametrize(("host", "address"), [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::", "[::1]"),
                                               ("192.168.1.7", "192.168.1.7"), ("::1", "[::1]")])
def test_the_address_is_one_that_a_browser_takes(host, address):
    assert app.own_address(host) == address


def test_a_photo_that_a_killed_page_left_is_deleted_at_the_next_start(instant, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    command, settings = python("-c", "import os, tempfile\nfrom ageing.storage import unfinished\n"
                               "tempfile.mkdtemp(prefix=unfinished())\nos._exit(9)", env={"TMPDIR": str(tmp_path)})
    subprocess.run(command, check=False, **settings)
    assert len(list(tmp_path.iterdir())) == 1
    app.main(["--port", "0", "--no-browser"])
    assert not list(tmp_path.iterdir())


def test_other_machines_are_told_an_address_that_is_not_their_own():
    assert app.address_for_others("192.168.1.7") == "192.168.1.7"
    for host in ("0.0.0.0", "::"):
        address = app.address_for_others(host).strip("[]")
        assert address == socket.gethostname() or not ipaddress.ip_address(address).is_loopback


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


@pytest.mark.parametrize("arguments", ["--port 65536", "--port -1", "--port x", "--max-megapixels 0", "photo.jpg",
                                       "--allow-host https://photos.example", "--allow-host photos.example:8443"])
def test_wrong_arguments_exit_with_2(arguments):
    with pytest.raises(SystemExit) as stop:
        app.parse_arguments(arguments.split())
    assert stop.value.code == 2


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
    code = "import sys, uvicorn, ageing.page.server, ageing.page.worker, app\n" \
           "print({'keras', 'tensorflow', 'jax', 'torch', 'gradio'} & sys.modules.keys())"
    command, settings = python("-c", code)
    assert subprocess.run(command, capture_output=True, check=True, **settings).stdout == "set()\n"


def test_a_notebook_is_told_to_use_a_terminal(instant):
    async def cell():
        app.main(["--port", "0"])

    with pytest.raises(UserError, match="start app.py in a terminal"):
        asyncio.run(cell())
    assert instant == []
