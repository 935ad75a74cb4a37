"""The photos of the page's visitors: kept apart, few, and gone when the visit ends.

An uploaded photo lies in a file without a name (tempfile.TemporaryFile). The operating system deletes such a file when
it is closed, or when the program dies, even if it is killed.
"""

import asyncio
import dataclasses
import re
import secrets
import tempfile
import time
import typing

MOST_SESSIONS = 32              # at once
MOST_BYTES = 200_000_000        # of one photo
MOST_KEPT = 1_000_000_000       # bytes of all photos
IDLE = 30 * 60                  # seconds without a request, after which a session ends
GIVES_WAY = 2 * 60              # the same, after which it ends if room is needed for another


class Full(Exception):
    """There is no room for another session or photo."""


class Unknown(Exception):
    """The session has ended or never was, or its photo is another one now."""


@dataclasses.dataclass(eq=False)
class Upload:
    """A photo as it came. name: the visitor's. placements: [alignment.Placement] of its faces."""

    name: str
    file: typing.BinaryIO = dataclasses.field(default_factory=tempfile.TemporaryFile)
    number: str = dataclasses.field(default_factory=lambda: secrets.token_urlsafe(8))
    size: int = 0
    placements: list = ()

    @property
    def suffix(self):
        """That of its name, if it is an ordinary one; it becomes a part of a file's name."""
        found = re.search(r"\.[A-Za-z0-9]{1,8}\Z", self.name)
        return found[0] if found else ""

    def close(self):
        self.file.close()


@dataclasses.dataclass(eq=False)
class Session:
    """One open page. upload: its photo, or None. reserved: bytes of a photo that is on its way. turn: see server."""

    key: str
    used: float
    upload: Upload | None = None
    reserved: int = 0
    turn: asyncio.Lock = dataclasses.field(default_factory=asyncio.Lock)

    @property
    def kept(self):
        return self.reserved + (self.upload.size if self.upload else 0)

    def drop(self):
        if self.upload:
            self.upload.close()
        self.upload = None


class Sessions:
    """All sessions of a server; only its event loop may use them. clock: returns seconds."""

    def __init__(self, clock=time.monotonic):
        self.clock, self.all = clock, {}

    def begin(self):
        """A new Session. Raises Full."""
        self.end_idle()
        if len(self.all) >= MOST_SESSIONS:
            self._make_way()
        session = Session(secrets.token_urlsafe(24), self.clock())
        self.all[session.key] = session
        return session

    def get(self, key):
        """The Session of this key, which counts as used now. Raises Unknown."""
        self.end_idle()
        session = self.all.get(key)
        if session is None:
            raise Unknown
        session.used = self.clock()
        return session

    def reserve(self, session, size):
        """Make room for a photo of `size` bytes, beside the session's present one. Raises Full."""
        session.reserved = 0
        while sum(other.kept for other in self.all.values()) + size > MOST_KEPT:
            self._make_way(session)
        session.reserved = size

    def take(self, session, upload):
        """Keep an Upload in place of the session's photo. Raises Unknown if the session has ended meanwhile."""
        if self.all.get(session.key) is not session:
            raise Unknown
        session.drop()
        session.upload = upload

    def end(self, key):
        session = self.all.pop(key, None)
        if session:
            session.drop()

    def end_idle(self):
        limit = self.clock() - IDLE
        for key in [key for key, session in self.all.items() if session.used < limit]:
            self.end(key)

    def end_all(self):
        for key in list(self.all):
            self.end(key)

    def _make_way(self, wanted=None):
        """End the session that is idle for longest, other than `wanted`. Raises Full if that is not long."""
        others = [session for session in self.all.values() if session is not wanted and not session.turn.locked()]
        oldest = min(others, key=lambda session: session.used, default=None)
        if oldest is None or oldest.used > self.clock() - GIVES_WAY:
            raise Full
        self.end(oldest.key)
