"""Discriminator on overlapping patches: the PatchGAN of pix2pix."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn

from .architecture import Architecture, Arguments, Network
from .initialization import initialize_layers
from .normalization import Norm, constrain_spectrum, norm_layer


class PatchDiscriminatorArguments(Arguments):
    """Size and variant of a `PatchDiscriminator`."""

    input_channels: int = Field(6, ge=1, le=512)
    """Channels of the condition and the picture together: 6 for color to color, 4 for gray to color; or of the feature
    maps it scores."""
    width: int = Field(64, ge=1, le=256)
    layers: int = Field(3, ge=1, le=6)
    """Convolutions with stride 2; with 3 every output sees a patch of 70x70 pixels."""
    norm: Norm = "batch"
    spectral_norm: bool = False
    """Constrain every layer's Lipschitz constant (Miyato et al. 2018, arXiv 1802.05957)."""


class PatchDiscriminator(Network):
    """4x4 convolutions with leaky ReLU 0.2 (Isola et al. 2017, arXiv 1611.07004, section 3.2.2 and appendix 6.1.2).

    Parameters
    ----------
    input_channels, width, layers, norm, spectral_norm
        See `PatchDiscriminatorArguments`.
    """

    def __init__(self, input_channels: int, width: int, layers: int, norm: Norm, spectral_norm: bool) -> None:
        super().__init__()
        self.minimum = 3 * 2**layers
        bias = norm != "batch"
        parts: list[nn.Module] = []
        inputs = input_channels
        for index in range(layers + 1):
            outputs = width * min(2**index, 8)
            first, last = index == 0, index == layers
            convolution = nn.Conv2d(inputs, outputs, 4, stride=1 if last else 2, padding=1, bias=first or bias)
            parts.append(constrain_spectrum(convolution, spectral_norm))
            if not first:
                parts.append(norm_layer(norm, outputs))
            parts.append(nn.LeakyReLU(0.2))
            inputs = outputs
        parts.append(constrain_spectrum(nn.Conv2d(inputs, 1, 4, padding=1), spectral_norm))
        self.layers = nn.Sequential(*parts)

    def initialize(self, generator: torch.Generator) -> None:
        """Fresh weights of standard deviation 0.02 from `generator` (arXiv 1611.07004, appendix 6.2)."""
        initialize_layers(self, generator, "normal")

    def forward(self, pictures: Tensor) -> Tensor:
        """Score the concatenated condition and picture, or feature maps: [B,input_channels,H,W] to logits [B,1,h,w],
        positive for real."""
        return self.layers(pictures)


ARCHITECTURE = Architecture(
    "patch_discriminator", PatchDiscriminator, PatchDiscriminatorArguments, "discriminator", small={"width": 4}
)
