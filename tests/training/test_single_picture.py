"""Training on a single picture to repair it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from training import run
from training.config import DEFAULT_HOLES, DataConfig, TrainConfig, dump_config
from training.dataset.samples import Samples
from training.dataset.scan import DatasetError
from training.dataset.single_picture import single_picture
from training.engine.session import run_training

from .conftest import draw_picture


def picture_and_mask() -> tuple[Tensor, Tensor]:
    image = torch.from_numpy(np.array(draw_picture(0, 96, 80))).permute(2, 0, 1)[None].float() / 255.0
    mask = torch.zeros(1, 1, 80, 96)
    mask[..., 30:50, 40:70] = 1.0
    return image, mask


def test_unknown_pixels_are_always_in_the_hole_and_never_counted(tiny: TrainConfig, tmp_path: Path) -> None:
    image, mask = picture_and_mask()
    data = DataConfig(size=32, recolor=True)
    records = single_picture(image, mask, data).train
    batch = Samples(records, data, DEFAULT_HOLES, seed=0, device=torch.device("cpu")).batch(0, 40)
    assert batch.unknown is not None
    assert batch.unknown.any()
    assert torch.equal(torch.maximum(batch.mask, batch.unknown), batch.mask)
    assert (batch.mask > batch.unknown).any()
    assert torch.equal(batch.split(3)[1].unknown, batch.unknown[13:27])
    config = tiny.model_copy(update={"steps": 2, "preview_every": 100})
    spoilt = torch.where(mask > 0.5, 1.0 - image, image)
    first = run_training(config, out=tmp_path / "first", picture=(image, mask))
    second = run_training(config, out=tmp_path / "second", picture=(spoilt, mask))
    assert first.losses == second.losses


def test_a_mask_of_everything_or_nothing_is_rejected() -> None:
    image, mask = picture_and_mask()
    with pytest.raises(DatasetError, match="nothing to repair"):
        single_picture(image, torch.zeros_like(mask), DataConfig())
    with pytest.raises(DatasetError, match="nothing to train on"):
        single_picture(image, torch.ones_like(mask), DataConfig())


def test_the_command_repairs_the_picture_and_changes_nothing_else(
    tiny: TrainConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, mask = picture_and_mask()
    pixels = np.asarray(draw_picture(0, 96, 80))
    Image.fromarray(pixels).save(tmp_path / "picture.png")
    Image.fromarray((mask[0, 0].numpy() * 255).astype(np.uint8)).save(tmp_path / "mask.png")
    (tmp_path / "tiny.yaml").write_text(dump_config(tiny))
    arguments = ["--config", str(tmp_path / "tiny.yaml"), "--out", str(tmp_path / "run"), "--steps", "2"]
    arguments += ["--data.picture", str(tmp_path / "picture.png"), "--data.picture_mask", str(tmp_path / "mask.png")]
    assert run.main(arguments) == 0
    assert "the repaired training picture: " in capsys.readouterr().out
    filled = np.asarray(Image.open(tmp_path / "run" / "filled.png"))
    known = mask[0, 0].numpy() < 0.5
    assert np.array_equal(filled[known], pixels[known])
    assert not np.array_equal(filled[~known], pixels[~known])
