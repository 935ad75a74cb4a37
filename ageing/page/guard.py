"""Who may ask the page for something, and the headers that keep it to itself.

Every page that the browser has open can send requests to this server. So each request is checked:
Host must be an address, a name of this machine, or a name that --allow-host allows. A foreign page can let its own name
point to this machine (DNS rebinding); the browser then sends that name.
Origin must be this page, of all requests but GET and HEAD.
What is asked about a photo must hold the key of its session, see sessions.py.
Starlette's TrustedHostMiddleware takes a list of names and no addresses, and does not check Origin.
"""

import contextlib
import ipaddress
import re
import socket

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse

HEADERS = {
    # Everything from this server alone; blob: is what the page makes itself.
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
                               "connect-src 'self'; media-src 'self' blob:; base-uri 'none'; form-action 'none'; "
                               "frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(self), microphone=(), geolocation=()",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
}


class Guard:
    """ASGI middleware. host: what the server listens on. allowed: further names, also of encrypted pages."""

    def __init__(self, app, host, allowed=()):
        self.app, self.host, self.allowed = app, host.lower(), {name.lower() for name in allowed}

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message):
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        refused = self.refusal(scope["method"], Headers(scope=scope))
        answer = PlainTextResponse(refused, 403) if refused else self.app
        await answer(scope, receive, send_with_headers)

    def refusal(self, method, headers):
        """Why a request is refused, or None."""
        hosts, origins = headers.getlist("host"), headers.getlist("origin")
        if len(hosts) != 1 or not self.is_own(_name_in(hosts[0])):
            return ("This server does not go by that name. Open it under the address that it printed, or start it with "
                    "--allow-host and that name.")
        own = origins == [f"http://{hosts[0]}"] or (len(origins) == 1 and _name_in(origins[0]) in self.allowed)
        if method not in ("GET", "HEAD") and not own:
            return ("Only the page itself may ask for that. If this is the page, start app.py with --allow-host and "
                    "the name in the browser's address.")
        return None

    def is_own(self, name):
        """Whether no one else can give out this name: an address is what it is, of names only a few count."""
        machine = socket.gethostname().lower()
        names = {"localhost", self.host, machine, f"{machine}.local", *self.allowed}
        return name in names or _address(name) is not None


def _name_in(host):
    """The name in a Host or an Origin header, without scheme and port."""
    host = re.sub("^https?://", "", host)
    name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
    return name.removeprefix("[").removesuffix("]").lower().rstrip(".")


def is_loopback(host):
    """Whether a server that listens on `host` can be reached from this machine only."""
    address = _address(host)
    return address.is_loopback if address else host == "localhost"


def _address(name):
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(name)
