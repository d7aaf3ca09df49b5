"""Base of the objectives for translation networks: inputs, previews, measurements and the exported model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from inpaint_core.checkpoints.card import ModelCard
from inpaint_core.checkpoints.prepare_settings import PrepareSettings
from inpaint_core.checkpoints.translation_model import TranslationModel
from inpaint_core.metrics import mean_over, psnr
from inpaint_core.models.architecture import Network
from inpaint_core.translation import measure_clip, prepare
from inpaint_core.translation.sensitivity import Sensitivity, measure_sensitivity

from ..config import TrainConfig, TranslationConfig
from ..dataset.samples import Batch, Samples
from ..dataset.scan import Dataset
from .objective import Score

MEASURED_PICTURES = 256


class TranslationObjective:
    """Base class of the objectives for translation networks: a subclass needs `step`, the state, and `_result`.

    Attributes
    ----------
    messages
        See `Objective`.
    """

    columns: tuple[str, ...] = ("input", "output", "truth")
    score = Score(
        "l1",
        "mean absolute difference from held-out pictures, in 0..1 (lower is better)",
        4,
        {"mean_picture_l1": "the mean training picture"},
    )
    usage = (
        "translate a picture or a video",
        "python -m inpaint_core translate --model {model} --input PICTURE.jpg --out TRANSLATED.png",
    )

    def __init__(self, card: ModelCard) -> None:
        self._card = card
        self.messages: list[str] = []

    @property
    def _result(self) -> Network:
        """The network to use and to save."""
        raise NotImplementedError

    def _inputs(self, batch: Batch, draws: torch.Generator | None = None) -> Tensor:
        """The network's input, in 0..1: made from the ground truth, or paired with it."""
        if batch.given is not None:
            return batch.given
        if self._card.prepare is None:
            raise RuntimeError("a batch without inputs needs settings to prepare them")
        return prepare(batch.image, self._card.prepare, generator=draws)

    def _model(self) -> TranslationModel:
        return TranslationModel(self._card, self._result)

    def preview(self, batch: Batch) -> Tensor:
        """See `Objective.preview`."""
        given = self._inputs(batch)
        return torch.stack([given.expand(-1, 3, -1, -1), self._model().predict(given), batch.image], 1)

    def evaluate(self, batch: Batch) -> dict[str, Tensor]:
        """See `Objective.evaluate`."""
        model = self._model()
        given = self._inputs(batch)
        output = model.predict(given)
        known = None if batch.unknown is None else 1.0 - batch.unknown
        error = mean_over((output - batch.image).abs(), known)
        measured = {"psnr": psnr(output, batch.image, known), "l1": error}
        # A single picture is replaced with its upside-down version.
        sensitivity = measure_sensitivity(model.predict, given if len(given) > 1 else torch.cat([given, given.flip(2)]))
        return measured | {name: given.new_full((len(given),), value) for name, value in sensitivity.metrics().items()}

    def warning(self, metrics: Mapping[str, float]) -> str | None:
        """See `Objective.warning`: mode collapse."""
        sensitivity = Sensitivity.from_metrics(metrics)
        return sensitivity.advice() if sensitivity is not None and sensitivity.collapsed else None

    def export(self, steps: int, metrics: Mapping[str, float]) -> TranslationModel:
        """See `Objective.export`."""
        card = self._card.model_copy(update={"steps": steps, "metrics": dict(metrics)})
        return TranslationModel(card, self._result)

    @classmethod
    def input_settings(
        cls, config: TrainConfig, dataset: Dataset, initial: PrepareSettings | None
    ) -> PrepareSettings | None:
        """See `Objective.input_settings`: with the statistics of the inputs made from the training pictures.

        An initial model determines everything but the random variation of the inputs.
        """
        assert isinstance(config.objective, TranslationConfig)
        settings = config.objective.prepare
        if initial is not None:
            varied = settings or initial
            return initial.model_copy(update={"brightness": varied.brightness, "contrast": varied.contrast})
        if settings is None:
            return None
        statistics = measure_clip(training_pictures(config, dataset), settings)
        return settings.model_copy(update={"statistics": statistics})

    @classmethod
    def ignored_settings(cls, config: TrainConfig, card: ModelCard) -> list[str]:
        """See `Objective.ignored_settings`."""
        assert isinstance(config.objective, TranslationConfig)
        wanted = config.objective.prepare
        if wanted is None or card.prepare is None or wanted.reduction == card.prepare.reduction:
            return []
        return [
            f"objective.prepare.reduction {wanted.reduction} is ignored: the initial model was trained on inputs "
            f"reduced by {card.prepare.reduction}"
        ]

    @classmethod
    def baselines(cls, config: TrainConfig, dataset: Dataset, batches: Sequence[Batch]) -> dict[str, float]:
        """See `Objective.baselines`: mean absolute difference, in 0..1, from the mean training picture."""
        mean = training_pictures(config, dataset).mean(0, keepdim=True)
        errors = [(batch.image.cpu() - mean).abs().mean((1, 2, 3)) for batch in batches]
        return {"mean_picture_l1": torch.cat(errors).mean().item()}


def training_pictures(config: TrainConfig, dataset: Dataset) -> Tensor:
    """`[N,3,S,S]`: a fixed selection of training pictures, without augmentation."""
    count = min(len(dataset.train), MEASURED_PICTURES)
    cpu = torch.device("cpu")
    return Samples(dataset.train, config.data, None, seed=0, device=cpu, augment=False).batch(0, count).image
