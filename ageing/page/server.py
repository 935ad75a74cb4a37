"""What the page asks for: a session, the preview of a photo, the photo in full size, the end of the session.

    GET  /examples/NAME                             -> a sample; with ?pair its face before and after
    POST /session                                   -> JSON: the session's key, the slider's stops, the limits
    POST /photo                                     a photo's bytes; header Name -> the preview, see preview.py
    POST /photo/NUMBER/layer?layer=1                -> one more layer of the preview
    POST /photo/NUMBER/edited?stop=9&face=0&face=2  -> the edited photo; stop and faces by their numbers; with
                                                    &compare=1 before and after side by side
    POST /end                                       ends the session

All that ask about a photo have the header Session: the session's key.
Errors are sentences: plain text, with a status from 400 on.
"""

import asyncio
import contextlib
import mimetypes
import re
from pathlib import Path
from urllib.parse import quote, unquote

import anyio.to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from ageing.errors import UserError, printable, reason
from ageing.faces.direction import Direction
from ageing.page import sessions
from ageing.page.guard import Guard
from ageing.photos.sources import photo_suffixes
from ageing.project import PROJECT

mimetypes.add_type("text/javascript", ".js")    # Windows may say that it is plain text, which browsers do not run
STATIC = Path(__file__).parent / "static"
SAMPLES = PROJECT / "samples"
EXAMPLES = {"astronaut.jpg": Direction.AGE, "grace-hopper.jpg": Direction.REJUVENATE}    # and what is shown of it
LONGEST_NAME = 150          # characters of a photo's name that are kept
TRANSFER = 300              # seconds that a photo may take on its way, up or down
SWEEP = 30                  # seconds between two looks for sessions that are idle
PART = 1 << 18              # bytes that are sent at a time

ENDED = ("The session ended, because the page was not used for a while or its place was needed. The photo was deleted; "
         "choose it again.")
FULL = "Too many people use this page at the moment. Try again in two minutes."


class Pages:
    """The answers. worker: worker.Worker; kept: sessions.Sessions."""

    def __init__(self, worker, kept=None):
        self.worker = worker
        self.sessions = kept or sessions.Sessions()
        self.working = asyncio.Lock()   # one photo at a time, whoever asks
        self.examples = {}              # JPEGs: they are the same for everybody

    async def example(self, request):
        name = request.path_params["name"]
        if name not in EXAMPLES:
            raise HTTPException(404, "There is no such example.")
        if "pair" not in request.query_params:
            return FileResponse(SAMPLES / name)
        if name not in self.examples:
            self.examples[name] = await self._work(request, name, self.worker.example, SAMPLES / name,
                                                   EXAMPLES[name])
        return Response(self.examples[name], media_type="image/jpeg")

    async def begin(self, request):
        slider = self.worker.slider
        return JSONResponse({
            "session": self.sessions.begin().key, "stops": [(stop.title, stop.shown) for stop in slider.stops],
            "start": slider.start, "layers": len(slider.layers), "most bytes": sessions.MOST_BYTES,
            "suffixes": sorted(photo_suffixes())})

    async def end(self, request):
        self.sessions.end(request.headers.get("session"))
        return Response(status_code=204)

    async def photo(self, request, session):
        """Take a photo, in place of the session's present one; (worker.Answer with its preview, headers).

        Of a file that is no photo with a face the session's present one stays.
        """
        size = _length(request)
        upload = sessions.Upload(_clean(request.headers.get("name", "")))
        try:
            self.sessions.reserve(session, size)
            await self._receive(request, upload)
            upload.placements, made = await self._work(request, upload.name, self.worker.look, upload)
            self.sessions.take(session, upload)
        except BaseException:
            upload.close()
            raise
        finally:
            session.reserved = 0
        return made, {"number": upload.number}

    async def _receive(self, request, upload):
        """Write the body of a request into an Upload. Raises HTTPException."""
        try:
            async with asyncio.timeout(TRANSFER):
                async for chunk in request.stream():
                    upload.file.write(chunk)
                    upload.size += len(chunk)
        except (TimeoutError, ClientDisconnect) as error:
            raise HTTPException(408, f"{upload.name}: the photo did not arrive whole. Try again.") from error
        except OSError as error:
            raise HTTPException(507, f"{upload.name}: the photo could not be kept ({reason(error)}).") from error

    async def layer(self, request, session):
        """(worker.Answer with one more layer of the preview, headers)."""
        upload = _upload(request, session)
        (number,) = _numbers(request.query_params, "layer", 1, len(self.worker.slider.layers))
        layer = self.worker.slider.layers[number]
        return await self._work(request, upload.name, self.worker.layer, upload, layer), {}

    async def edited(self, request, session):
        """(worker.Answer with the photo in full size, headers)."""
        query, upload = request.query_params, _upload(request, session)
        (number,) = _numbers(query, "stop", 1, len(self.worker.slider.stops))
        faces, stop = sorted(set(_numbers(query, "face"))), self.worker.slider.stops[number]
        if stop.made is None:
            raise HTTPException(400, "Nothing is changed yet. Move the slider first.")
        if not faces or faces[-1] >= len(upload.placements):
            raise HTTPException(400, "No face is left to edit.")
        made = await self._work(request, upload.name, self.worker.write, upload, faces, stop, "compare" in query)
        return made, {"content-disposition": f"attachment; filename*=UTF-8''{quote(made.name, safe='')}"}

    async def _work(self, request, name, function, *arguments):
        """What `function` returns, in a thread, one after the other. Raises HTTPException with a sentence."""
        async with self.working:
            if await request.is_disconnected():
                raise HTTPException(408, "The visitor has left.")
            try:
                return await anyio.to_thread.run_sync(function, *arguments)
            except UserError as error:
                sentence = f"{printable(str(error))}."
            except Exception as error:  # not foreseen
                sentence = f"{name}: {type(error).__name__}: {printable(' '.join(str(error).split()))[:200]}."
        raise HTTPException(422, sentence)  # here, so that it does not hold the error, whose frames hold the photo


