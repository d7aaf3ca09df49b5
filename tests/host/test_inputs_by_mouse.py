"""Colors, points and boxes for superpixels, by the mouse of a real browser."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inpaint_core.files.images import decode_image
from inpaint_core.masks import select_segments, slic_labels

ROOT = Path(__file__).resolve().parents[2]
RENDERERS = ("canvas", "nodes 2.0")
SLIC, STRING = "Liminal_MaskFromSLIC", "PrimitiveStringMultiline"
PICK = {
    "picture": {"type": "Liminal_SamplePicture", "pos": [0, 0], "values": {"picture": "wren"}},
    "mask": {"type": SLIC, "pos": [800, 0], "from": {"image": ["picture", 0]}},
    "seen": {"type": "MaskPreview", "pos": [1400, 0], "from": {"mask": ["mask", 0]}},
}
# Where an output and an input are on the page.
SLOTS = """([from, to, name]) => {
  const find = type => app.graph._nodes.find(node => node.type === type)
  const { scale, offset } = app.canvas.ds
  const box = app.canvas.canvas.getBoundingClientRect()
  const place = ([x, y]) => [box.x + scale * (x + offset[0]), box.y + scale * (y + offset[1])]
  const target = find(to)
  return [place(find(from).getOutputPos(0)), place(target.getInputPos(target.findInputSlot(name)))]
}"""
MOVE_VIEW = "([x, y]) => { app.canvas.ds.scale = 1; app.canvas.ds.offset[0] = x; app.canvas.ds.offset[1] = y }"


@pytest.fixture(scope="module")
def superpixels():
    """The picture, and its superpixels by the library."""
    picture = decode_image(ROOT / "nodes" / "photographs" / "wren.jpg").image[None]
    return picture, slic_labels(picture, 200, 10.0, 1024, False, stable=False)


def shown_mask(interface, outputs) -> np.ndarray:
    """The mask in the only MaskPreview."""
    number = interface.page.evaluate("() => app.graph._nodes.find(node => node.type === 'MaskPreview').id")
    (file,) = outputs[str(number)]["images"]
    return np.asarray(Image.open(interface.comfyui.file(file)).convert("L")) > 127


@pytest.mark.parametrize("renderer", RENDERERS)
def test_a_color_from_the_wheel_selects(interface, superpixels, renderer):
    interface.open(renderer, PICK)
    wheel = interface.page.locator(".liminal-color-wheel")
    assert not wheel.is_visible()
    interface.choose(SLIC, "select", "color")
    assert interface.state(SLIC)["select.color"] == "#3060c0"
    assert wheel.input_value() == "#3060c0"
    wheel.fill("#cfd8e4")  # the sky
    assert interface.state(SLIC)["select.color"] == "#cfd8e4"
    mask = shown_mask(interface, interface.run())
    picture, labels = superpixels
    wanted = select_segments(labels, image=picture, color=(0xCF / 255, 0xD8 / 255, 0xE4 / 255), color_tolerance=20.0)
    assert 0.1 < mask.mean() < 0.7
    assert np.array_equal(mask, wanted[0, 0] > 0)

    interface.reload()
    interface.look_at(SLIC)
    assert wheel.input_value() == "#cfd8e4"
    interface.choose(SLIC, "select", "border")
    assert not wheel.is_visible()


@pytest.mark.parametrize(
    ("name", "select", "text"),
    [
        ("points", "points", '[{"x": 300, "y": 130}, {"x": 600, "y": 450}]'),
        ("boxes", "box", '[{"x": 250, "y": 60, "width": 200, "height": 150}]'),
    ],
)
def test_points_and_boxes_from_a_core_node_are_joined_by_dragging(interface, superpixels, name, select, text):
    nodes = PICK | {"text": {"type": STRING, "pos": [300, 400], "values": {"value": text}}}
    interface.open("canvas", nodes)
    interface.choose(SLIC, "select", select)
    interface.page.evaluate(MOVE_VIEW, [-150, 150])
    interface.page.wait_for_timeout(800)
    start, end = interface.page.evaluate(SLOTS, [STRING, SLIC, name])
    interface.page.mouse.move(*start)
    interface.page.mouse.down()
    interface.page.mouse.move(*end, steps=10)
    interface.page.mouse.up()
    mask = shown_mask(interface, interface.run())
    _, labels = superpixels
    if name == "points":
        wanted = select_segments(labels, points=[(300, 130), (600, 450)])
    else:
        wanted = select_segments(labels, box=(250, 60, 450, 210), box_share=0.5)
    assert mask.any()
    assert np.array_equal(mask, wanted[0, 0] > 0)
