"""Held-out pictures: the same crops with the same holes each time, completed and measured."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from inpaint_core.classical import ClassicalFill, Method
from inpaint_core.metrics import psnr

from .config import TrainConfig
from .data import Dataset
from .objectives.objective import Objective
from .samples import Batch, Samples

BASELINES: tuple[Method, ...] = ("mean", "telea")
MAX_PSNR = 100.0  # a picture that is met exactly would make every mean infinite
PREVIEW_ROWS = 6
# The same held-out crops and holes for every run on the same pictures, whatever its seed.
FIXED_SEED = 0


def fixed_batches(dataset: Dataset, config: TrainConfig, device: torch.device) -> tuple[list[Batch], Batch]:
    """Batches to measure on, empty when nothing is held out, and the rows of the contact sheet."""
    records = dataset.held_out or dataset.train
    samples = Samples(records, config.data, config.masks, seed=FIXED_SEED, device=device, augment=False)
    shown = samples.batch(0, min(PREVIEW_ROWS, config.validation.samples))
    if not dataset.held_out:
        return [], shown
    wanted = config.validation.samples
    starts = range(0, wanted, config.batch_size)
    return [samples.batch(start, min(config.batch_size, wanted - start)) for start in starts], shown


def measure(objective: Objective, batches: Sequence[Batch]) -> dict[str, float]:
    """Mean of every measurement over all pictures of the batches."""
    measured = [objective.evaluate(batch) for batch in batches]
    return {
        name: torch.cat([values[name] for values in measured]).clamp(max=MAX_PSNR).mean().item() for name in measured[0]
    }


def measure_baselines(batches: Sequence[Batch]) -> dict[str, float]:
    """Hole-PSNR in dB of the simple fills on the same crops and holes."""
    results: dict[str, float] = {}
    for method in BASELINES:
        fill = ClassicalFill(method)
        values = []
        for batch in batches:
            image, mask = batch.image.cpu(), batch.mask.cpu()
            output = (fill.complete(image, mask) * 255.0).round() / 255.0
            values.append(psnr(output, image, mask).clamp(max=MAX_PSNR))
        results[method] = torch.cat(values).mean().item()
    return results
