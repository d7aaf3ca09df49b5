"""Reconstruction: the network learns to predict the picture, hole and surroundings weighed apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from inpaint_core.checkpoints.card import ModelCard
from inpaint_core.losses.reconstruction import ELEMENTWISE, hole_and_valid
from inpaint_core.models.architecture import Network

from ..config import ReconstructionConfig, TrainConfig
from ..dataset.samples import Batch
from ..placement import Placement
from .inpainting import InpaintingObjective
from .joint_step import step_together


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

    def step(self, parts: Sequence[Batch], step: int) -> dict[str, float]:
        """See `Objective.step`."""
        return step_together([self._generator], parts, self._learn, self._placement, step)

    def _learn(self, batch: Batch, share: float) -> dict[str, Tensor]:
        losses = self._losses(batch)
        self._generator.backward(losses["loss"] * share)
        return losses

    def _losses(self, batch: Batch) -> dict[str, Tensor]:
        error = self._loss(self._complete(batch), batch.image)
        if batch.unknown is not None:
            error = error * (1.0 - batch.unknown)
        hole, valid = hole_and_valid(error, batch.mask)
        loss = self._objective.hole * hole + self._objective.valid * valid
        return {"loss": loss, "hole": hole, "valid": valid}

    def state_dict(self) -> dict[str, Any]:
        """See `Objective.state_dict`."""
        return {"generator": self._generator.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See `Objective.load_state_dict`."""
        self._generator.load_state_dict(state["generator"])
