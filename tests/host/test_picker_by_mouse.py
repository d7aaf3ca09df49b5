"""The superpixel picker under the mouse of a real browser, in both of ComfyUI's renderers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from inpaint_core.files.images import decode_image
from inpaint_core.masks import slic_labels

ROOT = Path(__file__).resolve().parents[2]
RENDERERS = ("canvas", "nodes 2.0")
SLIC = "Liminal_MaskFromSLIC"
COLOR = """([x, y]) => {
  const { picture, canvas } = app.graph._nodes.find(node => node.liminalPicker).liminalPicker
  const at = [Math.floor(x * canvas.width), Math.floor(y * canvas.height), 1, 1]
  return Array.from(canvas.getContext('2d').getImageData(...at).data.slice(0, 3))
}"""
PICK = {
    "picture": {"type": "Liminal_SamplePicture", "pos": [0, 0], "values": {"picture": "wren"}},
    "mask": {"type": SLIC, "pos": [400, 0], "from": {"image": ["picture", 0]}},
    "seen": {"type": "MaskPreview", "pos": [1000, 0], "from": {"mask": ["mask", 0]}},
}


@pytest.fixture(scope="module")
def labels() -> torch.Tensor:
    """Superpixels of the picture, by the library."""
    picture = decode_image(ROOT / "nodes" / "photographs" / "wren.jpg").image[None]
    labels = slic_labels(picture, 200, 10.0, 1024, False, stable=False)
    return labels if labels.ndim == 2 else labels[0]


def place_in(labels: torch.Tensor, number: int) -> tuple[float, float]:
    """The middle of the pixel deepest inside a superpixel, as fractions of the picture."""
    from scipy.ndimage import distance_transform_edt

    depth = distance_transform_edt(np.pad((labels == number).numpy(), 1))[1:-1, 1:-1]
    row, column = np.unravel_index(depth.argmax(), depth.shape)
    return (column + 0.5) / depth.shape[1], (row + 0.5) / depth.shape[0]


class Picker:
    """The picker under the mouse."""

    def __init__(self, interface: Any, labels: torch.Tensor) -> None:
        self.interface, self.labels = interface, labels
        interface.look_at(SLIC, 400)

    def move(self, number: int) -> None:
        """Move the mouse over a superpixel."""
        left, top, width, height = self.interface.state(SLIC)["box"]
        rows, columns = self.labels.shape
        scale = min(width / columns, height / rows)  # the picture is fitted into the box
        x, y = place_in(self.labels, number)
        left += (width - scale * columns) / 2 + x * scale * columns
        top += (height - scale * rows) / 2 + y * scale * rows
        self.interface.page.mouse.move(left, top)
        self.interface.page.wait_for_timeout(150)

    def click(self, number: int, button: str = "left") -> dict[str, Any]:
        """Click a superpixel; returns the node's widgets."""
        self.move(number)
        self.interface.page.mouse.down(button=button)
        self.interface.page.mouse.up(button=button)
        self.interface.page.wait_for_timeout(150)
        return self.interface.state(SLIC)

    def color(self, number: int) -> np.ndarray:
        """Color drawn in the middle of a superpixel."""
        return np.asarray(self.interface.page.evaluate(COLOR, place_in(self.labels, number)), dtype=int)


def shown_mask(interface: Any, outputs: dict[str, Any]) -> np.ndarray:
    """The mask in the only MaskPreview."""
    number = interface.page.evaluate("() => app.graph._nodes.find(node => node.type === 'MaskPreview').id")
    (file,) = outputs[str(number)]["images"]
    return np.asarray(Image.open(interface.comfyui.file(file)).convert("L")) > 127


@pytest.mark.parametrize("renderer", RENDERERS)
def test_clicked_superpixels_become_the_mask(interface, labels, renderer):
    interface.open(renderer, PICK)
    interface.choose(SLIC, "select", "points")
    interface.run()
    state = interface.until(SLIC, lambda state: "Click" in state["line"])
    assert renderer != "canvas" or state["height"] >= state["least"]
    picker = Picker(interface, labels)
    first, second, third, fourth = 30, 60, 90, 120

    picker.move(first)
    assert interface.state(SLIC)["line"] == f"superpixel {first}"
    hovered = picker.color(first)
    picker.move(second)
    assert (hovered > picker.color(first)).all()  # highlighted: lighter

    untouched = picker.color(third)
    assert len(picker.click(first)["select.points"].splitlines()) == 1
    for number in (second, third, fourth):
        picker.click(number)
    assert len(interface.state(SLIC)["select.points"].splitlines()) == 4
    picker.move(fourth)
    red = picker.color(third) - untouched
    assert red[0] > red[1]
    assert len(picker.click(second)["select.points"].splitlines()) == 3
    state = picker.click(third, button="right")
    assert len(state["select.points"].splitlines()) == 2
    assert state["select.not_points"].count(",") == 1

    interface.reload()
    found = interface.until(SLIC, lambda state: "Click" in state["line"])
    kept = ("select", "select.points", "select.not_points")
    assert {name: found[name] for name in kept} == {name: state[name] for name in kept}
    mask = shown_mask(interface, interface.run())
    assert np.array_equal(mask, np.isin(labels, [first, fourth]))

    picker = Picker(interface, labels)
    state = picker.click(fourth)
    assert len(state["select.points"].splitlines()) == 1, state
    mask = shown_mask(interface, interface.run())
    assert np.array_equal(mask, np.isin(labels, [first]))

    interface.choose(SLIC, "select", "index")
    picker = Picker(interface, labels)
    for number in (0, second, third, second, fourth, fourth + 1):
        state = picker.click(number)
    assert state["select.numbers"] == f"{third}, {fourth}-{fourth + 1}"
    mask = shown_mask(interface, interface.run())
    assert np.array_equal(mask, np.isin(labels, [third, fourth, fourth + 1]))
