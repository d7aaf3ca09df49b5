"""A run folder made when the objective `composite` was still called `partial_conv`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from inpaint_core import inpaint, load_model
from training import run

EARLIER = Path(__file__).with_name("earlier_run")


@pytest.mark.parametrize("option", [[], ["--config", "partial_conv"]], ids=["its own configuration", "a recipe"])
def test_an_earlier_run_is_resumed(tmp_path: Path, pictures: Path, option: list[str]) -> None:
    folder = tmp_path / "run"
    shutil.copytree(EARLIER, folder)
    same = ["--model.arguments", '{"width":4,"depth":3}', "--data.size", "32", "--batch_size", "2"]
    same = [*same, "--objective.perceptual", "0", "--objective.style", "0", "--model.architecture", "pconv_unet"]
    line = [*option, *(same if option else []), "--resume", str(folder), "--data", str(pictures), "--steps", "6"]
    assert run.main(line) == 0
    steps = [json.loads(text)["step"] for text in (folder / "metrics.jsonl").read_text().splitlines()]
    assert max(steps) == 6
    assert sorted(tmp_path.iterdir()) == [pictures, folder]
    model = load_model(folder / "model.safetensors")
    assert model.card.steps in (2, 4, 6)
    hole = torch.zeros(1, 1, 32, 32)
    hole[..., 8:20, 8:20] = 1.0
    image = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    filled = inpaint(model, image, hole)
    assert torch.equal(filled * (1.0 - hole), image * (1.0 - hole))


def test_a_run_of_other_arguments_is_still_rejected(
    tmp_path: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(EARLIER, folder)
    line = ["--resume", str(folder), "--data", str(pictures), "--model.arguments", '{"width":8,"depth":3}']
    assert run.main([*line, "--steps", "6"]) == 2
    assert "the run has arguments" in capsys.readouterr().err
