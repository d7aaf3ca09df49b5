"""Losses on the composite (Liu et al. 2018, arXiv 1804.07723), in two phases, and optionally an adversarial one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from inpaint_core.checkpoints.card import ModelCard
from inpaint_core.losses.adversarial import discriminator_loss, generator_loss
from inpaint_core.losses.features import FeatureExtractor
from inpaint_core.losses.perceptual import perceptual_and_style
from inpaint_core.losses.reconstruction import l1
from inpaint_core.losses.total_variation import hole_total_variation
from inpaint_core.models.architecture import Network
from inpaint_core.models.pconv_unet import PConvUNet

from ..config import CompositeConfig, ConfigError, TrainConfig
from ..dataset.samples import Batch
from ..placement import Placement
from .feature_view import feature_view
from .features import build_features
from .hole_discriminator import build_hole_discriminator, feature_logits, patch_logits
from .inpainting import InpaintingObjective, composite, judged_part
from .joint_step import step_together
from .optimization import Trainable


def discriminates_features(objective: CompositeConfig) -> bool:
    """Whether a discriminator reads the feature maps."""
    return objective.adversarial > 0.0 and objective.adversary == "features"


class Composite(InpaintingObjective):
    """`L_total` of the paper's eq. 7: valid, hole, perceptual, style and total-variation terms.

    In the second phase the encoder's normalization is frozen and the learning rate lowered (section 4.2): holes disturb
    the statistics that batch normalization takes from the batch. With `adversarial` above 0 a patch discriminator adds
    a term; both networks are then updated together, from gradients computed before the step.
    """

    def __init__(
        self,
        objective: CompositeConfig,
        config: TrainConfig,
        card: ModelCard,
        network: Network,
        placement: Placement,
    ) -> None:
        if objective.frozen_norm_after is not None and not isinstance(network, PConvUNet):
            raise ConfigError(
                f"{card.architecture!r} has no encoder normalization to freeze; set it to null or use pconv_unet",
                "objective.frozen_norm_after",
            )
        super().__init__(config, card, network, placement)
        self._objective = objective
        self._features = build_features(objective, config, placement, needed=discriminates_features(objective))
        self._discriminator = (
            build_hole_discriminator(objective, config, placement) if objective.adversarial > 0.0 else None
        )
        features_start = objective.features_from if discriminates_features(objective) else 0
        self._adversarial_from = max(objective.adversarial_from, features_start)
        self._step = 0

    @property
    def keeps_latest(self) -> bool:
        """In adversarial training, and once the feature terms have joined, the distance to the ground truth no longer
        tells which model is better."""
        joined = self._features is not None and 0 < self._objective.features_from < self._step
        return joined or (self._discriminator is not None and self._step > self._adversarial_from)

    def step(self, parts: Sequence[Batch], step: int) -> dict[str, float]:
        """See `Objective.step`."""
        rate = self._enter_phase(step)
        discriminator = self._discriminator if step >= self._adversarial_from else None
        networks: list[Trainable[Network]] = (
            [self._generator] if discriminator is None else [discriminator, self._generator]
        )
        values = step_together(
            networks,
            parts,
            lambda part, share: self._learn_both(part, share, discriminator, step),
            self._placement,
            step,
            rate,
        )
        self._step = step + 1
        return values

    def _enter_phase(self, step: int) -> float:
        """Freeze the normalization or not, depending only on the step, so that a resumed run does the same; returns the
        factor of the learning rate."""
        after = self._objective.frozen_norm_after
        network = self._generator.network
        if after is None or not isinstance(network, PConvUNet):
            return 1.0
        wanted = self._objective.frozen_norm if step >= after else "off"
        if network.frozen_encoder_norm != wanted:
            network.freeze_encoder_norm(wanted)
            self._generator.rebuild()
            if step == after:
                self.messages.append(f"second phase from step {step}: the encoder's normalization is frozen")
        return self._objective.frozen_norm_rate if step >= after else 1.0

    def _learn_both(
        self, batch: Batch, share: float, discriminator: Trainable[Network] | None, step: int
    ) -> dict[str, Tensor]:
        """Gradients of the network and of its discriminator, if any, both as they were before this step."""
        objective = self._objective
        output = self._complete(batch)
        merged = composite(output, batch.image, batch.mask)
        judged = judged_part(batch)
        hole, valid = self._hole_and_valid(l1(output, batch.image), batch)
        variation = hole_total_variation(merged, judged, batch.unknown)
        terms = {"hole": hole, "valid": valid, "total_variation": variation}
        loss = objective.hole * hole + objective.valid * valid + objective.total_variation * variation
        real, fake, seen_mask = [batch.image], [merged], judged
        if self._features is not None and step >= objective.features_from:
            looked_at = [merged] if objective.features_of == "composite" else [merged, output]
            made, wanted, mask = self._extract(self._features, looked_at, batch, step)
            with self._generator.autocast():
                hole_only = mask if objective.perceptual_form == "cosine" else None
                perceptual, style = perceptual_and_style(made, wanted, hole_only)
            loss = loss + objective.perceptual * perceptual + objective.style * style
            terms |= {"perceptual": perceptual, "style": style}
            if objective.adversary == "features":
                real, fake, seen_mask = wanted, made[0], mask
        if discriminator is not None:
            d_loss = torch.stack(
                [
                    discriminator_loss(truth, lie, "logistic")
                    for truth, lie in zip(
                        self._logits(discriminator, discriminator.forward, real, seen_mask),
                        self._logits(discriminator, discriminator.forward, [maps.detach() for maps in fake], seen_mask),
                        strict=True,
                    )
                ]
            ).mean()
            discriminator.backward(d_loss * share)
            discriminator.network.requires_grad_(False)
            # The plain network: its gradients are not needed, so processes must not exchange any.
            found = self._logits(discriminator, discriminator.network, fake, seen_mask)
            g_loss = torch.stack([generator_loss(logits, "logistic") for logits in found]).mean()
            loss = loss + objective.adversarial * g_loss
            terms |= {"adversarial": g_loss, "discriminator": d_loss}
        self._generator.backward(loss * share)
        if discriminator is not None:
            discriminator.network.requires_grad_(True)
        return {"loss": loss.detach(), **{name: value.detach() for name, value in terms.items()}}

    def _extract(
        self, features: FeatureExtractor, looked_at: Sequence[Tensor], batch: Batch, step: int
    ) -> tuple[list[list[Tensor]], list[Tensor], Tensor]:
        """Feature maps of each of `looked_at` and of the ground truth, and the mask of the part that was used."""
        (*views, truth), mask = feature_view(
            [*looked_at, batch.image], judged_part(batch), self._objective.features_side, step
        )
        with self._generator.autocast():
            with torch.no_grad():
                wanted = features(truth)
            given = features(torch.cat(views))
        return [list(maps) for maps in zip(*(found.chunk(len(views)) for found in given), strict=True)], wanted, mask

    def _logits(
        self, discriminator: Trainable[Network], network: nn.Module, seen: Sequence[Tensor], mask: Tensor
    ) -> list[Tensor]:
        """Logits for pictures or feature maps, where they touch the hole."""
        if self._objective.adversary == "features":
            return feature_logits(discriminator, network, seen, mask)
        return [patch_logits(discriminator, network, seen[0], mask)]

    def learning_rate(self, step: int) -> float:
        """See `Objective.learning_rate`."""
        after = self._objective.frozen_norm_after
        factor = self._objective.frozen_norm_rate if after is not None and step >= after else 1.0
        return self._generator.learning_rate(step) * factor

    def state_dict(self) -> dict[str, Any]:
        """See `Objective.state_dict`."""
        discriminator = None if self._discriminator is None else self._discriminator.state_dict()
        return {"generator": self._generator.state_dict(), "discriminator": discriminator, "step": self._step}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See `Objective.load_state_dict`."""
        self._generator.load_state_dict(state["generator"])
        if self._discriminator is not None and state["discriminator"] is not None:
            self._discriminator.load_state_dict(state["discriminator"])
        self._step = state["step"]
