"""Base of the objectives for inpainting networks: input, previews, measurements and the training step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from inpaint_core.checkpoints.card import ModelCard
from inpaint_core.checkpoints.inpainting_model import InpaintingModel, to_unit
from inpaint_core.checkpoints.prepare_settings import PrepareSettings
from inpaint_core.eight_bit import round_to_8_bits
from inpaint_core.inpainting.classical import ClassicalFill, ClassicalMethod
from inpaint_core.losses.reconstruction import hole_and_valid
from inpaint_core.metrics import MAX_PSNR, psnr
from inpaint_core.models.architecture import Network
from inpaint_core.models.registry import find_architecture

from ..config import TrainConfig
from ..dataset.samples import Batch
from ..dataset.scan import Dataset
from ..placement import Placement
from .joint_step import step_together
from .objective import Score
from .optimization import Trainable

BASELINES: tuple[ClassicalMethod, ...] = ("mean", "telea")
GRAY = (0.5, 0.5, 0.5)
COLUMNS = ("input", "hole", "output", "composite", "truth")


def composite(output: Tensor, image: Tensor, mask: Tensor) -> Tensor:
    """The known pixels with the prediction in the hole."""
    return torch.where(mask > 0.5, output, image)


def judged_part(batch: Batch) -> Tensor:
    """`[B,1,S,S]`, 1 in the part of the holes whose ground truth is known; the rest is used neither for training nor
    for measurements."""
    return batch.mask if batch.unknown is None else batch.mask * (1.0 - batch.unknown)


def preview_rows(model: InpaintingModel, batch: Batch) -> Tensor:
    """`[B,5,3,S,S]` in the order of `COLUMNS`, made by the same call that completes pictures after training."""
    output = model.complete(batch.image, batch.mask)
    hole = batch.mask.expand(-1, 3, -1, -1)
    given = torch.where(hole > 0.5, batch.image.new_tensor(model.card.fill).view(1, 3, 1, 1), batch.image)
    return torch.stack([given, hole, output, composite(output, batch.image, batch.mask), batch.image], 1)


def hole_measurements(model: InpaintingModel, batch: Batch) -> dict[str, Tensor]:
    """PSNR in dB in the hole, of the output rounded to 8 bits as in a file; NaN if no ground truth is known there."""
    output = round_to_8_bits(model.complete(batch.image, batch.mask))
    return {"hole_psnr": psnr(output, batch.image, judged_part(batch))}


def measure_fills(batches: Sequence[Batch]) -> dict[str, float]:
    """Mean hole-PSNR in dB of the classical fills in `BASELINES`, as 8-bit output."""
    results: dict[str, float] = {}
    for method in BASELINES:
        fill = ClassicalFill(method)
        values = []
        for batch in batches:
            image, mask = batch.image.cpu(), batch.mask.cpu()
            output = round_to_8_bits(fill.complete(image, mask))
            values.append(psnr(output, image, judged_part(batch).cpu()).clamp(max=MAX_PSNR))
        results[method] = torch.cat(values).nanmean().item()
    return results


class InpaintingObjective:
    """Base class of the objectives for inpainting networks: a subclass with one network only needs `_losses`.

    Attributes
    ----------
    messages
        See `Objective`.
    """

    columns: tuple[str, ...] = COLUMNS
    score = Score(
        "hole_psnr",
        "PSNR in the holes of held-out pictures, in dB (higher is better)",
        2,
        {"telea": "Telea", "mean": "mean fill"},
    )
    usage = (
        "fill the holes of a picture (white in the mask = hole)",
        "python -m inpaint_core inpaint --model {model} --image PICTURE.jpg --mask MASK.png --out FILLED.png",
    )

    def __init__(self, config: TrainConfig, card: ModelCard, network: Network, placement: Placement) -> None:
        self._card = card
        self._placement = placement
        self._generator: Trainable[Network] = Trainable(network, config, config.optimizer, placement)
        self._fed = InpaintingModel(card, network)
        self.messages: list[str] = []

    @property
    def keeps_latest(self) -> bool:
        """See `Objective.keeps_latest`."""
        return False

    def step(self, parts: Sequence[Batch], step: int) -> dict[str, float]:
        """See `Objective.step`."""
        return step_together([self._generator], parts, self._learn, self._placement, step)

    def _learn(self, batch: Batch, share: float) -> dict[str, Tensor]:
        losses = self._losses(batch)
        self._generator.backward(losses["loss"] * share)
        return losses

    def _losses(self, batch: Batch) -> dict[str, Tensor]:
        """Loss terms by name, with `"loss"` for what is minimized."""
        raise NotImplementedError

    def _complete(self, batch: Batch) -> Tensor:
        """The network's prediction, `[B,3,S,S]` in 0..1 without clamping, with gradients.

        Where the ground truth is unknown, it equals the batch, so that no loss depends on it.
        """
        with self._generator.autocast():
            output = self._generator.forward(self._fed.prepare(batch.image, batch.mask), batch.mask)
        output = to_unit(output.float(), self._card.value_range)
        return output if batch.unknown is None else torch.where(batch.unknown > 0.5, batch.image, output)

    @staticmethod
    def _hole_and_valid(error: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """`hole_and_valid` of an elementwise error `[B,C,S,S]`, excluding unknown pixels."""
        if batch.unknown is not None:
            error = error * (1.0 - batch.unknown)
        return hole_and_valid(error, batch.mask)

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
        """See `Objective.warning`."""
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

    @classmethod
    def input_settings(
        cls, config: TrainConfig, dataset: Dataset, initial: PrepareSettings | None
    ) -> PrepareSettings | None:
        """See `Objective.input_settings`: an inpainting network reads pictures."""
        return None

    @classmethod
    def ignored_settings(cls, config: TrainConfig, card: ModelCard) -> list[str]:
        """See `Objective.ignored_settings`."""
        reads_fill = not find_architecture(card.architecture).refines(card.arguments)
        if reads_fill and config.model.fill == "gray" and card.fill != GRAY:
            return ["model.fill gray is ignored: the initial model was trained with holes in another color"]
        return []

    @classmethod
    def baselines(cls, config: TrainConfig, dataset: Dataset, batches: Sequence[Batch]) -> dict[str, float]:
        """See `Objective.baselines`: hole-PSNR in dB of classical fills."""
        return measure_fills(batches)
