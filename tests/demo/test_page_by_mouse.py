"""The page under the mouse of a real browser: draw, click superpixels, fill, download."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image

from demo.holes import Superpixels
from demo.pictures import Limits, Upload, open_upload

pytest.importorskip("gradio")
sync_api = pytest.importorskip("playwright.sync_api")

CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
PHOTOGRAPHS = Path(__file__).resolve().parents[2] / "nodes" / "photographs"
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
    *("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"),
)
WAIT = 120_000  # milliseconds
SUPERPIXELS = 150  # the slider's start

pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="needs Chromium")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(CHROMIUM), args=list(FLAGS))
        yield chromium
        chromium.close()


class Window:
    """One visitor's window, and the hosts that it asked."""

    def __init__(self, browser: Any, url: str) -> None:
        self.context = browser.new_context(viewport={"width": 1280, "height": 1100}, permissions=["camera"])
        self.context.set_default_timeout(WAIT)
        self.page = self.context.new_page()
        self.hosts: set[str] = set()
        self.page.on("request", lambda request: self.hosts.add(urlsplit(request.url).netloc))
        self.page.goto(url)
        self.page.wait_for_selector("#fill")

    def open(self, picture: Path) -> Upload:
        """Upload a picture; returns it as the server sees it."""
        self.page.locator("#fill_file input[type=file]").set_input_files(picture)
        self.until("#fill_note", f"{picture.name}: ")
        self.page.wait_for_timeout(4000)  # until the editor has drawn it
        return open_upload(picture, Limits())

    def until(self, place: str, text: str) -> str:
        """Wait until an element contains a text; returns all of its text."""
        script = "([place, text]) => document.querySelector(place)?.innerText.includes(text)"
        self.page.wait_for_function(script, arg=[place, text])
        return str(self.page.locator(place).first.inner_text())

    def draw(self) -> None:
        """Draw a line over the middle of the editor."""
        box = self.page.locator("#editor canvas").first.bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        self.page.mouse.move(x - 40, y)
        self.page.mouse.down()
        for step in range(21):
            self.page.mouse.move(x - 40 + 4 * step, y)
        self.page.mouse.up()
        self.page.wait_for_timeout(1000)

    def choose(self, field: str, name: str) -> None:
        """Choose from a drop-down list by the start of the entry."""
        self.page.locator(f"{field} input").click()
        self.page.get_by_role("option").filter(has_text=name).first.click()

    def fill(self) -> np.ndarray:
        """Press Fill and download the result."""
        self.page.locator("#fill").click()
        self.until("#summary", "filled")
        with self.page.expect_download() as download:
            self.page.locator("#download").click()
        assert download.value.suggested_filename.endswith("_filled.png")
        return np.asarray(Image.open(download.value.path()))


@pytest.fixture
def window(browser: Any, server: Any) -> Iterator[Window]:
    opened = Window(browser, server.url)
    yield opened
    opened.context.close()
    assert opened.hosts <= {urlsplit(server.url).netloc, ""}  # "" for data: and blob:


def test_what_was_drawn_is_filled_and_all_other_pixels_are_downloaded_unchanged(window: Window) -> None:
    path = PHOTOGRAPHS / "boat.jpg"
    upload = window.open(path)
    window.draw()
    window.choose("#model", "telea")
    before, after = np.asarray(Image.open(path)), window.fill()
    changed = (before != after).any(2)
    rows, columns = np.nonzero(changed)
    assert before.shape == after.shape
    # A horizontal line through the middle, as long as it was drawn.
    assert rows.mean() == pytest.approx(upload.height / 2, abs=0.03 * upload.height)
    assert columns.mean() == pytest.approx(upload.width / 2, abs=0.03 * upload.width)
    assert np.ptp(columns) > 2 * np.ptp(rows)
    assert 0.001 < changed.mean() < 0.1


def test_a_clicked_superpixel_is_filled_and_nothing_else(window: Window) -> None:
    path = PHOTOGRAPHS / "wren.jpg"
    upload = window.open(path)
    window.page.get_by_text("Click superpixels").click()
    window.until("#chosen", f"0 of {SUPERPIXELS}")
    window.page.wait_for_function("document.querySelector('#superpixels img')?.naturalWidth > 0")
    labels = Superpixels.of(upload, SUPERPIXELS).labels
    height, width = labels.shape
    shown = window.page.locator("#superpixels img")
    box = shown.bounding_box()
    scale = min(box["width"] / width, box["height"] / height)
    left, top = (box["width"] - scale * width) / 2, (box["height"] - scale * height) / 2

    def click(x: float, y: float) -> None:
        shown.click(position={"x": left + scale * (x + 0.5), "y": top + scale * (y + 0.5)})

    places = [(0.3, 0.3), (0.7, 0.6), (0.3, 0.3)]
    for (x, y), number in zip(places, (1, 2, 1), strict=True):
        click(int(x * width), int(y * height))
        window.until("#chosen", f"{number} of {SUPERPIXELS}")
    window.choose("#model", "smooth")
    before, after = np.asarray(Image.open(path)), window.fill()
    chosen = (labels == labels[int(0.6 * height), int(0.7 * width)]).numpy()
    if chosen.shape != before.shape[:2]:
        scaled = Image.fromarray(chosen).resize((before.shape[1], before.shape[0]))
        chosen = np.asarray(scaled)
    changed = (before != after).any(2)
    assert changed[chosen].mean() > 0.8
    assert changed[~chosen].mean() < 0.001


def test_errors_are_toasts_of_one_sentence(window: Window, tmp_path: Path) -> None:
    window.page.locator("#fill").click()
    window.until("body", "There is no picture yet")
    (tmp_path / "notes.txt").write_text("hello")
    window.page.locator("#fill_file input[type=file]").set_input_files(tmp_path / "notes.txt")
    window.until("body", "notes.txt: not a picture")
    window.open(PHOTOGRAPHS / "dunes.jpg")
    window.page.locator("#fill").click()
    window.until("body", "There is no hole yet")


def test_two_windows_do_not_see_each_others_pictures(browser: Any, server: Any) -> None:
    first, second = Window(browser, server.url), Window(browser, server.url)
    first.open(PHOTOGRAPHS / "dunes.jpg")
    second.open(PHOTOGRAPHS / "boat.jpg")
    for window in (first, second):
        window.draw()
        window.choose("#model", "mean")
    sizes = [window.fill().shape[1::-1] for window in (first, second)]
    assert sizes == [Image.open(PHOTOGRAPHS / name).size for name in ("dunes.jpg", "boat.jpg")]
    for window in (first, second):
        window.context.close()


def test_the_webcam_is_translated(window: Window) -> None:
    page = window.page
    page.get_by_role("tab", name="Learning to See").click()
    page.get_by_role("tab", name="The webcam").click()
    page.get_by_text("Click to Access Webcam").click()
    page.locator('#camera button[aria-label="capture photo"]').click()
    page.wait_for_selector("#screen img")
    frame = page.locator("#screen img").get_attribute("src")
    page.wait_for_function("before => document.querySelector('#screen img').src !== before", arg=frame)
