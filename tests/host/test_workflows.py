"""The example workflows that mask and inpaint, run to completion in a real ComfyUI."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

# Those of Learning to See need a model first: test_learning_to_see.py. The others: test_inpaint_workflows.py and
# test_evaluate.py.
ELSEWHERE = ("learning_to_see", "liminal_reimagine", "outpaint", "compare_fills", "compare_models", "big_picture")
EXAMPLES = [
    file
    for file in sorted((Path(__file__).resolve().parents[2] / "example_workflows").glob("*.json"))
    if not any(name in file.stem for name in ELSEWHERE)
]


def pixels(path: Path) -> np.ndarray:
    """A picture as RGB bytes."""
    return np.asarray(Image.open(path).convert("RGB"))


def may_change(comfyui, prompt, outputs) -> np.ndarray:
    """Pixels in the mask shown by the example, grown as for its fill; all if it shows none."""
    shown = [outputs[node]["images"][0] for node, entry in prompt.items() if entry["class_type"] == "MaskPreview"]
    if not shown:
        return np.ones((1, 1), bool)
    (grow,) = [entry["inputs"]["grow"] for entry in prompt.values() if "grow" in entry["inputs"]]
    mask = Image.open(comfyui.file(shown[0])).convert("L").filter(ImageFilter.MaxFilter(2 * grow + 1))
    return np.asarray(mask) > 0


@pytest.fixture(scope="module")
def results(comfyui, api_form) -> dict[str, tuple[dict, dict]]:
    """Prompt and outputs of every example."""
    info = comfyui.get("/object_info")
    prompts = {file.stem: api_form.to_api(json.loads(file.read_text()), info) for file in EXAMPLES}
    return {name: (prompt, comfyui.run(prompt, seconds=400)) for name, prompt in prompts.items()}


@pytest.mark.parametrize("name", [file.stem for file in EXAMPLES])
def test_every_output_node_gives_something(results, name):
    prompt, outputs = results[name]
    shown = {"SaveImage", "PreviewImage", "MaskPreview", "LossGraphNode", "PreviewAny", "Liminal_TrainModel"}
    wanted = {node for node, entry in prompt.items() if entry["class_type"] in shown}
    assert wanted
    assert wanted <= outputs.keys()
    assert all(outputs[node].get("images") or outputs[node].get("text") for node in wanted)


@pytest.mark.parametrize("name", [file.stem for file in EXAMPLES])
def test_the_saved_picture_is_changed_inside_the_mask_only(comfyui, results, name):
    prompt, outputs = results[name]
    original = pixels(Path(os.environ["COMFYUI_PATH"], "input", "example.png"))
    for node, entry in prompt.items():
        if entry["class_type"] == "SaveImage":
            for image in outputs[node]["images"]:
                saved = pixels(comfyui.file(image))
                assert saved.shape == original.shape
                changed = (saved != original).any(2)
                assert 0.001 < changed.mean() < 0.5
                assert not (changed & ~may_change(comfyui, prompt, outputs)).any()


def test_training_inside_the_graph_leaves_a_run(comfyui, results):
    prompt, outputs = results["train_then_inpaint"]
    (train,) = [entry["inputs"] for entry in prompt.values() if entry["class_type"] == "Liminal_TrainModel"]
    run = comfyui.base / "output" / "liminal" / train["run_name"]
    assert (run / "model.safetensors").is_file()
    assert json.loads((run / "summary.json").read_text())["steps"] == train["steps"]
    assert len((run / "metrics.jsonl").read_text().splitlines()) == train["steps"]
    assert any("steps" in str(output.get("text")) for output in outputs.values())
