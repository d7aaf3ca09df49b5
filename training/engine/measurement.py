"""Held-out pictures: the same crops with the same holes each time, completed and measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from inpaint_core.checkpoints.prepare_settings import PrepareSettings
from inpaint_core.eight_bit import round_to_8_bits
from inpaint_core.inpainting.classical import ClassicalFill, ClassicalMethod
from inpaint_core.masks import MaskMix
from inpaint_core.metrics import MAX_PSNR, psnr
from inpaint_core.translation import measure_clip

from ..config import Pix2PixConfig, TrainConfig
from ..dataset.samples import Batch, Samples
from ..dataset.scan import Dataset
from ..objectives.objective import Objective

BASELINES: tuple[ClassicalMethod, ...] = ("mean", "telea")
PREVIEW_ROWS = 6
MEASURED_TOGETHER = 8  # also when batches are smaller: some measurements compare pictures with one another
MEASURED_TRAINING_PICTURES = 256
# The same held-out crops and holes for every run on the same pictures, whatever its seed.
FIXED_SEED = 0


def fixed_batches(dataset: Dataset, config: TrainConfig, device: torch.device) -> tuple[list[Batch], Batch]:
    """Batches to measure on, empty when nothing is held out, and the rows of the contact sheet."""
    records = dataset.held_out or dataset.train
    samples = Samples(records, config.data, holes(config), seed=FIXED_SEED, device=device, augment=False)
    shown = samples.batch(0, min(PREVIEW_ROWS, config.validation.samples))
    if not dataset.held_out:
        return [], shown
    wanted = config.validation.samples
    together = max(config.batch_size, MEASURED_TOGETHER)
    return [samples.batch(start, min(together, wanted - start)) for start in range(0, wanted, together)], shown


def translates(config: TrainConfig) -> bool:
    """Whether the training makes a translation model."""
    return isinstance(config.objective, Pix2PixConfig)


def holes(config: TrainConfig) -> MaskMix | None:
    """The holes that are drawn into pictures; None for a training that needs none."""
    return None if translates(config) else config.masks


def input_settings(config: TrainConfig, dataset: Dataset) -> PrepareSettings | None:
    """How a translation's inputs are made, with the statistics of those made of the training pictures."""
    if not isinstance(config.objective, Pix2PixConfig) or config.objective.prepare is None:
        return None
    settings = config.objective.prepare
    statistics = measure_clip(_training_pictures(config, dataset), settings)
    return settings.model_copy(update={"statistics": statistics})


def measure_mean_picture(config: TrainConfig, dataset: Dataset, batches: Sequence[Batch]) -> float:
    """Mean absolute difference, in 0..1, of held-out pictures from the mean of the training pictures."""
    mean = _training_pictures(config, dataset).mean(0, keepdim=True)
    errors = [(batch.image.cpu() - mean).abs().mean((1, 2, 3)) for batch in batches]
    return torch.cat(errors).mean().item()


def _training_pictures(config: TrainConfig, dataset: Dataset) -> Tensor:
    count = min(len(dataset.train), MEASURED_TRAINING_PICTURES)
    cpu = torch.device("cpu")
    return Samples(dataset.train, config.data, None, seed=FIXED_SEED, device=cpu, augment=False).batch(0, count).image


def measure(
    objective: Objective, batches: Sequence[Batch], should_stop: Callable[[], bool] = lambda: False
) -> dict[str, float] | None:
    """Mean of every measurement over all pictures of the batches; None when asked to stop before the last one."""
    measured = []
    for batch in batches:
        if should_stop():
            return None
        measured.append(objective.evaluate(batch))
    return {
        name: torch.cat([values[name] for values in measured]).clamp(max=MAX_PSNR).mean().item() for name in measured[0]
    }


def measure_baselines(config: TrainConfig, dataset: Dataset, batches: Sequence[Batch]) -> dict[str, float]:
    """What needs no training reaches on the same crops.

    Hole-PSNR in dB of the simple fills; for a translation, the mean absolute difference from the mean picture.
    """
    if translates(config):
        return {"mean_picture_l1": measure_mean_picture(config, dataset, batches)}
    results: dict[str, float] = {}
    for method in BASELINES:
        fill = ClassicalFill(method)
        values = []
        for batch in batches:
            image, mask = batch.image.cpu(), batch.mask.cpu()
            output = round_to_8_bits(fill.complete(image, mask))
            values.append(psnr(output, image, mask).clamp(max=MAX_PSNR))
        results[method] = torch.cat(values).mean().item()
    return results
