"""Run the example workflows in a running ComfyUI by pressing Run, and make their thumbnails: before and after.

    COMFYUI_PYTHON=/path/to/its/python python docs/take_screenshots.py /path/to/ComfyUI

starts that ComfyUI with this pack alone, and empty folders; an address such as http://127.0.0.1:8188 uses one that
runs already. Each thumbnail is saved next to its `.json`, and smaller for the help pages that show it; `--graphs
FOLDER` also saves a picture of every graph. Needs `pip install playwright pillow`, and Chromium at /usr/bin/chromium
or $CHROMIUM.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import socket
import subprocess
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont
from playwright.sync_api import Page, sync_playwright

WORKFLOWS = Path(__file__).parents[1] / "example_workflows"
HELP = Path(__file__).parents[1] / "web" / "docs" / "images"
WIDTH, HELP_WIDTH = 1280, 640  # of a thumbnail, and of its copy on a help page
MAX_BYTES = 190_000
GAP, TEXT = 8, 22  # pixels between before and after, and of their captions
WORDS = (
    {"Before, tiled": "before, repeated", "After, tiled": "after, repeated"},
    {"Input, fills and original": ""},
    {"Before": "before", "After": "after"},
)
"""Titles of the nodes whose pictures make a thumbnail, and their captions: the first whose nodes are all there."""
MAX_SCALE = 1.2
LEFT, TOP = 150, 150  # pixels of the window that the interface covers
PATIENCE = 900  # seconds that a workflow may run
# Chromium shows a test picture in place of a camera.
FLAGS = ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
SETTINGS = """async () => {
  await app.ui.settings.setSettingValueAsync('Comfy.TutorialCompleted', true)
  await app.ui.settings.setSettingValueAsync('LiteGraph.Canvas.MinFontSizeForLOD', 0)
  for (const name of ['Comfy.Minimap.Visible', 'Comfy.Graph.CanvasInfo'])
    await app.ui.settings.setSettingValueAsync(name, false)
}"""
RUN = "[data-testid='queue-button'] button, button[data-testid='queue-button']"  # older, newer interfaces
LOAD = "workflow => app.loadGraphData(workflow)"
EXTENT = """() => {
  const boxes = app.graph._nodes.map(n => [n.pos[0], n.pos[1] - 40, n.pos[0] + n.size[0], n.pos[1] + n.size[1]])
  const of = (index, pick) => pick(...boxes.map(box => box[index]))
  return [of(0, Math.min) - 15, of(1, Math.min) - 15, of(2, Math.max) + 15, of(3, Math.max) + 15]
}"""
LOOK_AT = """([x, y, scale]) => {
  app.canvas.ds.scale = scale
  app.canvas.ds.offset[0] = x
  app.canvas.ds.offset[1] = y
  app.canvas.draw(true, true)
}"""


def ask(server: str, route: str) -> dict[str, Any]:
    """The server's answer: `history`, finished prompts by id; `queue`, what is running and waiting."""
    with urllib.request.urlopen(f"{server}/{route}", timeout=60) as answer:
        return json.load(answer)


@contextmanager
def started(comfyui: Path) -> Iterator[str]:
    """Start a ComfyUI with this pack alone, in folders of its own; gives its address."""
    with tempfile.TemporaryDirectory() as folder, socket.socket() as probe:
        packs = Path(folder, "custom_nodes")
        packs.mkdir()
        (packs / "liminal-inpaint").symlink_to(WORKFLOWS.parent, target_is_directory=True)
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
        probe.close()
        options = ["--cpu", "--disable-auto-launch", "--disable-api-nodes", "--base-directory", folder, "--port", port]
        process = subprocess.Popen([os.environ.get("COMFYUI_PYTHON", "python3"), "main.py", *options], cwd=comfyui)
        try:
            deadline = time.monotonic() + PATIENCE
            while True:
                try:
                    ask(f"http://127.0.0.1:{port}", "queue")
                    break
                except OSError:
                    if process.poll() is not None or time.monotonic() > deadline:
                        raise RuntimeError(f"ComfyUI in {comfyui} did not start") from None
                    time.sleep(1)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait()


def open_interface(page: Page, server: str) -> None:
    """Wait for the interface, with the welcome screens and canvas overlays turned off."""
    for _ in range(2):  # the settings apply from the second load on
        page.goto(server)
        page.wait_for_function("window.app?.graph && document.querySelector('canvas')", timeout=120_000)
        page.wait_for_timeout(4000)
        page.evaluate(SETTINGS)


