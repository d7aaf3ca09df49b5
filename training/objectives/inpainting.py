"""What all ways of training an inpainting network share: feeding it, looking at it, measuring it."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from inpaint_core.checkpoints.card import ModelCard
from inpaint_core.checkpoints.inpainting_model import InpaintingModel, to_unit
from inpaint_core.eight_bit import round_to_8_bits
from inpaint_core.metrics import psnr
from inpaint_core.models.architecture import Network

from ..config import TrainConfig
from ..dataset.samples import Batch
from ..placement import Placement
from .optimization import Trainable

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
    output = round_to_8_bits(model.complete(batch.image, batch.mask))
    return {"hole_psnr": psnr(output, batch.image, batch.mask)}


class InpaintingObjective:
    """The part of `Objective` that is the same however an inpainting network is trained.

    Attributes
    ----------
    remarks
        See `Objective`.
    """

    columns: tuple[str, ...] = COLUMNS

    def __init__(self, config: TrainConfig, card: ModelCard, network: Network, placement: Placement) -> None:
        self._card = card
        self._placement = placement
        self._generator: Trainable[Network] = Trainable(network, config, config.optimizer, placement)
        self._fed = InpaintingModel(card, network)
        self.remarks: list[str] = []

    @property
    def keeps_latest(self) -> bool:
        """See `Objective.keeps_latest`."""
        return False

    def _complete(self, batch: Batch) -> Tensor:
        """What the network predicts, `[B,3,S,S]` in 0..1 without clamping, with a graph."""
        with self._generator.autocast():
            output = self._generator.forward(self._fed.prepare(batch.image, batch.mask), batch.mask)
        return to_unit(output.float(), self._card.value_range)

    def _model(self) -> InpaintingModel:
        return InpaintingModel(self._card, self._generator.result)

    def learning_rate(self, step: int) -> float:
        """See `Objective.learning_rate`."""
        return self._generator.learning_rate(step)

    def preview(self, batch: Batch) -> Tensor:
        """See `Objective.preview`."""
        return preview_rows(self._model(), batch)

    def evaluate(self, batch: Batch) -> dict[str, Tensor]:
        """See `Objective.evaluate`."""
        return hole_measurements(self._model(), batch)

    def warning(self, metrics: Mapping[str, float]) -> str | None:
        """See `Objective.warning`: nothing is known to go wrong."""
        return None

    def export(self, steps: int, metrics: Mapping[str, float]) -> InpaintingModel:
        """See `Objective.export`."""
        card = self._card.model_copy(update={"steps": steps, "metrics": dict(metrics)})
        return InpaintingModel(card, self._generator.result)
