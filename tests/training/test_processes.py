"""Several processes train as one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from training.config import TrainConfig, dump_config
from training.engine.session import run_training
from training.runs.state import load_newest_state

from .test_objectives import configure

pytestmark = pytest.mark.skipif(
    not torch.distributed.is_available() or sys.platform == "win32", reason="needs torch.distributed with gloo"
)


def torchrun(config: TrainConfig, out: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Train with two processes."""
    path = out.with_suffix(".yaml")
    path.write_text(dump_config(config))
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", "0"]
    command += ["--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0", "-m", "training.run"]
    return subprocess.run(
        [*command, "--config", str(path), "--out", str(out), *arguments],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def losses(run: Path) -> torch.Tensor:
    return torch.tensor([json.loads(line)["loss"] for line in (run / "metrics.jsonl").read_text().splitlines()])


@pytest.mark.parametrize("name", ["reconstruction", "glcic", "pix2pix"])
def test_two_processes_give_the_losses_of_one_with_twice_the_batch(name: str, pictures: Path, tmp_path: Path) -> None:
    plain = {"norm": "none"}
    still = {"dropout": 0.0} if name == "pix2pix" else {}
    config = configure(name, pictures, steps=20, batch_size=2, optimizer={"learning_rate": 1e-3}, preview_every=20)
    arguments = {**config.model.arguments, **plain, **still}
    config = config.model_copy(update={"model": config.model.model_copy(update={"arguments": arguments})})
    if name != "reconstruction":
        changes: dict[str, Any] = {"discriminator": {**config.objective.discriminator, **plain}}
        if name == "pix2pix":
            # Variations of the input follow the process, and dropout does too.
            changes["prepare"] = config.objective.prepare.model_copy(update={"brightness": 0.0, "contrast": 0.0})
        objective = config.objective.model_copy(update=changes)
        config = config.model_copy(update={"objective": objective})
    done = torchrun(config, tmp_path / "two")
    assert done.returncode == 0, done.stderr
    run_training(config.model_copy(update={"batch_size": 4}), out=tmp_path / "one")
    torch.testing.assert_close(losses(tmp_path / "two"), losses(tmp_path / "one"), atol=1e-4, rtol=1e-4)
    if name == "reconstruction":
        result = run_training(config.model_copy(update={"steps": 22, "batch_size": 4}), out=tmp_path / "two")
        assert result.steps == 22
        state = load_newest_state(tmp_path / "two" / "state")
        assert state is not None
        assert state.values["progress"]["samples"] == 22 * 4


def test_bad_input_ends_all_processes_with_one_line(pictures: Path, tiny: TrainConfig, tmp_path: Path) -> None:
    done = torchrun(tiny, tmp_path / "two", "--resume", str(tmp_path / "none"))
    assert done.returncode != 0
    assert "holds no complete state" in done.stderr
    # The rest is up to torchrun.
    assert sum(line.startswith("training.run:") for line in done.stderr.splitlines()) == 1
