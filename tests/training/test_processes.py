"""Several processes train as one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from training.config import TrainConfig, dump_config
from training.engine.session import run_training
from training.runs.state import load_newest_state

from .conftest import draw_pictures
from .test_objectives import configure

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif(
    not torch.distributed.is_available() or sys.platform == "win32", reason="needs torch.distributed with gloo"
)


NAMES = ("reconstruction", "glcic", "pix2pix")
# One start for all trainings: most of the time goes into starting Python.
PROGRAM = """
import json, sys
from training import run
from training.placement import process_group

with process_group():
    codes = [run.main(line) for line in json.loads(sys.argv[1])]
sys.exit(codes[-1] if not any(codes[:-1]) else 99)
"""


def comparable(name: str, pictures: Path) -> TrainConfig:
    """Of the two processes every sample is learned from as of one: no batch statistics, no noise."""
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
    return config


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """Every training by two processes, and one from a state that does not exist: its folder, and how it ended."""
    folder = tmp_path_factory.mktemp("together")
    pictures = draw_pictures(folder)
    lines = []
    for name in NAMES:
        (folder / f"{name}.yaml").write_text(dump_config(comparable(name, pictures)))
        lines.append(["--config", str(folder / f"{name}.yaml"), "--out", str(folder / name)])
    lines.append([*lines[0], "--resume", str(folder / "none")])
    program = folder / "program.py"
    program.write_text(PROGRAM)
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", "0"]
    command += ["--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0", str(program), json.dumps(lines)]
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return folder, done


def losses(run: Path) -> torch.Tensor:
    return torch.tensor([json.loads(line)["loss"] for line in (run / "metrics.jsonl").read_text().splitlines()])


@pytest.mark.parametrize("name", NAMES)
def test_two_processes_give_the_losses_of_one_with_twice_the_batch(
    name: str, together: tuple[Path, subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    folder, done = together
    assert (folder / name / "summary.json").exists(), done.stderr
    config = comparable(name, folder / "pictures").model_copy(update={"batch_size": 4})
    run_training(config, out=tmp_path / "one")
    torch.testing.assert_close(losses(folder / name), losses(tmp_path / "one"), atol=1e-4, rtol=1e-4)
    if name == "reconstruction":
        shutil.copytree(folder / name, tmp_path / "two")
        result = run_training(config.model_copy(update={"steps": 22}), out=tmp_path / "two")
        assert result.steps == 22
        state = load_newest_state(tmp_path / "two" / "state")
        assert state is not None
        assert state.values["progress"]["samples"] == 22 * 4


def test_bad_input_ends_all_processes_with_one_line(together: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    _, done = together
    assert done.returncode != 0
    assert "contains no complete state" in done.stderr
    assert "exitcode  : 2" in done.stderr
    # The rest is up to torchrun.
    assert sum(line.startswith("training.run:") for line in done.stderr.splitlines()) == 1
