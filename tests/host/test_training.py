"""Training in a real ComfyUI: live pictures, Cancel, resuming, caching, and forbidden requests."""

from __future__ import annotations

import json
import shutil
import time
from typing import Any

import numpy as np
import pytest
from PIL import Image

SETTINGS = {
    "recipe": "demo",
    "folder": "(connected images)",
    "run_name": "test",
    "steps": 4,
    "batch_size": 4,
    "size": 64,
    "learning_rate": 0.0,
    "optimizer": "as the recipe says",
    "seed": 0,
    "preview_every": 2,
    "resume": "if nothing changed",
    "subfolders": False,
}


def training(**changes: Any) -> dict[str, Any]:
    """A prompt that trains on the example picture."""
    inputs = SETTINGS | {"images": ["1", 0]} | changes
    return {
        "1": {"class_type": "LoadImage", "inputs": {"image": "example.png"}},
        "2": {"class_type": "Liminal_TrainModel", "inputs": {k: v for k, v in inputs.items() if v is not None}},
    }


def steps_of(run) -> list[int]:
    """Step numbers in a run's metrics."""
    return [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_cancel_returns_within_two_seconds_keeps_the_model_and_the_next_run_resumes(comfyui):
    run = comfyui.base / "output" / "liminal" / "cancelled"
    listener = comfyui.listen()
    try:
        prompt_id = comfyui.queue(training(run_name="cancelled", steps=100_000))
        for line in listener.stdout:
            message = json.loads(line)
            if message["type"] == "progress" and message["data"]["value"] >= 5:
                break
        pressed = time.monotonic()
        comfyui.post("/interrupt", {})
        entry = comfyui.wait(prompt_id)
        seconds = time.monotonic() - pressed
    finally:
        listener.kill()
    assert "execution_interrupted" in [kind for kind, _ in entry["status"]["messages"]]
    assert seconds <= 2.0, f"Cancel took {seconds:.2f} s"

    done = steps_of(run)
    assert done == list(range(1, len(done) + 1))
    outputs = comfyui.run(
        {
            "1": {"class_type": "Liminal_LoadModel", "inputs": {"name": "output/liminal/cancelled"}},
            "2": {"class_type": "Liminal_ModelInfo", "inputs": {"model": ["1", 0]}},
        }
    )
    assert "trained at" in outputs["2"]["text"][0]

    comfyui.run(training(run_name="cancelled", steps=len(done) + 2))
    assert steps_of(run) == list(range(1, len(done) + 3))
    assert not run.with_name("cancelled-2").exists()


def test_sample_pictures_arrive_while_it_trains(comfyui):
    listener = comfyui.listen()
    try:
        comfyui.queue(training(run_name="pictures", steps=6))
        seen = []
        for line in listener.stdout:
            message = json.loads(line)
            seen.append(message["type"])
            if message["type"] in ("execution_success", "execution_error"):
                break
    finally:
        listener.kill()
    assert seen[-1] == "execution_success"
    assert seen.count("binary") >= 3
    assert seen.count("progress") >= 6


def test_training_again_happens_only_when_the_folder_changed(comfyui):
    folder = comfyui.base / "input" / "pictures \u82b1"
    folder.mkdir()
    for name in ("a", "b"):
        noise = np.random.default_rng(ord(name)).integers(0, 255, (96, 96, 3), np.uint8)
        Image.fromarray(noise).save(folder / f"{name}.png")
    prompt = training(folder=f"input/{folder.name}", images=None, run_name="folder")
    del prompt["1"]

    def executed() -> bool:
        entry = comfyui.wait(comfyui.queue(prompt))
        assert entry["status"]["status_str"] == "success", entry["status"]
        return "2" not in next(
            data["nodes"] for kind, data in entry["status"]["messages"] if kind == "execution_cached"
        )

    assert executed()
    assert not executed()
    shutil.copy(comfyui.base / "input" / "example.png", folder)
    assert executed()
    assert not executed()


@pytest.mark.parametrize("folder", ["/etc", "..", "input/../..", "input/nothing", "C:\\x", "models/liminal"])
def test_folders_outside_are_rejected_before_anything_runs(comfyui, folder):
    answer = comfyui.post("/prompt", {"prompt": training(folder=folder, images=None)})
    assert "value_not_in_list" in [error["type"] for error in answer["node_errors"]["2"]["errors"]]


@pytest.mark.parametrize("name", ["../x", "/tmp/x", "", "a/b", "nul"])
def test_run_names_that_are_not_plain_names_are_rejected(comfyui, name):
    answer = comfyui.post("/prompt", {"prompt": training(run_name=name)})
    (error,) = answer["node_errors"]["2"]["errors"]
    assert error["type"] == "custom_validation_failed"
    assert error["details"].startswith(f"run_name - {name!r} ")


def test_a_mistake_is_a_one_line_error(comfyui):
    said = comfyui.error(training(images=None))
    assert said == "there are no pictures to train on: connect images, or select a folder"
