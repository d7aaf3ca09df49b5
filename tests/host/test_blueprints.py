"""The subgraph blueprints in a real ComfyUI: offered, run, and found by the interface's search."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
BLUEPRINTS = sorted((ROOT / "subgraphs").glob("*.json"))
PHOTOGRAPH = ROOT / "nodes" / "photographs" / "dunes.jpg"
PICTURE = {"picture": {"type": "Liminal_SamplePicture", "pos": [0, 0], "values": {"picture": "dunes"}}}
CONNECT = """() => {
  const nodes = app.graph._nodes
  const photograph = nodes.find(node => node.type === 'Liminal_SamplePicture')
  const subgraph = nodes.find(node => node !== photograph)
  const seen = LiteGraph.createNode('PreviewImage')
  app.graph.add(seen)
  photograph.connect(0, subgraph, 0)
  photograph.connect(1, subgraph, 1)
  subgraph.connect(0, seen, 0)
  return [subgraph.title, subgraph.widgets.map(widget => widget.name), String(seen.id)]
}"""


def test_the_blueprints_are_offered(comfyui):
    offered = {
        entry["name"]: number
        for number, entry in comfyui.get("/global_subgraphs").items()
        if entry["info"]["node_pack"] == "custom_nodes.liminal-inpaint"
    }
    assert set(offered) == {file.stem for file in BLUEPRINTS}
    for file in BLUEPRINTS:
        data = comfyui.get(f"/global_subgraphs/{offered[file.stem]}")["data"]
        assert json.loads(data) == json.loads(file.read_text())


@pytest.mark.parametrize("file", BLUEPRINTS, ids=lambda file: file.stem)
def test_the_nodes_inside_run_and_change_only_the_hole(comfyui, api_form, file):
    workflow = api_form.opened(json.loads(file.read_text()))
    prompt = api_form.to_api(workflow, comfyui.get("/object_info"))
    for entry in prompt.values():
        if entry["class_type"] == "Liminal_TrainModel":
            entry["inputs"] |= {"steps": 4, "run_name": "blueprint"}
    (photograph,) = [number for number, entry in prompt.items() if entry["class_type"] == "Liminal_SamplePicture"]
    for node_type, name, slot in (("PreviewImage", "images", 0), ("MaskPreview", "mask", 1)):
        prompt[name] = {"class_type": node_type, "inputs": {name: [photograph, slot]}}
    outputs = comfyui.run(prompt, seconds=300)

    def pixels(node: str) -> np.ndarray:
        return np.asarray(Image.open(comfyui.file(outputs[node]["images"][0])).convert("RGB")).astype(int)

    titles = {node.get("title"): str(node["id"]) for node in workflow["nodes"]}
    hole = pixels("mask")[..., 0] > 127
    if "IMAGE" in titles:
        changed = (pixels(titles["IMAGE"]) != pixels("images")).any(2)
        assert changed[hole].mean() > 0.9
        assert changed[~hole].mean() < 0.01  # grown by a few pixels
    else:
        assert (pixels(titles["MASK"])[..., 0] > 127)[hole].all()


def test_a_blueprint_is_found_by_searching_and_runs(interface):
    """Double-click the canvas, type, press Enter, connect, press Run."""
    interface.open("canvas", PICTURE)
    interface.page.mouse.dblclick(1000, 700)
    interface.page.wait_for_timeout(1500)
    interface.page.keyboard.type("remove object (lim", delay=30)
    interface.page.wait_for_timeout(1500)
    interface.page.keyboard.press("Enter")
    interface.page.wait_for_timeout(1500)
    title, widgets, seen = interface.page.evaluate(CONNECT)
    assert title == "Remove object (Liminal)"
    assert [name.split(": ")[-1] for name in widgets] == ["name", "grow", "detail"]
    (file,) = interface.run()[seen]["images"]
    with Image.open(interface.comfyui.file(file)) as filled, Image.open(PHOTOGRAPH) as photograph:
        assert filled.size == photograph.size
