"""The example workflow that compares models, run in a real ComfyUI."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

EXAMPLE = Path(__file__).resolve().parents[2] / "example_workflows" / "liminal_compare_models.json"


@pytest.fixture(scope="module")
def result(comfyui, api_form) -> tuple[dict, dict]:
    """Prompt and outputs."""
    prompt = api_form.to_api(json.loads(EXAMPLE.read_text()), comfyui.get("/object_info"))
    return prompt, comfyui.run(prompt, seconds=300)


def outputs_of(result: tuple[dict, dict], class_type: str) -> list[dict]:
    prompt, outputs = result
    return [outputs[node] for node, entry in prompt.items() if entry["class_type"] == class_type]


def test_the_table_has_a_line_for_every_method(result):
    ((text,),) = [output["text"] for output in outputs_of(result, "PreviewAny")]
    header, *lines = text.splitlines()
    assert header.startswith("method")
    assert "hole PSNR (dB)" in header
    assert [line.split()[0] for line in lines] == ["glcic-natural", "pconv-natural", "telea", "patches"]
    for line in lines:
        l1, psnr, ssim = (float(value) for value in line.split()[1:4])
        assert 0.0 < l1 < 50.0
        assert 5.0 < psnr < 60.0
        assert 0.0 < ssim < 1.0


def test_the_grid_shows_the_hole_every_fill_and_the_truth(comfyui, result):
    ((image,),) = [output["images"] for output in outputs_of(result, "SaveImage")]
    grid = np.asarray(Image.open(comfyui.file(image)).convert("RGB"))
    columns, width, height, gap = 6, 512, 341, 6
    header = grid.shape[0] - height - gap
    assert grid.shape[1] == gap + columns * (width + gap)
    cells = [grid[header:][:height, gap + column * (width + gap) :][:, :width] for column in range(columns)]
    hole, *fills, truth = cells
    hidden = (hole == 255).all(2) & (truth != 255).any(2)
    assert 0.03 < hidden.mean() < 0.25
    for fill in fills:
        assert (fill != truth).any(2)[hidden].mean() > 0.9
