"""The page in a real browser, headless Chromium, with the shipped generators; the network is cut.

Slow. Skipped where there is no Chromium: `apt-get install chromium`, or the environment variable CHROMIUM names one.
"""

import base64
import contextlib
import dataclasses
import io
import os
import shutil
import socketserver
import subprocess
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import ROOT, python
from page_server import pages, served, started, stop, until
from PIL import Image
from test_server import broken_files, encoded

from ageing.faces.alignment import placement_of
from ageing.faces.detector import Face
from ageing.page import server
from ageing.photos import photo_file
from ageing.photos.metadata import is_marked

CHROMIUM = os.environ.get("CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [pytest.mark.slow,
              pytest.mark.skipif(not CHROMIUM, reason="no Chromium: apt-get install chromium, or set CHROMIUM")]
# The browser asks its maker for things on its own account; port 9 of this machine answers nothing.
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync",
         "--gaia-url=http://127.0.0.1:9", "--component-updater=url-source=http://127.0.0.1:9/",
         "--gcm-checkin-url=http://127.0.0.1:9/", "--gcm-registration-url=http://127.0.0.1:9/"]
PORTRAIT = ROOT / "samples/astronaut.jpg"


class Wire(socketserver.ThreadingTCPServer):
    """The browser's proxy for all but this machine: it notes what is asked for and answers nothing."""

    daemon_threads = True

    def __init__(self):
        self.asked = []
        super().__init__(("127.0.0.1", 0), Note)
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Note(socketserver.StreamRequestHandler):
    def handle(self):
        self.server.asked.append(self.rfile.readline(500).decode("latin-1").strip())


@pytest.fixture(scope="module")
def wire():
    wire = Wire()
    yield wire
    wire.shutdown()
    wire.server_close()


@pytest.fixture(scope="module")
def browser(wire, tmp_path_factory):
    playwright = pytest.importorskip("playwright.sync_api")
    film = tmp_path_factory.mktemp("camera") / "camera.y4m"
    film.write_bytes(still_film(PORTRAIT))
    camera = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
              f"--use-file-for-fake-video-capture={film}"]
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=[*QUIET, *camera],
                                         proxy={"server": f"http://127.0.0.1:{wire.server_address[1]}",
                                                "bypass": "127.0.0.1"})
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def port():
    """Where `python app.py` serves the page."""
    with started() as (_, port, _):
        yield port


@pytest.fixture
def open_page(browser, port, wire):
    """Opens the page: a function of the port and the context's settings. Afterwards nothing else was asked for."""
    contexts, asked, faults = [], [], []
    heard = len(wire.asked)

    def open_one(port=port, **settings):
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **settings})
        contexts.append(context)
        context.on("request", lambda request: asked.append(request.url))
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(f"http://127.0.0.1:{port}/")
        page.wait_for_selector("#age[max]", state="attached")
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert [url for url in asked if not url.startswith(("http://127.0.0.1:", "blob:http://127.0.0.1:"))] == []
    assert wire.asked[heard:] == []
    assert faults == []


@pytest.fixture
def page(open_page):
    return open_page()


def still_film(path):
    """A YUV4MPEG2 film of 30 equal pictures of the photo at `path`, 640 x 480."""
    picture = Image.new("RGB", (640, 480), "grey")
    picture.paste(Image.open(path).convert("RGB").resize((480, 480)), (80, 0))
    y, cb, cr = picture.convert("YCbCr").split()
    frame = y.tobytes() + b"".join(c.resize((320, 240)).tobytes() for c in (cb, cr))
    return b"YUV4MPEG2 W640 H480 F30:1 Ip A1:1 C420jpeg\n" + (b"FRAME\n" + frame) * 30


def opened(page, path):
    """Choose the photo at `path`; wait until it and all its layers are there."""
    page.evaluate("document.getElementById('picture').ariaBusy = 'true'")
    page.set_input_files("#file", path)
    arrived(page)


def arrived(page):
    page.wait_for_selector("[data-state=ready] #picture[aria-busy=false]")


def border(page):
    """Where the border between before and after is, in percent of the photo's width."""
    return float(page.evaluate("document.getElementById('picture').style.getPropertyValue('--border')")[:-1])


def slide(page, strength):
    page.fill("#age", str(stop(strength)))


