"""Who may ask the page for something, and the headers that keep it to itself.

A program that listens on one's own machine can be asked by every page that the browser has open. So:
Host must be an address or a name of this machine, or one that --allow-host names (else a foreign name could be made to
point here: DNS rebinding);
what changes something must come from the page itself (Origin); everything about a photo needs the key of its session.
"""

import ipaddress
import re
import socket

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
        self.app, self.host, self.allowed = app, host, {name.lower() for name in allowed}

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message):
            if message["type"] == "http.response.start":
                own = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                message = message | {"headers": [*message.get("headers", []), *own]}
            await send(message)

        refused = self.refusal(scope)
        if refused:
            await PlainTextResponse(refused, 403)(scope, receive, send_with_headers)
        else:
            await self.app(scope, receive, send_with_headers)

    def refusal(self, scope):
        """Why a request is refused, or None."""
        headers = {}
        for name, value in scope["headers"]:
            headers.setdefault(name.decode("latin-1"), []).append(value.decode("latin-1"))
        hosts, origins = headers.get("host", []), headers.get("origin", [])
        if len(hosts) != 1 or not (is_own_name(hosts[0], self.host) or _name_in(hosts[0]) in self.allowed):
            return ("This server does not go by that name. Open it under the address that it printed, or start it with "
                    "--allow-host and that name.")
        own = origins == [f"http://{hosts[0]}"] or (len(origins) == 1 and _name_in(origins[0]) in self.allowed)
        if scope["method"] not in ("GET", "HEAD") and not own:
            return ("Only the page itself may ask for that. If this is the page, start app.py with --allow-host and "
                    "the name in the browser's address.")
        return None


def _name_in(host):
    """The name in a Host or an Origin header, without scheme and port."""
    host = re.sub("^https?://", "", host)
    name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
    return name.removeprefix("[").removesuffix("]").lower().rstrip(".")


def is_own_name(host, listens_on):
    """Whether the Host header of a request is a name of this machine that no one else can give out.

    An address is what it is. Of names only this machine's own count.
    """
    name = _name_in(host)
    own = socket.gethostname().lower()
    if name in ("localhost", listens_on.lower(), own, f"{own}.local"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def is_loopback(host):
    """Whether a server that listens on `host` can be reached from this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
