"""The example workflows, as people have them, run to their end in a real ComfyUI: before and after."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

# Those of Learning to See: test_learning_to_see.py. Comparing: test_evaluate.py.
ELSEWHERE = ("learning_to_see", "learning_to_see_webcam", "compare_models")
EXAMPLES = {
    file.stem.removeprefix("liminal_"): file
    for file in sorted((Path(__file__).resolve().parents[2] / "example_workflows").glob("*.json"))
    if file.stem.removeprefix("liminal_") not in ELSEWHERE
}
REMOVES = ("large_picture", "remove_object", "snap_mask", "superpixels", "train_on_this_picture", "without_a_network")


@pytest.fixture(scope="module")
def results(comfyui, api_form) -> dict[str, dict[str, Any]]:
    """Outputs of every example by the titles of its nodes, or by their types; training is cut short."""
    info, found = comfyui.get("/object_info"), {}
    for name, file in EXAMPLES.items():
        workflow = json.loads(file.read_text())
        prompt = api_form.to_api(workflow, info)
        for entry in prompt.values():
            if entry["class_type"] == "Liminal_TrainModel":
                entry["inputs"] |= {"steps": 4, "run_name": f"example {name}"}
        outputs = comfyui.run(prompt, seconds=400)
        titles = {str(node["id"]): node.get("title", node["type"]) for node in workflow["nodes"]}
        found[name] = {titles[number]: output for number, output in outputs.items()}
    return found


def pixels(comfyui, output: dict[str, Any]) -> np.ndarray:
    """The first picture of an output as RGB bytes."""
    return np.asarray(Image.open(comfyui.file(output["images"][0])).convert("RGB"))


def test_every_example_shows_before_and_after(results):
    assert set(results) == set(EXAMPLES)
    for name, outputs in results.items():
        assert {"Before", "After"} <= outputs.keys(), name
        assert all(output.get("images") or output.get("text") or len(output) for output in outputs.values())


@pytest.mark.parametrize("name", REMOVES)
def test_something_small_is_removed_and_all_else_stays(comfyui, results, name):
    before, after = (pixels(comfyui, results[name][title]) for title in ("Before", "After"))
    assert before.shape == after.shape
    changed = (before != after).any(2).mean()
    assert 0.002 < changed < 0.12


def test_outpainting_keeps_what_was_there_and_fills_the_border(comfyui, results):
    before, after = (pixels(comfyui, results["outpaint"][title]) for title in ("Before", "After"))
    height, width = before.shape[:2]
    assert after.shape == (height, width + 160, 3)
    assert np.array_equal(after[:, 160:], before)
    # The border's last pixels are next to the picture: no seam.
    assert np.abs(after[:, 159].astype(int) - after[:, 160].astype(int)).mean() < 12


def test_the_texture_keeps_its_middle_and_its_edges_meet(comfyui, results):
    before, after = (pixels(comfyui, results["seamless_texture"][title]) for title in ("Before", "After"))
    inner = slice(48, -48)
    assert np.array_equal(after[inner, inner], before[inner, inner])

    def step(picture):
        return np.abs(picture[:, 0].astype(int) - picture[:, -1].astype(int)).mean()

    assert step(after) < 0.8 * step(before)


def test_reimagining_replaces_most_of_the_picture(comfyui, results):
    before, after = (pixels(comfyui, results["reimagine"][title]) for title in ("Before", "After"))
    assert before.shape == after.shape
    assert (before != after).any(2).mean() > 0.5


def test_what_was_taught_repaints_the_picture(comfyui, results):
    outputs = results["train_learning_to_see"]
    before, after = (pixels(comfyui, outputs[title]) for title in ("Before", "After"))
    assert before.shape == after.shape
    assert (before != after).any(2).mean() > 0.5
    # The learned photograph is purple: more blue than green, unlike the gray picture that it repaints.
    blue, green = (after[..., channel].astype(int).mean() for channel in (2, 1))
    assert blue > green + 20


def test_training_inside_the_graph_leaves_a_run(comfyui, results):
    run = comfyui.base / "output" / "liminal" / "example train_on_this_picture"
    assert (run / "model.safetensors").is_file()
    assert json.loads((run / "summary.json").read_text())["steps"] == 4
    assert "4 steps" in str(results["train_on_this_picture"]["Report"]["text"])