def drop(page, *names):
    """Drop the portrait on the page, once under each of these names."""
    page.evaluate("""([data, names]) => {
        const transfer = new DataTransfer();
        for (const name of names) {
            transfer.items.add(new File([new Uint8Array(data)], name, {type: "image/jpeg"}));
        }
        document.body.dispatchEvent(new DragEvent("drop", {dataTransfer: transfer, bubbles: true, cancelable: true}));
    }""", [list(PORTRAIT.read_bytes()), names])


def saved(page, folder):
    """Click on Download; the path of what the browser saves."""
    with page.expect_download() as download:
        page.click("#download")
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path


def assert_looks_like_the_download(shown, path):
    difference = np.abs(photo_file.read(path).rgb.astype(int) - shown)
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.01


def canvas(page, name="after"):
    """uint8 RGB (H, W, 3) of a canvas."""
    url = page.evaluate(f"document.getElementById('{name}').toDataURL('image/png')")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.split(",")[1]))).convert("RGB"))


def command_line(*arguments):
    command, settings = python(ROOT / "infer_faces.py", *arguments)
    subprocess.run(command, check=True, capture_output=True, **settings)


def two_faces(folder):
    """The path of a PNG with both portraits."""
    left, right = (Image.open(ROOT / f"samples/{name}.jpg").convert("RGB") for name in ("astronaut", "grace-hopper"))
    both = Image.new("RGB", (1024, 512))
    both.paste(left)
    both.paste(right, (512, 0))
    both.save(folder / "both.png")
    return folder / "both.png"


def test_the_proxy_hears_what_goes_to_another_host(browser, wire):
    page = browser.new_page()
    with pytest.raises(Exception, match="ERR_"):
        page.goto("http://other.invalid/")
    page.close()
    assert "GET http://other.invalid/ HTTP/1.1" in wire.asked


def test_a_script_in_the_page_could_not_ask_another_host(browser, port, wire):
    heard, page = len(wire.asked), browser.new_page()
    page.goto(f"http://127.0.0.1:{port}/")
    assert page.evaluate("fetch('http://other.invalid/').then(() => 'sent', () => 'refused')") == "refused"
    assert page.evaluate("""new Promise((resolve) => {
        const image = new Image();
        image.onload = () => resolve('sent');
        image.onerror = () => resolve('refused');
        image.src = 'http://other.invalid/x.png';
    })""") == "refused"
    page.close()
    assert wire.asked[heard:] == []


@pytest.mark.parametrize(("name", "strength"), [("astronaut", 0.85), ("astronaut", -1.2), ("grace-hopper", 1)])
def test_the_download_of_an_example_is_what_infer_faces_writes_to_the_bit(page, tmp_path, name, strength):
    page.click(f"[data-example='{name}.jpg']")
    arrived(page)
    if strength != 1:   # where the slider begins
        slide(page, strength)
    assert page.inner_text("#title") == ("older" if strength > 0 else "younger")
    assert "year" not in page.inner_text("body")    # eyes see less than half of what networks do
    path = saved(page, tmp_path)
    direction, made = ("age", "50s") if strength > 0 else ("rejuvenate", "20s")
    assert path.name == f"{name}_{made}{'' if strength == 1 else f'_{abs(strength)}'}.jpg"
    command_line(ROOT / f"samples/{name}.jpg", "--strength", abs(strength), "--direction", direction, "-o",
                 tmp_path / "command.jpg")
    assert path.read_bytes() == (tmp_path / "command.jpg").read_bytes()
    assert is_marked(path)


def test_what_is_seen_is_what_is_downloaded_and_a_moved_slider_asks_for_nothing(open_page, tmp_path):
    page, path = open_page(device_scale_factor=2), two_faces(tmp_path)
    opened(page, path)
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    shown = {}
    for strength in (0.1, 1.5, -1.5, 0, 0.6):
        slide(page, strength)
        shown[strength] = canvas(page)
    assert asked == []
    np.testing.assert_array_equal(shown[0], photo_file.read(path).rgb)
    np.testing.assert_array_equal(canvas(page, "before"), shown[0])
    for strength in (0.6, -1.5):
        slide(page, strength)
        assert_looks_like_the_download(shown[strength], saved(page, tmp_path))
    assert np.abs(shown[1.5].astype(int) - shown[0]).mean() > np.abs(shown[0.1].astype(int) - shown[0]).mean()


