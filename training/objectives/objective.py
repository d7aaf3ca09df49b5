"""The interface of objectives, used by the loop, the card and the measurements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from torch import Tensor

from inpaint_core.checkpoints.card import ModelCard
from inpaint_core.checkpoints.inpainting_model import InpaintingModel
from inpaint_core.checkpoints.prepare_settings import PrepareSettings
from inpaint_core.checkpoints.translation_model import TranslationModel

from ..config import TrainConfig
from ..dataset.samples import Batch
from ..dataset.scan import Dataset

Model = InpaintingModel | TranslationModel


@dataclass(frozen=True)
class Score:
    """The measurement that summarizes a training run.

    Attributes
    ----------
    metric
        Its name among the measurements.
    heading
        What the measurement is, its unit, and which direction is better.
    digits
        Decimal places.
    baselines
        Labels of the entries of `Objective.baselines`, in the order of the report.
    """

    metric: str
    heading: str
    digits: int
    baselines: Mapping[str, str]

    def lines(self, metrics: Mapping[str, float], baselines: Mapping[str, float]) -> list[str]:
        """The heading and a row for the model and for each baseline that was measured; none without a measurement."""
        if self.metric not in metrics:
            return []
        rows = {"this model": metrics[self.metric]}
        rows |= {words: baselines[name] for name, words in self.baselines.items() if name in baselines}
        width = max(len(words) for words in rows)
        return [f"{self.heading}:", *(f"  {words:<{width}}  {value:.{self.digits}f}" for words, value in rows.items())]


class Objective(Protocol):
    """A way to train one kind of model: its networks, optimizers, training step, preview and measurements."""

    score: ClassVar[Score]
    """The measurement that summarizes a training run."""

    usage: ClassVar[tuple[str, str]]
    """The model's use, and a command for it, with `{model}` in place of its file."""

    columns: tuple[str, ...]
    """Names of the pictures in a row of `preview`."""

    @property
    def keeps_latest(self) -> bool:
        """Whether the latest model without a warning is kept, rather than the best by the first measurement."""

    messages: list[str]
    """Messages to the user; the loop forwards them and clears the list."""

    def step(self, parts: Sequence[Batch], step: int) -> dict[str, float]:
        """Train on one batch, given in parts that are processed one after another.

        Returns every loss term by name, averaged over the batch, with `"loss"` for what was minimized.

        Raises
        ------
        NonFiniteError
            A loss or gradient is not finite; the networks are unchanged.
        """

    def learning_rate(self, step: int) -> float:
        """Learning rate of step `step` (from 0) of the network that is exported."""

    def preview(self, batch: Batch) -> Tensor:
        """Pictures `[B,K,3,S,S]` in 0..1, where K is the number of `columns`."""

    def evaluate(self, batch: Batch) -> dict[str, Tensor]:
        """Measurements per picture, `[B]` each, of the exported model; the first decides (higher is better)."""

    def warning(self, metrics: Mapping[str, float]) -> str | None:
        """A message to the user if the mean measurements indicate a problem."""

    def export(self, steps: int, metrics: Mapping[str, float]) -> Model:
        """The model to save. It shares its weights with the training run, so use it before the next step."""

    def state_dict(self) -> dict[str, Any]:
        """Everything the next step depends on."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a saved state."""

    @classmethod
    def input_settings(
        cls, config: TrainConfig, dataset: Dataset, initial: PrepareSettings | None
    ) -> PrepareSettings | None:
        """How the network's input is made from a picture; `initial` are the settings in the initial model's card."""

    @classmethod
    def ignored_settings(cls, config: TrainConfig, card: ModelCard) -> list[str]:
        """A message for each setting that is ignored because the card of the initial model determines it."""

    @classmethod
    def baselines(cls, config: TrainConfig, dataset: Dataset, batches: Sequence[Batch]) -> dict[str, float]:
        """Scores of methods that need no training, on the held-out crops."""
