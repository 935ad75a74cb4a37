"""Only the page itself is answered, and only under this machine's own names."""

import socket

import pytest
from page_server import ask, pages, served

from ageing.page import guard


@pytest.fixture(scope="module")
def port():
    with served(pages(), host="listens.example") as port:
        yield port


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "", "evil:80",
                                  "example", "127.0.0.1@evil.example", "[::1", "1.2.3", "evil.example:127.0.0.1"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_foreign_names_are_refused(port, host, method):
    answer = ask(port, "/", headers={"Host": host, "Origin": f"http://{host}"}, method=method)
    assert (answer.status, answer.body[:28]) == (403, b"This server does not go by t")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST", "[::1]", "192.168.1.7", "listens.example",
                                  socket.gethostname(), f"{socket.gethostname()}.local"])
def test_own_names_are_answered(port, host):
    for name in (host, f"{host}:{port}"):
        assert ask(port, "/", headers={"Host": name}, method="GET").status == 200


@pytest.mark.parametrize("origin", [None, "null", "http://evil.example", "https://127.0.0.1:{}", "http://127.0.0.1",
                                    "http://localhost:{}", "http://127.0.0.1:{}0"])
@pytest.mark.parametrize("path", ["/session", "/photo", "/photo/x/edited", "/end"])
def test_what_other_pages_ask_for_is_refused(port, path, origin):
    answer = ask(port, path, headers={"Origin": origin and origin.format(port)})
    assert (answer.status, answer.body[:38]) == (403, b"Only the page itself may ask for that.")
    assert b"--allow-host" in answer.body


def test_names_that_are_allowed_are_answered_also_behind_https():
    """By proxies that pass the name on, and by those that put in this machine's."""
    with served(pages(), allowed=["Photos.example"]) as port:
        assert ask(port, "/", headers={"Host": "photos.example"}, method="GET").status == 200
        for host in ("photos.example", f"127.0.0.1:{port}"):
            for origin in ("https://photos.example", "https://photos.example:8443", "http://photos.example"):
                assert ask(port, "/session", headers={"Host": host, "Origin": origin}).status == 200
            for origin in ("https://evil.example", "https://photos.example.evil.example", "null",
                           f"https://127.0.0.1:{port}", "https://evil.example/photos.example", "ftp://photos.example"):
                assert ask(port, "/session", headers={"Host": host, "Origin": origin}).status == 403
        answer = ask(port, "/", headers={"Host": "evil.example"}, method="GET")
        assert (answer.status, b"--allow-host" in answer.body) == (403, True)


def test_two_hosts_or_origins_are_refused(port):
    with socket.create_connection(("127.0.0.1", port)) as raw:
        own = f"http://127.0.0.1:{port}".encode()
        raw.sendall(b"POST /session HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nOrigin: %s\r\nOrigin: http://evil.example\r\n"
                    b"Content-Length: 0\r\n\r\n" % (port, own))
        assert b" 403 " in raw.recv(4096).split(b"\r\n")[0]


@pytest.mark.parametrize(("method", "path"), [("GET", "/"), ("GET", "/page.js"), ("GET", "/nothing"), ("GET", "/end"),
                                              ("POST", "/session"), ("POST", "/photo"), ("GET", "/../../app.py")])
def test_every_answer_forbids_the_browser_other_hosts(port, method, path):
    answer = ask(port, path, method=method)
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert {word for value in policy.values() for word in value.split()} == {"'none'", "'self'", "blob:"}
    assert "blob:" not in policy["script-src"]
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize(("host", "loopback"), [("127.0.0.1", True), ("127.8.8.8", True), ("::1", True),
                                                ("localhost", True), ("0.0.0.0", False), ("192.168.1.7", False),
                                                ("::", False), ("photos.example", False)])
def test_is_loopback(host, loopback):
    assert guard.is_loopback(host) is loopback
