"""The mask nodes in a real ComfyUI: every way of selecting, snapping and drawing, and awkward pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

SLIC = {
    "segments": 100,
    "compactness": 10.0,
    "all_but": False,
    "seed": 3,
    "combine": "add",
    "picture": "borders",
    "split": False,
    "max_side": 1024,
    "refine": False,
    "clip": False,
}
RANDOM = {
    "at_least": 0.1,
    "at_most": 0.2,
    "seed": 5,
    "width": 160,
    "height": 120,
    "count": 3,
    "margin": 0.0,
    "dilate": 0.0,
    "rotate": 0.0,
}


def chosen(select: dict[str, Any], image: str = "example.png", **changes: Any) -> dict[str, Any]:
    """A prompt that selects superpixels and shows the mask."""
    flat = {key if key == "select" else f"select.{key}": value for key, value in select.items()}
    return {
        "1": {"class_type": "LoadImage", "inputs": {"image": image}},
        "2": {"class_type": "Liminal_MaskFromSLIC", "inputs": {"image": ["1", 0]} | SLIC | flat | changes},
        "3": {"class_type": "MaskPreview", "inputs": {"mask": ["2", 0]}},
        "4": {"class_type": "PreviewImage", "inputs": {"images": ["2", 1]}},
        "5": {"class_type": "PreviewAny", "inputs": {"source": ["2", 2]}},
    }


def shown_mask(comfyui, outputs, node: str = "3") -> np.ndarray:
    """The masks shown by a MaskPreview, as 0 and 1."""
    masks = [np.asarray(Image.open(comfyui.file(image)).convert("L")) for image in outputs[node]["images"]]
    assert all(set(np.unique(mask)) <= {0, 255} for mask in masks)
    return np.stack(masks) // 255


@pytest.mark.parametrize(
    "select",
    [
        {"select": "points", "points": '[{"x": 380, "y": 500}]', "not_points": "10, 10"},
        {"select": "box", "x": 300, "y": 350, "width": 200, "height": 300, "inside": 0.5},
        {"select": "random", "at_least": 0.2, "at_most": 0.3},
        {"select": "color", "color": "#ffa6d6", "tolerance": 20.0},
        {"select": "brightness", "at_least": 0.9, "at_most": 1.0},
        {"select": "size", "at_least": 0.005, "at_most": 1.0},
        {"select": "largest", "count": 3},
        {"select": "smallest", "count": 3},
        {"select": "border", "touching": True},
        {"select": "index", "numbers": "0, 3-5"},
        {"select": "all"},
    ],
    ids=lambda select: select["select"],
)
def test_every_way_of_choosing_gives_a_mask_and_a_picture(comfyui, select):
    outputs = comfyui.run(chosen(select))
    mask = shown_mask(comfyui, outputs)
    assert mask.shape == (1, 768, 768)
    assert mask.any()
    assert Image.open(comfyui.file(outputs["4"]["images"][0])).size == (768, 768)
    assert 75 <= int(outputs["5"]["text"][0]) <= 110
    if select["select"] == "points":
        assert mask[0, 500, 380] == 1
        assert mask[0, 10, 10] == 0
    if select["select"] == "random":
        assert 0.2 < mask.mean() <= 0.3


def test_a_linked_mask_and_points_from_another_node_are_used(comfyui):
    prompt = chosen({"select": "points", "points": ["6", 0], "not_points": ""}, mask=["7", 0], combine="add")
    prompt["6"] = {"class_type": "PrimitiveStringMultiline", "inputs": {"value": "380, 500"}}
    prompt["7"] = {"class_type": "SolidMask", "inputs": {"value": 1.0, "width": 100, "height": 30}}
    assert shown_mask(comfyui, comfyui.run(prompt)).all()


def test_a_rough_mask_of_another_size_is_snapped(comfyui):
    snap = {
        "segments": 100,
        "compactness": 10.0,
        "overlap": 0.5,
        "max_side": 1024,
        "refine": False,
        "invert_mask": False,
    }
    prompt = {
        "1": {"class_type": "LoadImage", "inputs": {"image": "example.png"}},
        "2": {"class_type": "Liminal_RandomMask", "inputs": {"generator": "rectangles", "generator.most": 1} | RANDOM},
        "3": {"class_type": "Liminal_SnapMaskToSLIC", "inputs": {"image": ["1", 0], "mask": ["2", 0]} | snap},
        "4": {"class_type": "MaskPreview", "inputs": {"mask": ["3", 0]}},
    }
    mask = shown_mask(comfyui, comfyui.run(prompt), "4")
    assert mask.shape == (3, 768, 768)
    assert 0.02 < mask.mean() < 0.4


@pytest.mark.parametrize(
    "family",
    [
        {"generator": "strokes", "generator.brush": "thin"},
        {"generator": "shapes", "generator.kind": "scattered"},
        {"generator": "random_walk", "generator.grid": 64},
        {"generator": "salt_and_pepper", "generator.cell": 0.1},
        {"generator": "center", "generator.stretch": 1.0},
        {"generator": "border", "generator.sides": "all"},
        {"generator": "slic", "generator.segments": 80},
    ],
    ids=lambda family: family["generator"],
)
def test_random_masks_cover_what_is_asked(comfyui, family):
    inputs = family | RANDOM | ({"image": ["1", 0]} if family["generator"] == "slic" else {})
    prompt = {
        "1": {"class_type": "LoadImage", "inputs": {"image": "example.png"}},
        "2": {"class_type": "Liminal_RandomMask", "inputs": inputs},
        "3": {"class_type": "MaskPreview", "inputs": {"mask": ["2", 0]}},
    }
    masks = shown_mask(comfyui, comfyui.run(prompt))
    assert len(masks) == 3
    assert all(0.1 < mask.mean() <= 0.2 for mask in masks)


@pytest.fixture(scope="module")
def awkward(comfyui) -> dict[str, Path]:
    """Pictures that crashed other packs, in ComfyUI's input folder."""
    folder = comfyui.base / "input"
    Image.new("RGB", (200, 150), (40, 90, 160)).save(folder / "one_color.png")
    Image.new("RGB", (1, 1), (40, 90, 160)).save(folder / "one_pixel.png")
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (90, 120, 4), np.uint8)).save(folder / "transparent.png")
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (90, 120), np.uint8)).save(folder / "gray.png")
    return {file.stem: file for file in folder.glob("*.png")}


