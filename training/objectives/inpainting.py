"""What all ways of training an inpainting network share: feeding it, looking at it, measuring it."""

from __future__ import annotations

import torch
from torch import Tensor

from inpaint_core.inpainting_model import InpaintingModel
from inpaint_core.metrics import psnr

from ..samples import Batch

COLUMNS = ("input", "hole", "output", "composite", "truth")


def composite(output: Tensor, image: Tensor, mask: Tensor) -> Tensor:
    """The known pixels with the prediction in the hole."""
    return torch.where(mask > 0.5, output, image)


def preview_rows(model: InpaintingModel, batch: Batch) -> Tensor:
    """`[B,5,3,S,S]` in the order of `COLUMNS`, made by the same call that completes pictures after the training."""
    output = model.complete(batch.image, batch.mask)
    hole = batch.mask.expand(-1, 3, -1, -1)
    given = torch.where(hole > 0.5, batch.image.new_tensor(model.card.fill).view(1, 3, 1, 1), batch.image)
    return torch.stack([given, hole, output, composite(output, batch.image, batch.mask), batch.image], 1)


def hole_measurements(model: InpaintingModel, batch: Batch) -> dict[str, Tensor]:
    """PSNR in dB in the hole, of 8-bit output as it would be written to a file."""
    output = (model.complete(batch.image, batch.mask) * 255.0).round() / 255.0
    return {"hole_psnr": psnr(output, batch.image, batch.mask)}
