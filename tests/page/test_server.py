"""What the server does for visitors: the same photo as infer_faces.py, sentences for what is none, nothing mixed up."""

import contextlib
import gc
import io
import os
import socket
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from conftest import ROOT
from page_server import Clock, Finds, Marbled, Squares, Visitor, ask, name_of, pages, sentence, served, unpacked, until
from PIL import Image

import infer_faces
from ageing.faces import alignment, detector, translator
from ageing.page import sessions
from ageing.photos.metadata import is_marked

sys.path.append(str(ROOT / "tests/photos"))
from sample_photos import SRGB, exif
from test_photo_file import broken_files

RNG = np.random.default_rng(5)
WIDTH, HEIGHT = 260, 200


@pytest.fixture(scope="module")
def own():
    return pages()


@pytest.fixture(scope="module")
def port(own):
    with served(own) as port:
        yield port


@pytest.fixture
def visitor(port):
    visitor = Visitor(port)
    yield visitor
    visitor.ask("/end")


def picture(grey=None):
    """uint8 RGB (HEIGHT, WIDTH, 3), of noise or of one grey."""
    if grey is not None:
        return np.full((HEIGHT, WIDTH, 3), grey, np.uint8)
    return RNG.integers(30, 220, (HEIGHT, WIDTH, 3), np.uint8)


def encoded(form="PNG", pixels=None, **more):
    file = io.BytesIO()
    Image.fromarray(picture() if pixels is None else pixels).save(file, form, **more)
    return file.getvalue()


@contextlib.contextmanager
def begun(visitor, length, sent=b"", path="/photo?side=400"):
    """A connection on which a request with `length` bytes has begun: `sent` are the first ones."""
    with socket.create_connection(("127.0.0.1", visitor.port), timeout=10) as raw:
        raw.sendall(f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: http://127.0.0.1\r\n"
                    f"Session: {visitor.session}\r\nName: a.jpg\r\nContent-Length: {length}\r\n\r\n".encode() + sent)
        yield raw


def of_all_kinds(folder):
    """Photos that differ in what must be kept of them."""
    image = Image.fromarray(picture())
    image.save(folder / "phone.jpg", quality=80, exif=exif(Orientation=1), icc_profile=SRGB, comment=b"hello")
    image.transpose(Image.Transpose.ROTATE_90).save(folder / "turned.JPEG", quality=90, exif=exif(Orientation=6))
    image.save(folder / "plain.png")
    image.convert("RGBA").save(folder / "clear.webp", lossless=True)
    image.convert("CMYK").save(folder / "inks.tif", compression="tiff_lzw")
    image.convert("L").save(folder / "grey.tiff")
    image.save(folder / "old.bmp")
    Image.fromarray(RNG.integers(0, 65_536, (HEIGHT, WIDTH), np.uint16)).save(folder / "deep.png")
    image.save(folder / "größe 1.jpg")
    image.save(folder / "no_suffix", "JPEG")
    return sorted(folder.iterdir())


@pytest.fixture
def command_line(monkeypatch):
    """infer_faces.main with the same stubs as the page's."""
    made = {"g_AB.onnx": Marbled(1, "50s"), "g_BA.onnx": Marbled(-1, "20s")}
    monkeypatch.setattr(detector, "Detector", lambda **more: Finds())
    monkeypatch.setattr(alignment, "Aligner", Squares)
    monkeypatch.setattr(translator, "Translator", lambda path: made[path.name])
    return lambda *arguments: infer_faces.main([str(a) for a in arguments])


@pytest.mark.parametrize("strength", [0.35, -1.2])
def test_the_download_is_what_infer_faces_writes(tmp_path, visitor, command_line, strength):
    (tmp_path / "in").mkdir()
    photos = of_all_kinds(tmp_path / "in")
    direction = "age" if strength > 0 else "rejuvenate"
    assert command_line(*photos, "-o", tmp_path / "out", "--direction", direction, "--strength", abs(strength)) == 0
    for photo in photos:
        assert visitor.open(photo.name, photo.read_bytes()).status == 200
        answer = visitor.edited(strength)
        assert answer.body == (tmp_path / "out" / name_of(answer)).read_bytes(), photo.name
        (tmp_path / "download").write_bytes(answer.body)
        assert is_marked(tmp_path / "download"), photo.name
    assert len(list((tmp_path / "out").iterdir())) == len(photos)