def test_where_faces_overlap_the_page_shows_the_same_as_the_download(open_page, tmp_path):
    own = pages()
    own.worker.detector.find = lambda photo: [Face((40, 30, 150, 150), 1.0), Face((110, 50, 220, 170), 1.0)]
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (200, 260, 3), np.uint8)).save(tmp_path / "noise.png")
    with served(own) as port:
        page = open_page(port)
        opened(page, tmp_path / "noise.png")
        for strength in (1.5, -1.5):
            slide(page, strength)
            assert_looks_like_the_download(canvas(page), saved(page, tmp_path))


def test_of_two_photos_that_are_chosen_at_once_the_last_one_is_shown(page, tmp_path):
    page.set_input_files("#file", two_faces(tmp_path))
    opened(page, PORTRAIT)
    assert page.locator("#faces button").count() == 1
    assert saved(page, tmp_path).name == "astronaut_50s.jpg"
    assert page.is_hidden("#message")
    assert page.is_hidden("#row")


@pytest.mark.parametrize("by", ["mouse", "keyboard"])
def test_a_face_can_be_looked_at_closely_and_left_out(page, tmp_path, by):
    path = two_faces(tmp_path)
    opened(page, path)
    slide(page, 1.1)
    before, changed = canvas(page, "before").astype(int), canvas(page)
    second = page.locator("#faces button").nth(1)       # the astronaut: the smaller face
    leave = page.locator("#leave")
    assert leave.is_hidden()
    small = second.bounding_box()["width"]
    second.click() if by == "mouse" else second.press("Enter")
    assert second.bounding_box()["width"] > 2 * small
    assert page.inner_text("#closer") == "Face 2 of 2"
    leave.click() if by == "mouse" else leave.press("Enter")
    assert leave.get_attribute("aria-pressed") == "true"
    assert second.get_attribute("data-words") == "left out"
    page.locator("#closer").click() if by == "mouse" else page.keyboard.press("Escape")
    assert second.bounding_box()["width"] == pytest.approx(small)
    assert "1 left out" in page.inner_text("#hint")
    left, right = np.abs(canvas(page) - before)[:, :512], np.abs(canvas(page) - before)[:, 512:]
    assert not left.any()
    assert right.any()
    out = saved(page, tmp_path)
    command_line(path, "--strength", 1.1, "--face", 1, "-o", tmp_path / "command.png")
    assert out.read_bytes() == (tmp_path / "command.png").read_bytes()
    page.keyboard.press("p")    # from the whole photo to the last face
    leave.click() if by == "mouse" else leave.press("Space")
    np.testing.assert_array_equal(canvas(page), changed)
    leave.click()
    page.click("#next")
    assert page.inner_text("#closer") == "Face 1 of 2"
    leave.click()
    assert page.is_disabled("#download")
    np.testing.assert_array_equal(canvas(page), before)


def test_the_border_moves_with_mouse_and_keyboard_and_a_drag_is_no_click(page):
    opened(page, PORTRAIT)
    face = page.locator("#faces button").bounding_box()
    box = page.locator("#picture").bounding_box()
    x, y = face["x"] + face["width"] / 2, face["y"] + face["height"] / 2
    assert border(page) == pytest.approx(100 * (x - box["x"]) / box["width"], abs=0.5)      # begins there
    assert abs(border(page) - 50) > 3
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.25, y, steps=5)
    assert not page.locator("#faces").evaluate("(faces) => faces.checkVisibility({opacityProperty: true})")
    page.mouse.up()
    assert page.locator("#faces").evaluate("(faces) => faces.checkVisibility({opacityProperty: true})")
    assert border(page) == pytest.approx(25, abs=1)
    page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + box["height"] * 0.85)
    page.mouse.down()
    page.mouse.move(x, y, steps=3)
    page.mouse.up()     # ends above the face
    page.mouse.down()   # begins and ends there
    page.mouse.move(x + 9, y)
    page.mouse.move(x + 2, y)
    page.mouse.up()
    assert page.inner_text("#closer") == "Look closely"
    page.locator("#divider").press("Home")
    assert border(page) == 0
    assert page.evaluate("getComputedStyle(document.getElementById('after')).clipPath") == "inset(0px 0px 0px 0%)"
    page.locator("#divider").press("ArrowRight")
    assert (border(page), page.locator("#divider").get_attribute("aria-valuenow")) == (2, "2")
    page.mouse.click(x, y)
    assert page.inner_text("#closer") == "The whole photo"


