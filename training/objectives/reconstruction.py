"""Reconstruction: an elementwise loss, weighted separately in the hole and outside it."""

from __future__ import annotations

from torch import Tensor

from inpaint_core.checkpoints.card import ModelCard
from inpaint_core.losses.reconstruction import ELEMENTWISE
from inpaint_core.models.architecture import Network

from ..config import ReconstructionConfig, TrainConfig
from ..dataset.samples import Batch
from ..placement import Placement
from .inpainting import InpaintingObjective


class Reconstruction(InpaintingObjective):
    """`hole * L(hole) + valid * L(known)` with one elementwise loss L."""

    def __init__(
        self,
        objective: ReconstructionConfig,
        config: TrainConfig,
        card: ModelCard,
        network: Network,
        placement: Placement,
    ) -> None:
        super().__init__(config, card, network, placement)
        self._objective = objective
        self._loss = ELEMENTWISE[objective.loss]

    def _losses(self, batch: Batch) -> dict[str, Tensor]:
        error = self._loss(self._complete(batch), batch.image)
        hole, valid = self._hole_and_valid(error, batch)
        loss = self._objective.hole * hole + self._objective.valid * valid
        return {"loss": loss, "hole": hole, "valid": valid}
