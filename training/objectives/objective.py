"""What the loop asks of a way of training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from torch import Tensor

from inpaint_core.checkpoints.inpainting_model import InpaintingModel
from inpaint_core.checkpoints.translation_model import TranslationModel

from ..dataset.samples import Batch

Model = InpaintingModel | TranslationModel


class Objective(Protocol):
    """How one kind of model is trained: networks, optimizers, a step, a look at what it does."""

    columns: tuple[str, ...]
    """Names of the pictures in a row of `preview`."""

    @property
    def keeps_latest(self) -> bool:
        """Whether each model without a warning replaces the one before, instead of the best by the first measure."""

    remarks: list[str]
    """Sentences for the person who trains; the loop passes them on and empties the list."""

    def step(self, parts: Sequence[Batch], step: int) -> dict[str, float]:
        """Learn from one batch, which comes in parts that are computed one after the other.

        Returns every loss term by name, averaged over the batch, with `"loss"` for what was minimised.

        Raises
        ------
        NonFiniteError
            A loss or gradient is not finite; the networks are fit to go on.
        """

    def learning_rate(self, step: int) -> float:
        """Learning rate of step `step` (from 0) of the network that is exported."""

    def preview(self, batch: Batch) -> Tensor:
        """Pictures `[B,K,3,S,S]` in 0..1, K as many as `columns`."""

    def evaluate(self, batch: Batch) -> dict[str, Tensor]:
        """Measurements per picture, `[B]` each, of the exported model; the first one is compared, higher is better."""

    def warning(self, metrics: Mapping[str, float]) -> str | None:
        """A sentence for the person who trains, when the means of the measurements say that something went wrong."""

    def export(self, steps: int, metrics: Mapping[str, float]) -> Model:
        """The model to save: it shares its weights with the training, so it is to be used at once."""

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next step depends on."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a saved state."""