def test_the_border_follows_the_pointer_in_an_enlarged_photo_too(page):
    opened(page, PORTRAIT)
    page.keyboard.press("z")
    box, line = page.locator("#picture").bounding_box(), page.locator("#divider").bounding_box()
    assert line["x"] + line["width"] / 2 == pytest.approx(box["x"] + box["width"] / 2, abs=1)   # the face's middle
    page.mouse.move(box["x"] + 50, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + 120, box["y"] + 60, steps=3)
    page.mouse.up()
    line = page.locator("#divider").bounding_box()
    assert line["x"] + line["width"] / 2 == pytest.approx(box["x"] + 120, abs=1)


def test_two_fingers_enlarge_the_photo_where_they_are(open_page, tmp_path):
    page = open_page(viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True)
    opened(page, two_faces(tmp_path))
    face = page.locator("#faces button").nth(1)
    before, touch = face.bounding_box(), page.context.new_cdp_session(page)
    x, y = before["x"] + before["width"] / 2, before["y"] + before["height"] / 2
    for kind, apart in (("touchStart", 20), ("touchMove", 40), ("touchMove", 60), ("touchEnd", None)):
        points = [{"x": x + side * apart, "y": y, "id": side} for side in (0, 1)] if apart else []
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    after = face.bounding_box()
    assert after["width"] == pytest.approx(3 * before["width"], rel=0.05)
    assert page.inner_text("#closer") == "Face 2 of 2"
    page.tap("#closer")
    assert face.bounding_box()["width"] == pytest.approx(before["width"])


def test_the_original_is_seen_while_a_key_or_the_picture_is_held(page):
    opened(page, PORTRAIT)
    box = page.locator("#picture").bounding_box()

    def shows_after():
        return page.locator("#after").evaluate("(after) => after.checkVisibility({visibilityProperty: true})")

    assert shows_after()
    page.keyboard.down("o")
    assert not shows_after()
    page.keyboard.up("o")
    assert shows_after()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 4)
    page.mouse.down()
    page.wait_for_selector("#picture.original")
    assert not shows_after()
    page.mouse.up()
    assert shows_after()
    assert page.inner_text("#closer") == "Look closely"     # it was no click


def test_several_photos_become_a_row_that_one_can_go_through(page, tmp_path):
    drop(page, "dropped.jpg")
    arrived(page)
    assert page.is_hidden("#row")
    assert saved(page, tmp_path).name == "dropped_50s.jpg"
    drop(page, "one.jpg", "two.jpg", "three.jpg")
    page.wait_for_selector("#row [title='one.jpg'][aria-current=true]")
    arrived(page)
    slide(page, 0.6)
    page.click("#row [title='three.jpg']")
    page.wait_for_selector("#row [title='three.jpg'][aria-current=true]")
    arrived(page)
    assert saved(page, tmp_path).name == "three_50s_0.6.jpg"     # the slider stays
    assert page.locator("#row [aria-current=true]").count() == 1
    page.click("#another")
    assert page.is_hidden("#row")


def test_before_and_after_can_be_downloaded_side_by_side(page, tmp_path):
    opened(page, PORTRAIT)
    page.select_option("#form", label="before and after")
    path = saved(page, tmp_path)
    assert path.name == "astronaut_50s_compare.jpg"
    width, height = Image.open(path).size
    assert width > 1.5 * height


def test_the_empty_page_shows_both_portraits_before_and_after(page):
    page.wait_for_load_state("networkidle")
    pairs = page.locator(".examples img")
    assert pairs.evaluate_all("(all) => all.map((one) => one.complete && one.naturalWidth > 200)") == [True, True]


def test_a_face_that_is_turned_away_is_left_out_and_marked(open_page, tmp_path):
    own = pages()
    own.worker.aligner = SimpleNamespace(align=lambda photo, faces: [
        dataclasses.replace(placement_of(face.box), aligned=i == 0) for i, face in enumerate(faces)])
    Image.new("RGB", (260, 200), "grey").save(tmp_path / "grey.png")
    with served(own) as port:
        page = open_page(port)
        opened(page, tmp_path / "grey.png")
        assert page.inner_text("#notes") == "1 of 2 faces turned away or half covered: left out"
        marks = page.locator("#faces button")
        assert marks.evaluate_all("(all) => all.map((one) => one.dataset.words)") == ["", "turned away, left out"]
        first, second = slice(60, 140), slice(190, 220)     # columns of their middles
        assert (canvas(page)[:, first] != 128).any()
        assert (canvas(page)[:, second] == 128).all()
        marks.nth(1).click()
        page.click("#leave")    # the visitor knows better
        assert (canvas(page)[:, second] != 128).any()


