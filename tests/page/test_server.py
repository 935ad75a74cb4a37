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
from ageing.faces.blending import blend, changes_of
from ageing.faces.direction import aim
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
def begun(visitor, length, sent=b"", path="/photo"):
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
    (tmp_path / "out").mkdir()
    for photo in photos:
        assert visitor.open(photo.name, photo.read_bytes()).status == 200
        answer = visitor.edited(strength)
        out = tmp_path / "out" / name_of(answer)
        assert out.stem == f"{photo.stem}_{'50s' if strength > 0 else '20s'}_{abs(strength)}"
        assert command_line(photo, "-o", out, "--direction", direction, "--strength", abs(strength), "--force") == 0
        assert answer.body == out.read_bytes(), photo.name
        (tmp_path / "download").write_bytes(answer.body)
        assert is_marked(tmp_path / "download"), photo.name


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


def test_a_photo_comes_with_the_layer_that_is_shown_first_and_the_others_follow(visitor):
    head, _, faces = unpacked(visitor.open("photo.png", encoded()).body)
    older = faces[0][1]["0"]
    assert list(head["faces"][0]["deltas"]) == ["0"]
    younger = visitor.ask(f"/photo/{visitor.number}/layer?layer=1").body
    assert len(younger) == sum(deltas["0"].size for _, deltas in faces) * 2
    first = np.frombuffer(younger, "<i2", older.size).reshape(older.shape) / head["levels"]
    np.testing.assert_allclose(first, -older)


def told_pages():
    """(pages whose generator can be told ages, all that it is told)."""
    own = pages(ages=(45, 85))
    return own, own.worker.translators["age"].calls


def test_the_download_at_an_age_is_what_the_generator_makes_when_told_that_age():
    own, told = told_pages()
    names = [stop.name for stop in own.worker.slider.stops]
    photo = picture(100)
    with served(own) as port:
        visitor = Visitor(port)
        visitor.open("photo.png", encoded(pixels=photo))
        for age, answer in ((62, visitor.edited_at(names.index("62"))), (30, visitor.edited_at(names.index("30")))):
            placements = own.worker.aligner.align(photo, own.worker.detector.find(photo))
            direction, years, share = aim(age)
            generator = own.worker.translators[direction]
            changes = changes_of(photo, placements, generator if years is None else generator.told(years))
            assert name_of(answer) == f"photo_{age}.png"
            np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(answer.body))), blend(photo, changes, share))
    assert told == [55, 62, 62]     # with the photo, for the download, and here


def test_each_layer_is_told_its_age():
    own, told = told_pages()
    with served(own) as port:
        visitor = Visitor(port)
        visitor.open("photo.png", encoded())
        for layer in range(1, len(own.worker.slider.layers)):
            assert visitor.ask(f"/photo/{visitor.number}/layer?layer={layer}").status == 200
    assert told == [55, 45, 65, 75, 85]
    assert own.worker.translators["rejuvenate"].calls == [None]


def test_before_and_after_side_by_side(visitor, tmp_path):
    visitor.open("photo.png", encoded())
    answer = visitor.edited(0.8, more="&compare=1")
    assert name_of(answer) == "photo_50s_0.8_compare.jpg"
    (tmp_path / "download.jpg").write_bytes(answer.body)
    assert is_marked(tmp_path / "download.jpg")
    width, height = Image.open(tmp_path / "download.jpg").size
    assert width > 1.5 * height


def test_the_examples_are_shown_before_and_after_and_made_once(own, port):
    calls = len(own.worker.translators["rejuvenate"].calls)
    pairs = [ask(port, "/examples/grace-hopper.jpg?pair", method="GET").body for _ in range(2)]
    assert pairs[0] == pairs[1]
    assert len(own.worker.translators["rejuvenate"].calls) == calls + 1
    before, after = np.split(np.asarray(Image.open(io.BytesIO(pairs[0]))).astype(int), 2, axis=1)
    assert before.mean() > after.mean() + 3     # Marbled makes it darker
    assert ask(port, "/examples/grace-hopper.jpg", method="GET").body.startswith(b"\xff\xd8")
    assert ask(port, "/examples/../README.md", method="GET").status == 404


@pytest.mark.parametrize("layer", ["", "?layer=", "?layer=2", "?layer=-1", "?layer=0&layer=1", "?layer=x"])
def test_odd_layers_get_a_sentence(visitor, layer):
    visitor.open("photo.png", encoded())
    answer = visitor.ask(f"/photo/{visitor.number}/layer{layer}")
    assert (answer.status, sentence(answer)) == (400, "The page does not ask that.")


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
                assert name_of(answer) == f"{grey}_50s_0.5.png"
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
        assert other.ask("/photo", b"x", {"Session": key, "Name": "a.jpg"}).status == 410
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
    answer = visitor.ask("/photo", (b"x" for _ in range(3)), {"Name": "a.jpg", "Transfer-Encoding": "chunked"})
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
        assert len(own.worker.translators["age"].calls) == 2


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