@pytest.mark.parametrize("face", [1, 2])
def test_a_face_that_is_left_out_stays_as_it_is(tmp_path, visitor, command_line, face):
    photo = tmp_path / "photo.png"
    photo.write_bytes(encoded())
    assert command_line(photo, "--strength", 1.1, "--face", face) == 0
    visitor.open(photo.name, photo.read_bytes())
    assert visitor.edited(1.1, [face - 1]).body == (tmp_path / f"photo_50s_1.1_face{face}.png").read_bytes()


def test_what_is_not_kept_is_said(visitor):
    answer = visitor.open("two.gif", encoded("GIF", save_all=True, append_images=[Image.fromarray(picture())]))
    assert answer.headers["notes"] == "only%20the%20first%20of%20its%202%20pictures%20is%20read"


def test_a_photo_is_translated_once_a_direction(own, visitor):
    translators = own.worker.translators.values()
    before = [stub.calls for stub in translators]
    assert visitor.open("photo.png", encoded()).status == 200
    for strength, faces in ((0.3, (0,)), (0.8, (0, 1)), (-0.5, (1,)), (1.5, (0, 1))):
        assert visitor.edited(strength, faces).status == 200
    assert [stub.calls for stub in translators] == [n + 1 for n in before]


def test_visitors_at_once_do_not_mix_their_photos():
    """Each has a photo of his own grey. All upload, look and download at the same time, three times over."""
    own, greys = pages(seconds=0.01), range(20, 220, 20)
    Marbled.most_at_once = 0
    with served(own) as port:
        visitors = {grey: Visitor(port) for grey in greys}
        together = threading.Barrier(len(greys))

        def visit(grey):
            visitor, seen = visitors[grey], set()
            for _ in range(3):
                together.wait()
                answer = visitor.open(f"{grey}.png", encoded(pixels=picture(grey)))
                seen.update(np.unique(unpacked(answer.body)[1][..., :3]).tolist())
                together.wait()
                answer = visitor.edited(0.5)
                assert name_of(answer) == f"{grey}_50s.png"
                seen.add(Image.open(io.BytesIO(answer.body)).getpixel((0, 0))[0])   # outside of the faces
            return seen

        with ThreadPoolExecutor(len(greys)) as crowd:
            assert list(crowd.map(visit, greys)) == [{grey} for grey in greys]
    assert Marbled.most_at_once == 1        # one translation at a time


def test_nobody_gets_a_photo_of_another_session(visitor, port):
    visitor.open("mine.png", encoded())
    other = Visitor(port)
    other.number = visitor.number
    answer = other.edited(0.5)
    assert (answer.status, sentence(answer)[:18]) == (410, "The session ended,")
    for key in ("", "wrong", visitor.session[:-1]):
        assert other.ask("/photo?side=400", b"x", {"Session": key, "Name": "a.jpg"}).status == 410
    other.open("theirs.png", encoded())
    stale, other.number = other.number, visitor.number
    assert other.edited(0.5).status == 410
    other.open("next.png", encoded())
    assert other.number != stale
    other.number = stale        # a photo that was replaced
    assert other.edited(0.5).status == 410
    assert visitor.edited(0.5).status == 200


@pytest.fixture
def uploads(monkeypatch):
    """[sessions.Upload] of this test."""
    made = []

    class Noted(sessions.Upload):
        def __init__(self, name):
            super().__init__(name)
            made.append(self)

    monkeypatch.setattr(sessions, "Upload", Noted)
    return made


def test_faces_seen_from_the_side_are_left_out_and_told(own, visitor, monkeypatch):
    sides = {1, 2}
    monkeypatch.setattr(own.worker.aligner, "align", lambda photo, faces: [
        alignment.Placement(alignment.placement_of(face.box).matrix, number not in sides)
        for number, face in enumerate(faces, 1)])
    assert sentence(visitor.open("side.png", encoded())).startswith("side.png: every face is seen from the side")
    sides.remove(1)
    answer = visitor.open("both.png", encoded())
    assert answer.headers["notes"].startswith("1%20of%202%20faces%20not%20changed")
    assert len(unpacked(answer.body)[0]["faces"]) == 1