def test_the_slider_goes_through_ages_if_the_generator_can_be_told_them(open_page, tmp_path):
    own = pages(ages=(45, 85))
    Image.fromarray(np.random.default_rng(2).integers(60, 190, (200, 260, 3), np.uint8)).save(tmp_path / "noise.png")
    with served(own) as port:
        page = open_page(port)
        opened(page, tmp_path / "noise.png")
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        shown = {}
        for title in ("age 85", "age 62", "as it is", "age 30", "age 20", "age 55"):
            index = [stop.title for stop in own.worker.slider.stops].index(title)
            page.fill("#age", str(index))
            assert page.inner_text("#title") == title
            shown[title] = canvas(page)
        assert asked == []
        np.testing.assert_array_equal(shown["as it is"], photo_file.read(tmp_path / "noise.png").rgb)
        page.fill("#age", str([stop.name for stop in own.worker.slider.stops].index("62")))
        path = saved(page, tmp_path)
        assert path.name == "noise_62.png"
        assert_looks_like_the_download(shown["age 62"], path)   # Marbled's change is linear in the age


@contextlib.contextmanager
def waiting_for_younger(open_page, folder):
    """(a page that shows a grey photo, the Event until which its layer "younger" is on its way)."""
    own, go = pages(), threading.Event()
    younger = own.worker.translators["rejuvenate"]
    Image.new("RGB", (260, 200), "grey").save(folder / "grey.png")
    with served(own) as port:
        page = open_page(port)
        page.wait_for_load_state("networkidle")     # the examples are there
        change, younger.change = younger.change, lambda crops: go.wait(20) and change(crops)
        page.set_input_files("#file", folder / "grey.png")
        page.wait_for_selector("[data-state=ready]")
        yield page, go


def test_a_stop_whose_layer_is_on_its_way_is_shown_when_it_comes(open_page, tmp_path):
    with waiting_for_younger(open_page, tmp_path) as (page, go):
        slide(page, -1)
        assert page.inner_text("#title") == "younger …"
        go.set()
        page.wait_for_selector("#title:text-is('younger')")
        assert canvas(page).mean() < 128