@pytest.mark.parametrize("name", ["one_color", "one_pixel", "transparent", "gray"])
def test_awkward_pictures_are_divided(comfyui, awkward, name):
    outputs = comfyui.run(chosen({"select": "all"}, image=f"{name}.png"))
    mask = shown_mask(comfyui, outputs)
    assert mask.all()
    assert mask.shape[:0:-1] == Image.open(awkward[name]).size


@pytest.mark.parametrize(
    ("select", "sentence"),
    [
        ({"select": "points", "points": "here", "not_points": ""}, "is not a point"),
        ({"select": "color", "color": "pink", "tolerance": 5.0}, "is not a color"),
        ({"select": "index", "numbers": "first"}, "is not a number or a range"),
        ({"select": "random", "at_least": 0.4, "at_most": 0.2}, "at_least is 0.4 and at_most is 0.2"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_invalid_input_is_rejected_with_one_line(comfyui, select, sentence):
    message = comfyui.error(chosen(select))
    assert sentence in message
    assert "\n" not in message


def test_an_empty_selection_and_the_hosts_placeholder_mask_leave_the_picture_unchanged(comfyui):
    fill = {"image": ["1", 0], "method": "telea", "grow": 0, "invert_mask": False, "threshold": 0.5}
    nothing = chosen({"select": "size", "at_least": 0.9, "at_most": 1.0}) | {
        "6": {"class_type": "Liminal_ClassicalFill", "inputs": fill | {"mask": ["2", 0]}},
        "7": {"class_type": "Liminal_ClassicalFill", "inputs": fill | {"mask": ["1", 1]}},
        "8": {"class_type": "PreviewImage", "inputs": {"images": ["6", 0]}},
        "9": {"class_type": "PreviewImage", "inputs": {"images": ["7", 0]}},
    }
    outputs = comfyui.run(nothing)
    original = np.asarray(Image.open(comfyui.base / "input" / "example.png").convert("RGB"))
    for node in ("8", "9"):
        shown = np.asarray(Image.open(comfyui.file(outputs[node]["images"][0])).convert("RGB"))
        assert np.array_equal(shown, original)
