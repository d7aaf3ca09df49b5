"""Training by the mouse of a real browser, in both of ComfyUI's renderers: Cancel, Run again, reload, Run twice."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

RENDERERS = ("canvas", "nodes 2.0")
TRAIN, TEXT = "Liminal_TrainModel", "$$node-text-preview"


def steps_of(run: Path) -> list[int]:
    """Step numbers in a run's metrics."""
    return [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines()]


def training(run_name: str, steps: int) -> dict[str, Any]:
    """A graph that trains on a photograph."""
    values = {"run_name": run_name, "steps": steps, "batch_size": 2, "size": 64, "preview_every": 10}
    return {
        "picture": {"type": "Liminal_SamplePicture", "pos": [0, 0]},
        "train": {"type": TRAIN, "pos": [400, 0], "values": values, "from": {"images": ["picture", 0]}},
        "report": {"type": "PreviewAny", "pos": [1000, 0], "from": {"source": ["train", 4]}},
    }


@pytest.mark.parametrize("renderer", RENDERERS)
def test_run_after_cancel_resumes_and_the_node_shows_it(interface, renderer):
    name, steps = f"cancelled {renderer}", 150
    run = interface.comfyui.base / "output" / "liminal" / name
    interface.open(renderer, training(name, steps))
    prompt = interface.press_run()
    interface.until(TRAIN, lambda state: re.search(r"^step \d{2,} of 150, loss [\d.]+, .* left", state[TEXT], re.M))
    interface.page.get_by_label("Cancel current run").click()
    interface.comfyui.wait(prompt)
    state = interface.until(TRAIN, lambda state: state[TEXT].startswith("saved "))
    kept = int(re.match(rf"saved {name} at step (\d+) of 150; the next run resumes from there", state[TEXT])[1])
    assert steps_of(run) == list(range(1, kept + 1))

    prompt = interface.press_run()
    interface.until(TRAIN, lambda state: f"resumed {name} at step {kept}" in state[TEXT])
    interface.comfyui.wait(prompt)
    interface.until(TRAIN, lambda state: state[TEXT].startswith(f"{name}: 150 steps done"))
    assert steps_of(run) == list(range(1, steps + 1))
    assert [folder.name for folder in run.parent.iterdir() if folder.name.startswith(name)] == [name]


@pytest.mark.parametrize("renderer", RENDERERS)
def test_training_goes_on_while_the_page_is_reloaded(interface, renderer):
    name, steps = f"reloaded {renderer}", 600
    interface.open(renderer, training(name, steps))
    prompt = interface.press_run()
    interface.until(TRAIN, lambda state: re.search(r"^step \d{2,} of", state[TEXT], re.M))
    interface.reload()
    state = interface.until(TRAIN, lambda state: re.search(r"^step \d{2,} of", state[TEXT], re.M))
    assert state["run_name"] == name
    # After a reload the interface leaves its Cancel button gray until the next node begins; its shortcut works.
    interface.page.keyboard.press("Control+Alt+Enter")
    interface.comfyui.wait(prompt)
    interface.until(TRAIN, lambda state: state[TEXT].startswith("saved "))


@pytest.mark.parametrize("renderer", RENDERERS)
def test_run_pressed_twice_trains_once(interface, renderer):
    name = f"twice {renderer}"
    run = interface.comfyui.base / "output" / "liminal" / name
    interface.open(renderer, training(name, 40))
    for prompt in [interface.press_run(), interface.press_run()]:
        assert interface.comfyui.wait(prompt)["status"]["status_str"] == "success"
    assert steps_of(run) == list(range(1, 41))
    assert not run.with_name(f"{name}-2").exists()
    interface.until(TRAIN, lambda state: state[TEXT].startswith(f"{name}: 40 steps done"))