def test_layers_that_were_on_their_way_come_after_a_file_that_is_no_photo(open_page, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no")
    with waiting_for_younger(open_page, tmp_path) as (page, go):
        page.set_input_files("#file", tmp_path / "broken.png")
        page.wait_for_selector("[data-state=busy]")
        go.set()
        page.wait_for_selector("[data-state=ready] #message:not([hidden])")
        arrived(page)
        slide(page, -1)
        assert page.inner_text("#title") == "younger"
        assert canvas(page).mean() < 128


def test_only_files_that_can_be_read_are_offered(open_page, monkeypatch):
    for installed in (False, True):
        monkeypatch.setattr(server, "photo_suffixes", lambda has=installed: {".jpg", *([".heic"] if has else [])})
        with served(pages()) as port:
            assert (".heic" in open_page(port).get_attribute("#file", "accept")) == installed


def test_a_photo_can_be_pasted(open_page, tmp_path):
    """From the browser's own clipboard, by the keys."""
    page = open_page(permissions=["clipboard-read", "clipboard-write"])
    page.evaluate("""(data) => navigator.clipboard.write([
        new ClipboardItem({"image/png": new Blob([new Uint8Array(data)], {type: "image/png"})})])""",
                  list(encoded(pixels=np.asarray(Image.open(PORTRAIT)))))
    page.keyboard.press("Control+V")
    page.wait_for_selector("[data-state=ready]")
    assert saved(page, tmp_path).suffix == ".png"
    page.evaluate("navigator.clipboard.writeText('no photo')")
    page.keyboard.press("Control+V")
    page.wait_for_selector("#message:not([hidden])")
    assert page.inner_text("#message").startswith("That is no file.")


def test_a_photo_can_be_taken_with_the_camera(page, tmp_path):
    page.click("#camera")
    until(lambda: page.evaluate("document.querySelector('video').videoWidth > 0"))
    page.wait_for_timeout(500)
    page.click("#shoot")
    page.wait_for_selector("[data-state=ready]")
    assert page.evaluate("document.querySelector('video').srcObject") is None
    path = saved(page, tmp_path)
    assert path.name == "camera_50s.jpg"
    assert Image.open(path).size == (640, 480)
    page.click("#another")
    page.click("#camera")
    page.wait_for_selector("#booth[open]")
    page.click("#booth button:not(#shoot)")
    page.wait_for_selector("#booth:not([open])", state="attached")
    assert page.get_attribute("body", "data-state") == "empty"


def test_errors_are_sentences_on_the_page_and_the_next_photo_works(page, tmp_path):
    hostile = {**broken_files(), "<img src=x onerror=document.body.remove()>.jpg": b"no",
               "nobody.png": encoded(pixels=np.full((200, 300, 3), 128, np.uint8))}
    for name, data in hostile.items():
        (tmp_path / name).write_bytes(data)
        page.set_input_files("#file", tmp_path / name)
        page.wait_for_selector("[data-state=empty] #message:not([hidden])")
        text = page.inner_text("#message")
        assert text.startswith(f"{name}: ")
        assert text.endswith(".")
        page.evaluate("document.getElementById('message').hidden = true")
    opened(page, PORTRAIT)
    assert page.is_hidden("#message")
    slide(page, 0.6)
    before = canvas(page)
    page.set_input_files("#file", tmp_path / "nobody.png")  # the photo that is worked on stays
    page.wait_for_selector("[data-state=ready] #message:not([hidden])")
    np.testing.assert_array_equal(canvas(page), before)
    assert page.inner_text("#title") == "older"
    assert saved(page, tmp_path).name == "astronaut_50s_0.6.jpg"


def test_a_photo_that_is_too_large_is_refused_before_it_is_sent(page, tmp_path):
    with open(tmp_path / "large.tif", "wb") as file:
        file.truncate(200_000_001)
    sent = []
    page.on("request", lambda request: sent.append(request.url))
    page.set_input_files("#file", tmp_path / "large.tif")
    page.wait_for_selector("#message:not([hidden])")
    assert page.inner_text("#message") == "large.tif has 200 MB; the page takes at most 200 MB."
    assert sent == []


def test_the_end_of_the_page_deletes_the_photo_and_others_keep_theirs(open_page, tmp_path):
    own = pages()       # in this process, to look into
    for grey in (60, 180):
        Image.new("RGB", (260, 200), (grey,) * 3).save(tmp_path / f"{grey}.png")
    with served(own) as port:
        one, other = (open_page(port) for _ in range(2))
        opened(one, tmp_path / "60.png")
        opened(other, tmp_path / "180.png")
        assert canvas(one, "before")[0, 0].tolist() == [60] * 3
        assert canvas(other, "before")[0, 0].tolist() == [180] * 3
        files = {session.upload.name: session.upload.file for session in own.sessions.all.values()}
        one.close()
        until(lambda: files["60.png"].closed)
        assert not files["180.png"].closed
        assert Image.open(saved(other, tmp_path)).getpixel((0, 0)) == (180,) * 3
        other.goto("about:blank")
        until(lambda: files["180.png"].closed)
        assert not own.sessions.all


def test_a_session_that_has_ended_is_told_and_the_next_photo_begins_another(open_page):
    own = pages()
    with served(own) as port:
        page = open_page(port)
        opened(page, PORTRAIT)
        own.sessions.end_all()
        page.click("#download")
        page.wait_for_selector("#message:not([hidden])")
        assert page.inner_text("#message").startswith("The session ended")
        assert page.get_attribute("body", "data-state") == "empty"
        opened(page, PORTRAIT)
        own.sessions.end_all()
        opened(page, PORTRAIT)      # without a word
        assert page.is_hidden("#message")


def test_a_program_that_was_ended_is_told(open_page):
    with served(pages()) as port:
        page = open_page(port)
    page.set_input_files("#file", PORTRAIT)
    page.wait_for_selector("#message:not([hidden])")
    assert page.inner_text("#message").startswith("The program that serves this page does not answer.")


def test_with_the_keyboard_alone(page, tmp_path):
    focused = "document.activeElement.id || document.activeElement.dataset.example || document.activeElement.title"

    def tab_to(name):
        for _ in range(12):
            page.keyboard.press("Tab")
            if page.evaluate(focused) == name:
                return
        pytest.fail(f"the key Tab never comes to {name}")

    tab_to("pick")
    tab_to("camera")
    for _ in range(3):
        page.keyboard.press("Shift+Tab")
    tab_to("grace-hopper.jpg")
    page.keyboard.press("Enter")
    arrived(page)
    assert page.evaluate(focused) == "age"
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    assert page.get_attribute("#age", "aria-valuetext") == page.inner_text("#title") == "older"
    tab_to("download")
    for _ in range(2):  # the focus stays
        with page.expect_download() as download:
            page.keyboard.press("Enter")
        assert download.value.suggested_filename == "grace-hopper_50s_1.15.jpg"
        page.wait_for_selector("#download:text-is('Download')")
    for _ in range(3):
        page.keyboard.press("Shift+Tab")
    assert page.evaluate(focused) == "divider"
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Space")
    assert page.inner_text("#closer") == "The whole photo"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_in_both_colour_schemes(open_page, tmp_path, scheme):
    page = open_page(viewport={"width": 360, "height": 740}, device_scale_factor=3, is_mobile=True, has_touch=True,
                     color_scheme=scheme)

    def fits():
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        for button in page.locator("button:visible:not(#faces button)").all():
            assert min(button.bounding_box()["height"], button.bounding_box()["width"]) >= 44
        for text in ("h1", "header p", "footer p", "#message", "#title", "button.main", "#hint"):
            assert contrast(page, text) >= 4.5, text

    fits()
    opened(page, two_faces(tmp_path))
    fits()
    assert page.locator("#picture").bounding_box()["width"] > 320
    assert page.locator("#age").bounding_box()["height"] >= 44
    assert "Tap one" in page.inner_text("#hint")
    page.locator("#faces button").first.tap()
    assert page.inner_text("#closer") == "Face 1 of 2"
    fits()
    ink = np.mean(colours(page, "body")[1][:3])
    assert (ink < 80) == (scheme == "dark")


def colours(page, selector):
    """(text, background) of an element as [red, green, blue], 0 to 255."""
    return page.evaluate("""(selector) => {
        const element = document.querySelector(selector);
        const numbers = (text) => text.match(/[\\d.]+/g).map(Number);
        let behind = element;
        while (behind && numbers(getComputedStyle(behind).backgroundColor)[3] === 0) behind = behind.parentElement;
        return [numbers(getComputedStyle(element).color), numbers(getComputedStyle(behind).backgroundColor)];
    }""", selector)


def contrast(page, selector):
    """WCAG 2's contrast ratio of an element's text."""
    def luminance(colour):
        parts = np.array(colour[:3]) / 255
        return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4) @ (0.2126, 0.7152, 0.0722)

    low, high = sorted(luminance(colour) for colour in colours(page, selector))
    return (high + 0.05) / (low + 0.05)


