"""A run that is killed again and again loses nothing that was saved, and ends with the weights of an undisturbed
run."""

from __future__ import annotations

import os
import random
import sys
import time
from multiprocessing.context import BaseContext
from pathlib import Path

import pytest

from inpaint_core import load_model
from training.config import TrainConfig
from training.engine.session import run_training
from training.runs.state import load_newest_state

from .test_resume import assert_same_files

# `LIMINAL_KILLS=50 pytest tests/training/test_kills.py` is the full measure.
KILLS = int(os.environ.get("LIMINAL_KILLS", "2"))
MAX_LIFE = 0.8  # seconds after the first state of a process


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL and a fork server")
def test_random_kills_lose_no_saved_state(tiny: TrainConfig, tmp_path: Path, fork_server: BaseContext) -> None:
    config = tiny.model_copy(update={"steps": 1_000_000, "checkpoint_every": 3})
    out = tmp_path / "killed"
    moments = random.Random(0)
    saved = -1
    for _ in range(KILLS):
        process = fork_server.Process(target=run_training, args=(config,), kwargs={"out": out, "resume": "auto"})
        process.start()
        while process.is_alive() and newest(out) <= saved:
            time.sleep(0.01)
        time.sleep(moments.uniform(0.0, MAX_LIFE))
        before = newest(out)
        process.kill()
        process.join()
        assert process.exitcode == -9
        state = load_newest_state(out / "state")
        assert state is not None
        assert state.step >= before > saved or state.step == before == 0
        saved = state.step
        if saved > 0:
            load_model(out / "model.safetensors")
    steps = saved + 1
    run_training(config.model_copy(update={"steps": steps}), out=out)
    run_training(config.model_copy(update={"steps": steps}), out=tmp_path / "quiet")
    name = f"{steps:08d}.safetensors"
    assert_same_files(out / "state" / name, tmp_path / "quiet" / "state" / name)
    assert_same_files(out / "model.safetensors", tmp_path / "quiet" / "model.safetensors")
    leftovers = [path for path in (out / "state").iterdir() if path.name.startswith(".")]
    assert leftovers == []


def newest(out: Path) -> int:
    """Step of the newest state that claims to be complete, -1 if there is none."""
    steps = [int(path.stem) for path in (out / "state").glob("[0-9]*.json")]
    return max(steps, default=-1)
