"""pix2pix: a generator learns to produce the picture from its input, a discriminator to separate real from fake."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from inpaint_core.checkpoints.card import ModelCard
from inpaint_core.checkpoints.inpainting_model import to_range, to_unit
from inpaint_core.checkpoints.prepare_settings import PrepareSettings
from inpaint_core.checkpoints.translation_model import TranslationModel
from inpaint_core.losses.features import FeatureExtractor
from inpaint_core.losses.perceptual import perceptual_and_style
from inpaint_core.metrics import psnr
from inpaint_core.models.architecture import Network
from inpaint_core.translation import measure_clip, prepare
from inpaint_core.translation.sensitivity import Sensitivity, measure_sensitivity

from ..config import Pix2PixConfig, TrainConfig
from ..dataset.samples import Batch, Samples
from ..dataset.scan import Dataset
from ..placement import Placement
from ..randomness import torch_generator
from .discriminator import build_discriminator, contend
from .features import build_features
from .joint_step import step_together
from .objective import Score
from .optimization import Trainable

MEASURED_PICTURES = 256


class Pix2Pix:
    """`adversarial * L_GAN + l1 * L1`, against a patch discriminator (Isola et al. 2017, arXiv 1611.07004, eq. 4), and
    perceptual and style terms if configured.

    Both networks are updated at once, from gradients taken before the step.
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

    def __init__(
        self,
        objective: Pix2PixConfig,
        config: TrainConfig,
        card: ModelCard,
        network: Network,
        placement: Placement,
    ) -> None:
        self._objective = objective
        self._config = config
        self._card = card
        self._placement = placement
        needed = objective.feature_adversarial > 0.0
        self._features = build_features(objective, config, placement, needed)
        self._feature_discriminator = (
            _feature_discriminator(objective, config, placement, self._features)
            if objective.feature_adversarial > 0.0 and self._features is not None
            else None
        )
        self.remarks: list[str] = []
        self._generator = Trainable(network, config, config.optimizer, placement)
        self._discriminator = (
            _build_discriminator(objective, config, placement) if objective.adversarial > 0.0 else None
        )
        # A blur minimizes L1 alone; no distance to the truth can measure what a discriminator adds.
        self.keeps_latest = self._discriminator is not None or self._feature_discriminator is not None

    def step(self, parts: Sequence[Batch], step: int) -> dict[str, float]:
        """See `Objective.step`."""
        networks = [self._discriminator, self._feature_discriminator, self._generator]
        draws = torch_generator(self._config.seed, "prepare", step, self._placement.rank)
        return step_together(
            [network for network in networks if network is not None],
            parts,
            lambda part, share: self._learn(part, share, draws),
            self._placement,
            step,
        )

    def _learn(self, batch: Batch, share: float, draws: torch.Generator) -> dict[str, Tensor]:
        """Gradients of all networks, as they were before this step."""
        objective, card = self._objective, self._card
        given = to_range(self._inputs(batch, draws), card.value_range)
        truth = to_range(batch.image, card.value_range)
        with self._generator.autocast():
            made = self._generator.forward(given)
        l1 = (_reduced(made.float(), objective.l1_reduction) - _reduced(truth, objective.l1_reduction)).abs().mean()
        loss, terms = objective.l1 * l1, {"l1": l1}
        with ExitStack() as frozen:
            if self._features is not None:
                factor = objective.features_reduction
                picture = _reduced(to_unit(made.float(), card.value_range), factor)
                with self._generator.autocast():
                    with torch.no_grad():
                        wanted = self._features(_reduced(batch.image, factor))
                    found = self._features(picture)
                    perceptual, style = perceptual_and_style([found], wanted, torch.ones_like(picture[:, :1]))
                loss = loss + objective.perceptual * perceptual + objective.style * style
                terms |= {"perceptual": perceptual, "style": style}
                if self._feature_discriminator is not None:
                    stage = objective.feature_stage - 1
                    d_loss, g_loss = contend(
                        self._feature_discriminator,
                        (wanted[stage], found[stage]),
                        objective.adversarial_loss,
                        share,
                        frozen,
                    )
                    loss = loss + objective.feature_adversarial * g_loss
                    terms |= {"feature_adversarial": g_loss, "feature_discriminator": d_loss}
            if self._discriminator is not None:
                d_loss, g_loss = contend(
                    self._discriminator,
                    (torch.cat([given, truth], 1), torch.cat([given, made], 1)),
                    objective.adversarial_loss,
                    share,
                    frozen,
                )
                loss = loss + objective.adversarial * g_loss
                terms |= {"adversarial": g_loss, "discriminator": d_loss}
            self._generator.backward(loss * share)
        return {"loss": loss.detach(), **{name: value.detach() for name, value in terms.items()}}

    def _inputs(self, batch: Batch, draws: torch.Generator | None = None) -> Tensor:
        """The network's input, in 0..1: made from the truth, or its partner."""
        if batch.given is not None:
            return batch.given
        if self._card.prepare is None:
            raise RuntimeError("a batch without inputs needs settings to prepare them")
        return prepare(batch.image, self._card.prepare, generator=draws)

    def learning_rate(self, step: int) -> float:
        """See `Objective.learning_rate`."""
        return self._generator.learning_rate(step)

    def _model(self) -> TranslationModel:
        return TranslationModel(self._card, self._generator.result)

    def preview(self, batch: Batch) -> Tensor:
        """See `Objective.preview`."""
        given = self._inputs(batch)
        return torch.stack([given.expand(-1, 3, -1, -1), self._model().predict(given), batch.image], 1)

    def evaluate(self, batch: Batch) -> dict[str, Tensor]:
        """See `Objective.evaluate`."""
        model = self._model()
        given = self._inputs(batch)
        output = model.predict(given)
        measured = {"psnr": psnr(output, batch.image), "l1": (output - batch.image).abs().mean((1, 2, 3))}
        # A single picture is replaced with itself upside down.
        sensitivity = measure_sensitivity(model.predict, given if len(given) > 1 else torch.cat([given, given.flip(2)]))
        return measured | {name: given.new_full((len(given),), value) for name, value in sensitivity.metrics().items()}

    def warning(self, metrics: Mapping[str, float]) -> str | None:
        """See `Objective.warning`: mode collapse."""
        sensitivity = Sensitivity.from_metrics(metrics)
        return sensitivity.advice() if sensitivity is not None and sensitivity.collapsed else None

    def export(self, steps: int, metrics: Mapping[str, float]) -> TranslationModel:
        """See `Objective.export`."""
        card = self._card.model_copy(update={"steps": steps, "metrics": dict(metrics)})
        return TranslationModel(card, self._generator.result)

    @classmethod
    def input_settings(
        cls, config: TrainConfig, dataset: Dataset, initial: PrepareSettings | None
    ) -> PrepareSettings | None:
        """See `Objective.input_settings`: with the statistics of the inputs made from the training pictures.

        An initial model determines everything but the random variation of the inputs.
        """
        assert isinstance(config.objective, Pix2PixConfig)
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
        assert isinstance(config.objective, Pix2PixConfig)
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

    def state_dict(self) -> dict[str, Any]:
        """See `Objective.state_dict`."""
        state = {"generator": self._generator.state_dict(), "discriminator": None}
        if self._discriminator is not None:
            state["discriminator"] = self._discriminator.state_dict()
        if self._feature_discriminator is not None:
            state["feature_discriminator"] = self._feature_discriminator.state_dict()
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See `Objective.load_state_dict`."""
        self._generator.load_state_dict(state["generator"])
        if self._discriminator is not None and state["discriminator"] is not None:
            self._discriminator.load_state_dict(state["discriminator"])
        if self._feature_discriminator is not None and state.get("feature_discriminator") is not None:
            self._feature_discriminator.load_state_dict(state["feature_discriminator"])


def training_pictures(config: TrainConfig, dataset: Dataset) -> Tensor:
    """`[N,3,S,S]`: a fixed selection of training pictures, without augmentation."""
    count = min(len(dataset.train), MEASURED_PICTURES)
    cpu = torch.device("cpu")
    return Samples(dataset.train, config.data, None, seed=0, device=cpu, augment=False).batch(0, count).image


def _reduced(picture: Tensor, factor: int) -> Tensor:
    return picture if factor == 1 else F.avg_pool2d(picture, min(factor, *picture.shape[-2:]))


def _build_discriminator(objective: Pix2PixConfig, config: TrainConfig, placement: Placement) -> Trainable[Network]:
    inputs = 3 if objective.prepare is None else 1
    arguments = {**objective.discriminator, "input_channels": inputs + 3}
    return build_discriminator("patch_discriminator", arguments, objective, config, placement)


def _feature_discriminator(
    objective: Pix2PixConfig, config: TrainConfig, placement: Placement, features: FeatureExtractor
) -> Trainable[Network]:
    side = max(1, config.data.size // objective.features_reduction)
    with torch.no_grad():
        maps = features(torch.zeros(1, 3, side, side, device=placement.device))[objective.feature_stage - 1]
    arguments = {**objective.feature_discriminator, "input_channels": maps.shape[1]}
    return build_discriminator(
        "patch_discriminator", arguments, objective, config, placement, "feature_discriminator", maps.shape[-1]
    )
