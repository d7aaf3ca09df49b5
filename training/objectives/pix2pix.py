"""pix2pix: a generator learns to produce the picture from its input, and a discriminator to separate real from fake."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from inpaint_core.checkpoints.card import ModelCard
from inpaint_core.checkpoints.inpainting_model import to_range, to_unit
from inpaint_core.losses.features import FeatureExtractor
from inpaint_core.losses.perceptual import perceptual_and_style
from inpaint_core.models.architecture import Network

from ..config import Pix2PixConfig, TrainConfig
from ..dataset.samples import Batch
from ..placement import Placement
from ..randomness import torch_generator
from .discriminator import build_discriminator, contend
from .features import build_features
from .joint_step import step_together
from .optimization import Trainable
from .translation import TranslationObjective


class Pix2Pix(TranslationObjective):
    """`adversarial * L_GAN + l1 * L1`, against a patch discriminator (Isola et al. 2017, arXiv 1611.07004, eq. 4), and
    perceptual and style terms if configured.

    Both networks are updated together, from gradients computed before the step.
    """

    def __init__(
        self,
        objective: Pix2PixConfig,
        config: TrainConfig,
        card: ModelCard,
        network: Network,
        placement: Placement,
    ) -> None:
        super().__init__(card)
        self._objective = objective
        self._config = config
        self._placement = placement
        needed = objective.feature_adversarial > 0.0
        self._features = build_features(objective, config, placement, needed)
        self._feature_discriminator = (
            _feature_discriminator(objective, config, placement, self._features)
            if objective.feature_adversarial > 0.0 and self._features is not None
            else None
        )
        self._generator = Trainable(network, config, config.optimizer, placement)
        self._discriminator = (
            _build_discriminator(objective, config, placement) if objective.adversarial > 0.0 else None
        )
        # Blurred pictures minimize L1; no distance to the ground truth measures what a discriminator adds.
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
        if batch.unknown is not None:
            made = torch.where(batch.unknown > 0.5, truth.to(made.dtype), made)
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

    def learning_rate(self, step: int) -> float:
        """See `Objective.learning_rate`."""
        return self._generator.learning_rate(step)

    @property
    def _result(self) -> Network:
        return self._generator.result

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