def application(pages, host, allowed=()):
    """The ASGI application. host: what it listens on. allowed: further names of the page, see guard."""
    @contextlib.asynccontextmanager
    async def lifespan(app):
        async def sweep():
            while True:
                await asyncio.sleep(SWEEP)
                pages.sessions.end_idle()

        sweeping = asyncio.create_task(sweep())
        yield
        sweeping.cancel()
        pages.sessions.end_all()

    routes = [
        Route("/session", pages.begin, methods=["POST"]),
        Route("/photo", InTurn(pages.sessions, pages.photo), methods=["POST"]),
        Route("/photo/{number}/layer", InTurn(pages.sessions, pages.layer), methods=["POST"]),
        Route("/photo/{number}/edited", InTurn(pages.sessions, pages.edited), methods=["POST"]),
        Route("/end", pages.end, methods=["POST"]),
        Route("/examples/{name}", pages.example),
        Mount("/", StaticFiles(directory=STATIC, html=True)),
    ]
    sentences = {HTTPException: lambda _, error: PlainTextResponse(error.detail, error.status_code),
                 sessions.Full: lambda *_: PlainTextResponse(FULL, 503),
                 sessions.Unknown: lambda *_: PlainTextResponse(ENDED, 410)}
    return Starlette(routes=routes, lifespan=lifespan, middleware=[Middleware(Guard, host=host, allowed=allowed)],
                     exception_handlers=sentences)


class InTurn:
    """ASGI application: a session's requests are answered one after the other, to the end.

    answer: async function of a Request and its Session, returns (worker.Answer, headers).
    """

    def __init__(self, kept, answer):
        self.sessions, self.answer = kept, answer

    async def __call__(self, scope, receive, send):
        request = Request(scope, receive)
        session = self.sessions.get(request.headers.get("session"))
        async with session.turn:
            made, headers = await self.answer(request, session)
            with made.file:
                notes = " ".join(quote(printable(note)) for note in made.notes)
                sent = StreamingResponse(iter(lambda: made.file.read(PART), b""), media_type="application/octet-stream",
                                         headers=headers | {"notes": notes, "content-length": str(made.size)})
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(TRANSFER):
                        await sent(scope, receive, send)


def _upload(request, session):
    """The photo that is asked about. Raises sessions.Unknown."""
    if session.upload is None or session.upload.number != request.path_params["number"]:
        raise sessions.Unknown
    return session.upload


def _numbers(query, key, count=None, limit=100_000):
    """All numbers of `key`, each below `limit`; `count` of them. Raises HTTPException."""
    texts = query.getlist(key)
    if (not all(re.fullmatch(r"[0-9]{1,5}", text) and int(text) < limit for text in texts)
            or count not in (None, len(texts))):
        raise HTTPException(400, "The page does not ask that.")
    return [int(text) for text in texts]


def _length(request):
    """Bytes of the photo that a request announces. Raises HTTPException, before anything of it is read."""
    length = request.headers.get("content-length", "")
    if not re.fullmatch(r"[0-9]{1,15}", length):
        raise HTTPException(411, "The browser did not say how large the photo is.")
    if int(length) > sessions.MOST_BYTES:
        raise HTTPException(413, f"The photo has {int(length) / 1e6:.0f} MB; the page takes at most "
                                 f"{sessions.MOST_BYTES / 1e6:.0f} MB.")
    return int(length)


def _clean(name):
    """The name of a visitor's photo, from its percent-encoded form: one line, without folders, not too long."""
    name = printable(re.split(r"[/\\]", unquote(name))[-1]).strip() or "photo"
    stem, dot, suffix = name.rpartition(".")
    return f"{stem[:LONGEST_NAME]}{dot}{suffix[:10]}" if stem else name[:LONGEST_NAME]
