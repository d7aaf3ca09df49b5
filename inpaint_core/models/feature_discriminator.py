"""Discriminator on the feature maps of a frozen network, as in projected GANs."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from pydantic import Field
from torch import Tensor, nn

from .architecture import Architecture, Arguments, Network
from .initialization import initialize_layers
from .normalization import constrain_spectrum

CHANNELS = (64, 128, 256)  # channels of the stages of `inpaint_core.losses.features`
MIN_MAP_SIDE = 4  # the coarsest stage has a quarter of the picture's resolution, or an eighth after its pooling


class FeatureDiscriminatorArguments(Arguments):
    """Size of a `FeatureDiscriminator`."""

    width: int = Field(48, ge=1, le=256)
    """Channels of each of the three heads."""
    spectral_norm: bool = True
    """Constrain every layer's Lipschitz constant (Miyato et al. 2018, arXiv 1802.05957)."""


class FeatureDiscriminator(Network):
    """Three 3x3 convolutions on each of three feature maps, the first of stride 2.

    A discriminator that sees pictures through a frozen network learns from far fewer of them (Sauer et al. 2021,
    "Projected GANs Converge Faster", arXiv 2111.01007, section 3; without its random mixing of channels and scales).

    Parameters
    ----------
    width, spectral_norm
        See `FeatureDiscriminatorArguments`.
    """

    minimum = 8 * MIN_MAP_SIDE

    def __init__(self, width: int, spectral_norm: bool) -> None:
        super().__init__()

        def head(inputs: int) -> nn.Sequential:
            layers = (
                nn.Conv2d(inputs, width, 3, stride=2, padding=1),
                nn.Conv2d(width, width, 3, padding=1),
                nn.Conv2d(width, 1, 3, padding=1),
            )
            first, second, last = (constrain_spectrum(layer, spectral_norm) for layer in layers)
            return nn.Sequential(first, nn.LeakyReLU(0.2), second, nn.LeakyReLU(0.2), last)

        self.heads = nn.ModuleList(head(channels) for channels in CHANNELS)

    def initialize(self, generator: torch.Generator) -> None:
        """Fresh He-initialized weights from `generator`."""
        initialize_layers(self, generator, slope=0.2)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Score feature maps `[B,C,h,w]`, finest first: one map of logits `[B,1,h/2,w/2]` each, positive for real."""
        return [head(features) for head, features in zip(self.heads, maps, strict=True)]


ARCHITECTURE = Architecture(
    "feature_discriminator", FeatureDiscriminator, FeatureDiscriminatorArguments, "discriminator", small={"width": 4}
)