def run(page: Page, server: str, workflow: Path) -> dict[str, Any]:
    """Open a workflow, press Run, wait until it is done; returns the outputs of its nodes by number."""
    page.evaluate(LOAD, json.loads(workflow.read_text(encoding="utf-8")))
    page.wait_for_timeout(2000)
    before = ask(server, "history").keys()
    page.locator(RUN).first.click()
    page.wait_for_timeout(5000)
    deadline = time.monotonic() + PATIENCE
    while any(ask(server, "queue").values()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{workflow.name} was not finished after {PATIENCE} s")
        page.wait_for_timeout(1000)
    found = ask(server, "history")
    done = found.keys() - before
    if not done:
        raise RuntimeError(f"{workflow.name} was rejected by the server; its log says why")
    entry = found[done.pop()]
    if entry["status"]["status_str"] != "success":
        raise RuntimeError(f"{workflow.name}: {json.dumps(entry['status'])[-1500:]}")
    page.wait_for_timeout(3000)
    return entry["outputs"]


def photograph(page: Page, target: Path) -> None:
    """Save the area covered by the nodes as a JPEG."""
    left, top, right, bottom = page.evaluate(EXTENT)
    scale = min(WIDTH / (right - left), MAX_SCALE)
    width, height = int((right - left) * scale), int((bottom - top) * scale)
    page.set_viewport_size({"width": width + 2 * LEFT, "height": height + 2 * TOP})
    page.wait_for_timeout(1000)
    page.evaluate(LOOK_AT, [LEFT / scale - left, TOP / scale - top, scale])
    page.wait_for_timeout(2000)
    clip = {"x": LEFT, "y": TOP, "width": width, "height": height}
    page.screenshot(path=target, type="jpeg", quality=80, clip=clip)


def compare(server: str, workflow: Path, outputs: dict[str, Any]) -> None:
    """Save the pictures of the nodes titled Before and After, side by side, as the workflow's thumbnail."""
    titles = {str(node["id"]): node.get("title") for node in json.loads(workflow.read_text(encoding="utf-8"))["nodes"]}
    shown = {titles[number]: output["images"][0] for number, output in outputs.items() if output.get("images")}
    words = next(words for words in WORDS if words.keys() <= shown.keys())
    pictures = []
    for title in words:
        with urllib.request.urlopen(f"{server}/view?{urllib.parse.urlencode(shown[title])}", timeout=60) as answer:
            pictures.append(Image.open(io.BytesIO(answer.read())).convert("RGB"))
    page = side_by_side(pictures, list(words.values()))
    for quality in (80, 60):
        page.save(workflow.with_suffix(".jpg"), quality=quality, optimize=True)
        if workflow.with_suffix(".jpg").stat().st_size < MAX_BYTES:
            break
    copy_to_help(workflow)


def copy_to_help(workflow: Path) -> None:
    """Replace the smaller copy of a workflow's thumbnail, if a help page shows it."""
    target = HELP / f"{workflow.stem.removeprefix('liminal_')}.jpg"
    if target.exists():
        thumbnail = Image.open(workflow.with_suffix(".jpg"))
        height = round(thumbnail.height * HELP_WIDTH / thumbnail.width)
        thumbnail.resize((HELP_WIDTH, height), Image.Resampling.LANCZOS).save(target, quality=80, optimize=True)


def side_by_side(pictures: list[Image.Image], words: list[str]) -> Image.Image:
    """Pictures in a row with their captions, all at one scale, so that one with something added around it is larger."""
    pictures = [folded(picture) for picture in pictures]
    scale = (WIDTH - GAP * (len(pictures) - 1)) / sum(picture.width for picture in pictures)
    scaled = [picture.resize((int(picture.width * scale), round(picture.height * scale))) for picture in pictures]
    page = Image.new("RGB", (WIDTH, max(picture.height for picture in scaled)), "white")
    draw, font, left = ImageDraw.Draw(page), ImageFont.load_default(TEXT), 0
    for picture, word in zip(scaled, words, strict=True):
        top = page.height - picture.height
        page.paste(picture, (left, top))
        draw.text((left + 12, top + 10), word, fill="white", font=font, stroke_width=2, stroke_fill="black")
        left += picture.width + GAP
    return page


def folded(picture: Image.Image) -> Image.Image:
    """Break a long row of pictures into two rows; others are unchanged."""
    if picture.width < 4 * picture.height:
        return picture
    half = picture.width // 2
    page = Image.new("RGB", (half, 2 * picture.height), "white")
    page.paste(picture, (0, 0))
    page.paste(picture.crop((half, 0, picture.width, picture.height)), (0, picture.height))
    return page


def take(server: str, names: list[str], graphs: Path | None) -> Iterator[Path]:
    """Run every requested workflow and make its thumbnail."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"), args=FLAGS
        )
        page = browser.new_page()
        for workflow in (WORKFLOWS / f"{name}.json" for name in names):
            page.set_viewport_size({"width": 1600, "height": 1000})
            open_interface(page, server)
            compare(server, workflow, run(page, server, workflow))
            if graphs is not None:
                photograph(page, graphs / f"{workflow.stem}.jpg")
            yield workflow.with_suffix(".jpg")
        browser.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    workflows = sorted(path.stem for path in WORKFLOWS.glob("*.json"))
    parser.add_argument("server", metavar="COMFYUI", help="folder of a ComfyUI, or the address of a running one")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"any of {', '.join(workflows)} (default: all)")
    parser.add_argument("--graphs", type=Path, metavar="FOLDER", help="folder for pictures of the graphs")
    options = parser.parse_args()
    unknown = set(options.names) - set(workflows)
    if unknown:
        parser.error(f"no such workflow: {', '.join(sorted(unknown))}; choose from {', '.join(workflows)}")
    is_address = options.server.startswith(("http://", "https://"))
    with nullcontext(options.server.rstrip("/")) if is_address else started(Path(options.server)) as address:
        for made in take(address, options.names or workflows, options.graphs):
            print(made, flush=True)
