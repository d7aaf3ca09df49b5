"""The example workflow that compares models, run in a real ComfyUI."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inpaint_core.checkpoints.embedded import EMBEDDED_INPAINTING

EXAMPLE = Path(__file__).resolve().parents[2] / "example_workflows" / "compare_models.json"


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
    assert [line.split()[0] for line in lines] == [*EMBEDDED_INPAINTING, "smooth", "telea", "navier-stokes"]
    for line in lines:
        l1, psnr, ssim = (float(value) for value in line.split()[1:4])
        assert 0.0 < l1 < 50.0
        assert 5.0 < psnr < 60.0
        assert 0.0 < ssim < 1.0


def test_the_grid_shows_three_holes_in_one_truth(comfyui, result):
    ((image,),) = [output["images"] for output in outputs_of(result, "PreviewImage")]
    grid = np.asarray(Image.open(comfyui.file(image)).convert("RGB"))
    columns, cell, gap, header = 8, 512, 6, 26
    assert grid.shape == (header + 3 * (cell + gap), gap + columns * (cell + gap), 3)
    rows = [grid[header + row * (cell + gap) :][:cell] for row in range(3)]
    truths = [row[:, gap + (columns - 1) * (cell + gap) :][:, :cell] for row in rows]
    holes = [row[:, gap:][:, :cell] for row in rows]
    assert np.array_equal(truths[0], truths[1])
    assert np.array_equal(truths[1], truths[2])
    assert all((hole != truth).any(2).mean() > 0.1 for hole, truth in zip(holes, truths, strict=True))
    assert not np.array_equal(holes[0], holes[1])
