"""ComfyUI's interface in a browser: build a graph, look at it, press Run."""

from __future__ import annotations

import importlib.util
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
TOOLS = Path(__file__).resolve().parents[2] / "docs" / "take_screenshots.py"
SETTING = "on => app.ui.settings.setSettingValueAsync('Comfy.VueNodes.Enabled', on)"
BUILD = """nodes => {
  app.graph.clear()
  const made = {}
  for (const [name, { type, pos, values, from }] of Object.entries(nodes)) {
    const node = made[name] = LiteGraph.createNode(type)
    node.pos = pos
    app.graph.add(node)
    for (const [name, value] of Object.entries(values ?? {})) node.widgets.find(one => one.name === name).value = value
    for (const [input, [origin, slot]] of Object.entries(from ?? {}))
      made[origin].connect(slot, node, node.findInputSlot(input))
  }
}"""
# Puts a node's left upper corner where nothing of the interface covers it.
LOOK_AT = """([type, dy]) => {
  const node = app.graph._nodes.find(node => node.type === type)
  app.canvas.ds.scale = 1
  app.canvas.ds.offset[0] = 120 - node.pos[0]
  app.canvas.ds.offset[1] = 140 - dy - node.pos[1]
  app.canvas.setDirty(true, true)
}"""
STATE = """type => {
  const node = app.graph._nodes.find(node => node.type === type)
  const canvas = node.liminalPicker?.canvas
  const { x, y, width, height } = canvas?.getBoundingClientRect() ?? {}
  return {
    '$$node-text-preview': '',
    ...Object.fromEntries(node.widgets.map(widget => [widget.name, widget.value])),
    line: node.liminalPicker?.line.textContent,
    box: [x, y, width, height],
    height: node.size[1],
    least: node.computeSize()[1],
  }
}"""
WIDGET = """([type, name]) => {
  const node = app.graph._nodes.find(node => node.type === type)
  const widget = node.widgets.find(widget => widget.name === name)
  const box = app.canvas.canvas.getBoundingClientRect()
  const { scale, offset } = app.canvas.ds
  const x = node.pos[0] + node.size[0] / 2, y = node.pos[1] + widget.last_y + 10
  return [box.x + scale * (x + offset[0]), box.y + scale * (y + offset[1])]
}"""


class Interface:
    """ComfyUI's interface in a browser."""

    def __init__(self, page: Any, comfyui: Any, run_button: str) -> None:
        self.page, self.comfyui, self.run_button = page, comfyui, run_button
        self.renderer = "canvas"

    def open(self, renderer: str, nodes: dict[str, Any]) -> None:
        """Build a graph."""
        self.renderer = renderer
        self.page.evaluate(SETTING, renderer != "canvas")
        self.reload()
        self.page.evaluate(BUILD, nodes)
        self.page.wait_for_timeout(1000)

    def reload(self) -> None:
        """Press F5; the interface remembers the graph some time after it has changed."""
        self.page.wait_for_timeout(2500)
        self.page.reload()
        self.page.wait_for_function("window.app?.graph && document.querySelector('canvas')", timeout=60_000)
        self.page.wait_for_timeout(3000)

    def state(self, node: str) -> dict[str, Any]:
        """Values of a node's widgets, and where its picker is."""
        return self.page.evaluate(STATE, node)

    def until(self, node: str, holds: Callable[[dict[str, Any]], bool], seconds: float = 60.0) -> dict[str, Any]:
        """The node's state as soon as something holds."""
        deadline = time.monotonic() + seconds
        while not holds(state := self.state(node)):
            assert time.monotonic() < deadline, state
            self.page.wait_for_timeout(100)
        return state

    def look_at(self, node: str, below: float = 0.0) -> None:
        """Bring a node into view, or what is some pixels below its upper edge."""
        self.page.evaluate(LOOK_AT, [node, below])
        self.page.wait_for_timeout(800)

    def choose(self, node: str, widget: str, value: str) -> None:
        """Choose from a list by the mouse."""
        self.look_at(node)
        if self.renderer == "canvas":
            self.page.mouse.click(*self.page.evaluate(WIDGET, [node, widget]))
            self.page.locator(".litemenu-entry", has_text=value).first.click()
        else:
            self.page.locator(".lg-node-widget", has_text=widget).get_by_role("combobox").first.click()
            self.page.get_by_role("option", name=value, exact=True).click()
        self.page.wait_for_timeout(800)

    def press_run(self) -> str:
        """Press Run; returns the prompt's id once it is in the server's queue."""
        known = self._prompts()
        self.page.locator(self.run_button).first.click()
        deadline = time.monotonic() + 20
        while not (new := self._prompts() - known):
            assert time.monotonic() < deadline, "Run queued nothing"
            self.page.wait_for_timeout(50)
        return new.pop()

    def _prompts(self) -> set[str]:
        queue = self.comfyui.get("/queue")
        return {entry[1] for entries in queue.values() for entry in entries} | self.comfyui.get("/history").keys()

    def run(self) -> dict[str, Any]:
        """Press Run and wait; returns the outputs of the nodes."""
        entry = self.comfyui.wait(self.press_run())
        assert entry["status"]["status_str"] == "success", entry["status"]
        return entry["outputs"]


@contextmanager
def opened(comfyui: Any) -> Iterator[Interface]:
    """The interface of a running ComfyUI, in Chromium."""
    from playwright.sync_api import sync_playwright

    spec = importlib.util.spec_from_file_location("liminal_take_screenshots", TOOLS)
    assert spec
    assert spec.loader
    tools = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tools)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=tools.FLAGS)
        page = browser.new_page(viewport={"width": 1600, "height": 1000})
        tools.open_interface(page, f"http://{comfyui.address}")
        yield Interface(page, comfyui, tools.RUN)
        browser.close()