def test_a_wrong_file_leaves_the_photo_that_is_worked_on_and_another_replaces_it(own, visitor, uploads):
    visitor.open("mine.png", encoded(pixels=picture(90)))
    before = visitor.edited(0.5).body
    for name, wrong in (("broken.png", b"no"), ("nobody.png", encoded(pixels=picture()[:90]))):
        answer = visitor.open(name, wrong)
        assert answer.status == 422
        assert visitor.edited(0.5).body == before
    assert sentence(answer).startswith("nobody.png: no face was found.")
    visitor.open("next.png", encoded())
    assert [upload.file.closed for upload in uploads] == [True, True, True, False]
    session = own.sessions.all[visitor.session]
    assert (session.upload, session.kept) == (uploads[-1], uploads[-1].size)


@pytest.mark.parametrize("by", ["the page", "idleness", "the server"])
def test_a_photo_is_deleted_when_its_session_ends(tmp_path, monkeypatch, uploads, by):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr("ageing.page.server.SWEEP", 0.05)
    clock = Clock()
    own = pages(kept=sessions.Sessions(clock))
    with served(own) as port:
        visitor = Visitor(port)
        visitor.open("photo.png", encoded())
        assert visitor.edited(0.5).status == 200
        assert not list(tmp_path.iterdir())      # also while the session lasts, there is no file with a name
        upload, = uploads
        assert not upload.file.closed
        if by == "the page":
            assert visitor.ask("/end").status == 204
        elif by == "idleness":  # nobody asks for anything
            clock.now += sessions.IDLE + 1
            until(lambda: upload.file.closed)
        assert visitor.edited(0.5).status == (200 if by == "the server" else 410)
    assert upload.file.closed
    assert upload.changes is None
    assert not own.sessions.all


def test_many_questions_of_one_session_are_answered_one_after_the_other(uploads):
    own = pages(seconds=0.02)
    with served(own) as port:
        visitor = Visitor(port)
        visitor.open("0.png", encoded())
        with ThreadPoolExecutor(8) as crowd:
            edited = [crowd.submit(visitor.edited, 0.5) for _ in range(3)]
            opened = [crowd.submit(visitor.open, f"{i}.png", encoded()) for i in range(1, 5)]
        assert {answer.result().status for answer in edited} <= {200, 410}
        assert {answer.result().status for answer in opened} == {200}
        assert sorted(upload.file.closed for upload in uploads) == [False, True, True, True, True]
        session = own.sessions.all[visitor.session]
        assert session.kept == session.upload.size
        until(lambda: not session.turn.locked())    # it is free a moment after the last answer has arrived


