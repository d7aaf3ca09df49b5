"""The example workflows for outpainting, large pictures, comparing fills and reimagining, run in a real ComfyUI."""

from __future__ import annotations

import itertools
import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

FOLDER = Path(__file__).resolve().parents[2] / "example_workflows"
NAMES = ("compare_fills", "outpaint", "big_picture", "liminal_reimagine")


def pixels(path: Path) -> np.ndarray:
    """A picture as RGB bytes."""
    return np.asarray(Image.open(path).convert("RGB"))


@pytest.fixture(scope="module")
def original() -> np.ndarray:
    return pixels(Path(os.environ["COMFYUI_PATH"], "input", "example.png"))


@pytest.fixture(scope="module")
def results(comfyui, api_form) -> dict[str, tuple[dict, dict]]:
    """Prompt and outputs of every example; they share one training, run by the first one."""
    info = comfyui.get("/object_info")
    prompts = {name: api_form.to_api(json.loads((FOLDER / f"{name}.json").read_text()), info) for name in NAMES}
    return {name: (prompt, comfyui.run(prompt, seconds=400)) for name, prompt in prompts.items()}


def pictures(comfyui, result: tuple[dict, dict], class_type: str) -> list[np.ndarray]:
    """The pictures shown or saved by nodes of one type."""
    prompt, outputs = result
    nodes = [node for node, entry in prompt.items() if entry["class_type"] == class_type]
    return [pixels(comfyui.file(image)) for node in nodes for image in outputs[node]["images"]]


def test_outpainting_keeps_what_was_there_and_fills_the_border(comfyui, results, original):
    (saved,) = pictures(comfyui, results["outpaint"], "SaveImage")
    height, width = original.shape[:2]
    assert saved.shape == (height + 64, width + 256, 3)
    assert np.array_equal(saved[:height, 128 : 128 + width], original)
    border = np.concatenate([saved[:, :128].reshape(-1, 3), saved[:, 128 + width :].reshape(-1, 3)])
    assert border.std() > 10  # not one color
    # The border's first pixels are next to the picture: no seam.
    step = np.abs(saved[:height, 127].astype(int) - saved[:height, 128].astype(int)).mean()
    assert step < 8


def test_the_four_fills_differ_inside_the_holes_only(comfyui, results, original):
    (network,) = pictures(comfyui, results["compare_fills"], "SaveImage")
    classical = pictures(comfyui, results["compare_fills"], "PreviewImage")
    (mask,) = pictures(comfyui, results["compare_fills"], "MaskPreview")
    assert len(classical) == 3
    known = mask[..., 0] == 0
    for filled in (network, *classical):
        assert np.array_equal(filled[known], original[known])
    assert len({filled.tobytes() for filled in (network, *classical)}) == 4


def test_a_large_picture_is_changed_in_its_holes_only(comfyui, results):
    (saved,) = pictures(comfyui, results["big_picture"], "SaveImage")
    (mask,) = pictures(comfyui, results["big_picture"], "MaskPreview")
    assert saved.shape == (3072, 3072, 3)
    assert mask.shape == saved.shape
    assert 0.01 < (mask > 0).mean() < 0.1


def test_reimagining_replaces_the_whole_picture_and_shows_every_round(comfyui, results, original):
    (saved,) = pictures(comfyui, results["liminal_reimagine"], "SaveImage")
    (strip,) = pictures(comfyui, results["liminal_reimagine"], "PreviewImage")
    assert saved.shape == original.shape
    # Eight bits hide small changes of a flat color.
    assert (saved != original).any(2).mean() > 0.5
    assert strip.shape == (256, 7 * 256, 3)
    rounds = np.split(strip.astype(int), 7, axis=1)
    assert all(np.abs(one - other).mean() > 0.1 for one, other in itertools.pairwise(rounds))