def test_twelve_megapixels_answer_in_two_seconds_and_the_slider_in_a_third(page, tmp_path):
    """The best of six: other work on the machine is not the page's."""
    rng = np.random.default_rng(0)
    pixels = np.asarray(Image.open(ROOT / "samples/grace-hopper.jpg").convert("RGB").resize((3200, 3750))).astype(int)
    pixels = np.clip(pixels + rng.integers(-6, 7, pixels.shape), 0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "large.jpg", quality=92)
    answers, moves = [], []
    while len(answers) < 6 and min(answers, default=2) >= 2:
        page.evaluate("document.body.dataset.state = 'empty'")
        begin = time.perf_counter()
        opened(page, tmp_path / "large.jpg")
        answers.append(time.perf_counter() - begin)
    for strength in (1.5, -1.5, 0.2, 0.8):
        moves.append(page.evaluate("""(stop) => new Promise((resolve) => {
            const age = document.getElementById('age'), begin = performance.now();
            age.value = stop;
            age.dispatchEvent(new Event('input', {bubbles: true}));
            requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - begin)));
        })""", stop(strength)) / 1000)
    print("12 megapixels:", *(f"{seconds:.2f} s" for seconds in answers))
    print("a moved slider:", *(f"{seconds:.3f} s" for seconds in moves))
    assert sorted(moves)[1] < 0.3
    if min(answers) >= 2 and os.getloadavg()[0] > 2.5:
        pytest.skip(f"not measurable: other programs keep this machine busy (load {os.getloadavg()[0]:.1f})")
    assert min(answers) < 2
    assert page.evaluate("document.getElementById('after').height") > 900