def open_files():
    gc.collect()    # Pillow's readers of damaged files are parts of reference cycles
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts open files in /proc")
def test_broken_and_hostile_files_end_in_a_sentence_and_leave_nothing(own, visitor, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    good = encoded("JPEG")
    hostile = broken_files() | {
        "postscript.eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "page.html": b"<script>x</script>",
        "vector.svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>", "photo.heic": b"\0\0\0\x18ftypheic" + bytes(80),
        "x" * 5000 + ".jpg": b"no", "../../../../etc/passwd": b"no", "..": b"no", "": b"no", "a\0b\r\nc.jpg": b"no",
        "<img src=x onerror=alert(1)>.png": b"no", "C:\\Users\\me\\photo.jpg": good[:999]}
    before = None
    for _ in range(4):
        for name, data in hostile.items():
            answer = visitor.open(name, data)
            assert answer.status == 422, name
            text = sentence(answer)
            assert len(text) < 500
            assert str(tmp_path) not in text
            assert "etc" not in text.split(":")[0]
            assert "Users" not in text
        before = before or open_files()
    assert open_files() <= before + 2       # connections that are about to be closed
    assert not list(tmp_path.iterdir())
    assert own.sessions.all[visitor.session].kept == 0
    assert visitor.open("good.jpg", good).status == 200


def test_too_many_pixels_are_refused_before_they_are_decoded(visitor, own, monkeypatch):
    monkeypatch.setattr(own.worker, "max_megapixels", 0.01)
    text = sentence(visitor.open("large.png", encoded()))
    assert text == ("large.png: 260 x 200 is more than 0.01 megapixels; raise the limit with --max-megapixels.")


def test_too_many_bytes_are_refused_before_they_are_sent(visitor):
    """The answer comes though only the head of the request was sent."""
    for length in (sessions.MOST_BYTES + 1, 10 ** 14):
        with begun(visitor, length) as raw:
            answer = b""
            while b"; the page takes at most 200 MB." not in answer:
                part = raw.recv(4096)
                assert part, answer
                answer += part
            assert answer.startswith(b"HTTP/1.1 413")


def test_a_photo_of_unknown_size_is_refused(visitor):
    answer = visitor.ask("/photo?side=400", (b"x" for _ in range(3)), {"Name": "a.jpg", "Transfer-Encoding": "chunked"})
    assert (answer.status, sentence(answer)) == (411, "The browser did not say how large the photo is.")


def test_an_upload_that_breaks_off_leaves_nothing_and_the_next_one_goes_on(own, visitor):
    data = encoded()
    with begun(visitor, len(data), data[:-10]):
        pass
    assert visitor.open("whole.png", data).status == 200
    session = own.sessions.all[visitor.session]
    assert (session.upload.name, session.reserved, session.kept) == ("whole.png", 0, len(data))


def test_a_download_that_breaks_off_leaves_the_session_free(own, visitor):
    visitor.open("large.jpg", encoded("JPEG", np.resize(picture(), (2500, 2500, 3)), quality=95))
    turn = own.sessions.all[visitor.session].turn
    with begun(visitor, 0, path=f"/photo/{visitor.number}/edited?stop=40&face=0") as raw:
        raw.recv(1000)
        assert turn.locked()
    until(lambda: not turn.locked())


def test_who_has_left_is_not_worked_for():
    own, data = pages(seconds=0.3), encoded()
    with served(own) as port, ThreadPoolExecutor(1) as other:
        one, gone = Visitor(port), Visitor(port)
        first = other.submit(one.open, "first.png", data)
        threading.Event().wait(0.1)
        with begun(gone, len(data), data):
            threading.Event().wait(0.1)
        assert first.result().status == 200
        assert gone.open("second.png", data).status == 200
        assert own.worker.translators["age"].calls == 2


@pytest.mark.parametrize("question", ["", "?", "?face=0", "?stop=", "?stop=-1&face=0", "?stop=1e1&face=0",
                                      "?stop=61&face=0", "?stop=NaN&face=0", "?stop=1&face=-1", "?stop=1&face=x",
                                      "?stop=1&face=0,1", f"?stop={'9' * 5000}", f"?stop=1&face={'9' * 5000}"])
def test_odd_questions_get_a_sentence(visitor, question):
    visitor.open("photo.png", encoded())
    answer = visitor.ask(f"/photo/{visitor.number}/edited{question}")
    assert (answer.status, sentence(answer)) == (400, "The page does not ask that.")


def test_nothing_to_edit_is_said(visitor):
    visitor.open("photo.png", encoded())
    assert sentence(visitor.edited(0)) == "Nothing is changed yet. Move the slider first."
    for faces in ((), (2,), (0, 1, 2)):
        assert sentence(visitor.edited(0.3, faces)) == "No face is left to edit."
    assert visitor.edited(0.3, (1, 1, 0)).status == 200


@pytest.mark.parametrize("side", ["", "?side=", "?side=-5", "?side=1e3", "?side=999999", "?side=ten"])
def test_a_screen_without_a_size_gets_a_sentence(visitor, side):
    answer = visitor.ask(f"/photo{side}", b"x", {"Name": "a.jpg"})
    assert (answer.status, sentence(answer)) == (400, "The page did not say how large its screen is.")


def test_a_failure_that_nobody_foresaw_is_a_sentence_too(visitor, own, monkeypatch):
    monkeypatch.setattr(own.worker.detector, "find", lambda photo: 1 / 0, raising=False)
    answer = visitor.open("photo.png", encoded())
    assert (answer.status, sentence(answer)) == (422, "photo.png: ZeroDivisionError: division by zero.")


def test_a_full_house_says_so(port, monkeypatch):
    monkeypatch.setattr(sessions, "MOST_SESSIONS", 0)
    answer = ask(port, "/session")
    assert (answer.status, sentence(answer)[:33]) == (503, "Too many people use this page at ")


def test_static_files_name_no_other_host():
    for path in (ROOT / "ageing/page/static").iterdir():
        text = path.read_text(encoding="utf-8").replace('xmlns="http://www.w3.org/2000/svg"', "")
        assert "//" not in "".join(line.partition("// ")[0] for line in text.splitlines(True)), path.name


