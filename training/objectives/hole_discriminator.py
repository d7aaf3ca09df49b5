"""Discriminators for inpainting, applied only where they touch the hole."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inpaint_core.models.architecture import Network

from ..config import CompositeConfig, TrainConfig
from ..placement import Placement
from .discriminator import build_discriminator
from .optimization import Trainable


def build_hole_discriminator(
    objective: CompositeConfig, config: TrainConfig, placement: Placement
) -> Trainable[Network]:
    """The configured discriminator, on patches of a picture and its mask or on feature maps.

    Raises
    ------
    ConfigError
        Invalid arguments, or pictures too small for it.
    """
    if objective.adversary == "features":
        return build_discriminator("feature_discriminator", objective.discriminator, objective, config, placement)
    arguments = {"norm": "none", "spectral_norm": True, **objective.discriminator, "input_channels": 4}
    return build_discriminator("patch_discriminator", arguments, objective, config, placement)


def patch_logits(discriminator: Trainable[Network], network: nn.Module, picture: Tensor, mask: Tensor) -> Tensor:
    """Logits `[N]` of the patches of `[B,3,H,W]` (0..1) whose cell touches the hole of `[B,1,H,W]`.

    Elsewhere, the composite equals the ground truth, and discriminating it would only add noise (Suvorov et al. 2022,
    arXiv 2109.07161, section 2.3.2). A batch without holes has no such patches: all logits are then returned as zeros.
    """
    with discriminator.autocast():
        logits = network(torch.cat([picture * 2.0 - 1.0, mask], 1)).float()
    return _touching(logits, mask)


def feature_logits(
    discriminator: Trainable[Network], network: nn.Module, maps: Sequence[Tensor], mask: Tensor
) -> list[Tensor]:
    """Logits `[N]` of each map where its cells touch the hole; the mask may be fractional. See `patch_logits`."""
    with discriminator.autocast():
        found = network(list(maps))
    return [_touching(logits.float(), mask) for logits in found]


def _touching(logits: Tensor, mask: Tensor) -> Tensor:
    touched = F.adaptive_max_pool2d(mask, logits.shape[-2:]) > 0.0
    return logits[touched] if bool(touched.any()) else logits.flatten() * 0.0
