"""Learning to See in a real ComfyUI: the example workflows, and a model that stays loaded."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

EXAMPLES = Path(__file__).resolve().parents[2] / "example_workflows"


@pytest.fixture
def prompt(comfyui, api_form):
    """The API form of an example."""

    def load(name: str) -> dict:
        return api_form.to_api(json.loads((EXAMPLES / f"liminal_{name}.json").read_text()), comfyui.get("/object_info"))

    return load


def node(prompt: dict, class_type: str) -> str:
    """Number of the only node of a type."""
    (number,) = [number for number, entry in prompt.items() if entry["class_type"] == class_type]
    return number


def saved(comfyui, outputs: dict) -> list[np.ndarray]:
    """All pictures saved by a prompt."""
    files = [image for output in outputs.values() for image in output.get("images", [])]
    return [np.asarray(Image.open(comfyui.file(image)).convert("RGB")) for image in files]


def test_the_picture_workflow_gives_a_picture_of_the_same_size(comfyui, prompt):
    workflow = prompt("learning_to_see")
    outputs = comfyui.run(workflow)
    before, after = (
        np.asarray(Image.open(comfyui.file(outputs[node(workflow, kind)]["images"][0])).convert("RGB"))
        for kind in ("PreviewImage", "SaveImage")
    )
    assert before.shape == after.shape
    assert (before != after).mean() > 0.5


def test_two_queued_runs_load_the_model_once(comfyui, prompt):
    first = prompt("learning_to_see")
    first[node(first, "Liminal_LearningToSeeTranslate")]["inputs"]["size"] = 96
    second = json.loads(json.dumps(first))
    second[node(second, "Liminal_LearningToSeeTranslate")]["inputs"]["size"] = 128
    numbers = [comfyui.queue(first), comfyui.queue(second)]
    entries = [comfyui.wait(number) for number in numbers]
    assert all(entry["status"]["status_str"] == "success" for entry in entries)
    cached = [data["nodes"] for kind, data in entries[1]["status"]["messages"] if kind == "execution_cached"]
    assert node(second, "Liminal_LoadModel") in cached[0]
    assert node(second, "Liminal_LearningToSeeTranslate") not in cached[0]


def test_the_webcam_workflow_translates_what_the_camera_stored(comfyui, prompt):
    workflow = prompt("learning_to_see_webcam")
    workflow[node(workflow, "WebcamCapture")]["inputs"]["image"] = "example.png"
    outputs = comfyui.run(workflow)
    assert sum(len(outputs[number]["images"]) for number in outputs) == 4  # before, prepared, translated, after


def test_a_clip_is_translated_frame_by_frame(comfyui, prompt):
    workflow = prompt("learning_to_see")
    translate = workflow[node(workflow, "Liminal_LearningToSeeTranslate")]["inputs"]
    image = [node(workflow, "Liminal_SamplePicture"), 0]
    translate |= {"frames_per_batch": 2, "image": ["100", 0]}
    workflow["100"] = {"class_type": "RepeatImageBatch", "inputs": {"image": image, "amount": 6}}  # whole batches
    saved_frames = comfyui.run(workflow)[node(workflow, "SaveImage")]["images"]
    frames = [np.asarray(Image.open(comfyui.file(frame))).astype(int) for frame in saved_frames]
    assert len(frames) == 6
    assert all(np.abs(frame - frames[0]).max() <= 1 for frame in frames)  # a still picture stays still
