"""Measurements on held-out pictures, with the same crops and holes each time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from inpaint_core.masks import MaskMix
from inpaint_core.metrics import MAX_PSNR

from ..config import TrainConfig
from ..dataset.samples import Batch, Samples
from ..dataset.scan import Dataset
from ..objectives.objective import Objective

PREVIEW_ROWS = 6
MEASURED_TOGETHER = (
    8  # even if training batches are smaller, because some measurements compare pictures with each other
)
# The same held-out crops and holes for every run on the same pictures, regardless of its seed.
FIXED_SEED = 0


def fixed_batches(dataset: Dataset, config: TrainConfig, device: torch.device) -> tuple[list[Batch], Batch]:
    """Batches to measure on, empty if nothing is held out, and the rows of the contact sheet."""
    records = dataset.held_out or dataset.train
    samples = Samples(records, config.data, holes(config), seed=FIXED_SEED, device=device, augment=False)
    shown = samples.batch(0, min(PREVIEW_ROWS, config.validation.samples))
    if not dataset.held_out:
        return [], shown
    wanted = config.validation.samples
    together = max(config.batch_size, MEASURED_TOGETHER)
    return [samples.batch(start, min(together, wanted - start)) for start in range(0, wanted, together)], shown


def holes(config: TrainConfig) -> MaskMix | None:
    """Source of holes; None for an objective that needs none."""
    return config.masks if config.objective.draws_holes else None


def measure(
    objective: Objective, batches: Sequence[Batch], should_stop: Callable[[], bool] = lambda: False
) -> dict[str, float] | None:
    """Mean of every measurement over all pictures of the batches, ignoring NaN; None if a stop was requested before the
    last batch."""
    measured = []
    for batch in batches:
        if should_stop():
            return None
        measured.append(objective.evaluate(batch))
    together = {name: torch.cat([values[name] for values in measured]) for name in measured[0]}
    return {name: values.clamp(max=MAX_PSNR).nanmean().item() for name, values in together.items()}
