"""Reconstruction: the network learns to predict the picture, hole and surroundings weighed apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from inpaint_core.inpainting_model import InpaintingModel, to_unit
from inpaint_core.losses.reconstruction import ELEMENTWISE, hole_and_valid
from inpaint_core.model_card import ModelCard
from inpaint_core.models.architecture import Network

from ..config import ReconstructionConfig, TrainConfig
from ..optimization import Trainable
from ..placement import Placement
from ..samples import Batch, shares
from .inpainting import COLUMNS, hole_measurements, preview_rows
from .tally import Tally


class Reconstruction:
    """`hole * L(hole) + valid * L(known)` with one elementwise loss L."""

    columns: tuple[str, ...] = COLUMNS
    keeps_latest = False

    def __init__(
        self,
        objective: ReconstructionConfig,
        config: TrainConfig,
        card: ModelCard,
        network: Network,
        placement: Placement,
    ) -> None:
        self._objective = objective
        self._card = card
        self._loss = ELEMENTWISE[objective.loss]
        self._generator: Trainable[Network] = Trainable(network, config, config.optimizer, placement)
        self._fed = InpaintingModel(card, self._generator.network)
        self._placement = placement
        self.remarks: list[str] = []

    def step(self, parts: Sequence[Batch], step: int) -> dict[str, float]:
        """See `Objective.step`."""
        self._generator.begin()
        tally = Tally(self._placement)
        try:
            for part, share, last in shares(parts):
                with self._generator.gathering(last):
                    losses = self._losses(part)
                    self._generator.backward(losses["loss"] * share)
                tally.add(losses, share)
            values = tally.read()
            self._generator.apply(step)
        finally:
            self._generator.discard()
        return values

    def _losses(self, batch: Batch) -> dict[str, Tensor]:
        with self._generator.autocast():
            output = self._generator.forward(self._fed.prepare(batch.image, batch.mask), batch.mask)
        error = self._loss(to_unit(output.float(), self._card.value_range), batch.image)
        if batch.unknown is not None:
            error = error * (1.0 - batch.unknown)
        hole, valid = hole_and_valid(error, batch.mask)
        return {"loss": self._objective.hole * hole + self._objective.valid * valid, "hole": hole, "valid": valid}

    def learning_rate(self, step: int) -> float:
        """See `Objective.learning_rate`."""
        return self._generator.learning_rate(step)

    def preview(self, batch: Batch) -> Tensor:
        """See `Objective.preview`."""
        return preview_rows(InpaintingModel(self._card, self._generator.result), batch)

    def evaluate(self, batch: Batch) -> dict[str, Tensor]:
        """See `Objective.evaluate`."""
        return hole_measurements(InpaintingModel(self._card, self._generator.result), batch)

    def warning(self, metrics: Mapping[str, float]) -> str | None:
        """See `Objective.warning`: nothing is known to go wrong."""
        return None

    def export(self, steps: int, metrics: Mapping[str, float]) -> InpaintingModel:
        """See `Objective.export`."""
        card = self._card.model_copy(update={"steps": steps, "metrics": dict(metrics)})
        return InpaintingModel(card, self._generator.result)

    def state_dict(self) -> dict[str, Any]:
        """See `Objective.state_dict`."""
        return {"generator": self._generator.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See `Objective.load_state_dict`."""
        self._generator.load_state_dict(state["generator"])
