"""Residual generator of CycleGAN, also used for pix2pix training; its output stays close to the shapes of its input."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from .architecture import Architecture, Arguments, Network
from .initialization import initialize_layers
from .normalization import Norm, norm_layer
from .upsampling import Upsampling, doubling_convolution


class ResnetGeneratorArguments(Arguments):
    """Size and variant of a `ResnetGenerator`."""

    input_channels: Literal[1, 3] = 3
    width: int = Field(64, ge=1, le=128)
    """Channels at full resolution; the residual blocks have 4 x width."""
    blocks: int = Field(9, ge=1, le=16)
    """Residual blocks: 9 for 256 pixels, 6 for 128."""
    norm: Norm = "instance"
    dropout: float = Field(0.0, ge=0.0, le=0.9)
    """Dropout probability inside the residual blocks, in training only."""
    upsampling: Upsampling = "transposed"


class ResnetGenerator(Network):
    """7x7 convolution, two halvings, residual blocks, two doublings, 7x7 convolution (Zhu et al. 2017, arXiv
    1703.10593, appendix 7.2; after Johnson et al. 2016, arXiv 1603.08155).

    Evaluation mode is deterministic and independent of the batch. All padding is by reflection.

    Parameters
    ----------
    input_channels, width, blocks, norm, dropout, upsampling
        See `ResnetGeneratorArguments`.
    """

    multiple = 4
    # Mirroring one pixel at a quarter of the resolution needs two.
    minimum = 8

    def __init__(
        self, input_channels: int, width: int, blocks: int, norm: Norm, dropout: float, upsampling: Upsampling
    ) -> None:
        super().__init__()
        bias = norm in ("instance", "none")
        self.stem = nn.Sequential(
            nn.ReflectionPad2d(3), nn.Conv2d(input_channels, width, 7, bias=bias), norm_layer(norm, width), nn.ReLU()
        )
        self.down = nn.Sequential(
            *(
                nn.Sequential(
                    nn.Conv2d(inputs, 2 * inputs, 3, stride=2, padding=1, bias=bias),
                    norm_layer(norm, 2 * inputs),
                    nn.ReLU(),
                )
                for inputs in (width, 2 * width)
            )
        )
        self.blocks = nn.Sequential(*(_ResidualBlock(4 * width, norm, dropout, bias) for _ in range(blocks)))
        self.up = nn.Sequential(
            *(
                nn.Sequential(
                    _doubling(inputs, inputs // 2, upsampling, bias), norm_layer(norm, inputs // 2), nn.ReLU()
                )
                for inputs in (4 * width, 2 * width)
            )
        )
        self.head = nn.Sequential(nn.ReflectionPad2d(3), nn.Conv2d(width, 3, 7), nn.Tanh())

    def initialize(self, generator: torch.Generator) -> None:
        """Fresh weights of standard deviation 0.02 from `generator` (arXiv 1703.10593, appendix 7.1)."""
        initialize_layers(self, generator, "normal")

    def forward(self, frames: Tensor) -> Tensor:
        """Translate: [B,input_channels,H,W] in -1..1, H and W multiples of `multiple`, to [B,3,H,W] in -1..1."""
        return self.head(self.up(self.blocks(self.down(self.stem(frames)))))


class _ResidualBlock(nn.Module):
    def __init__(self, channels: int, norm: Norm, dropout: float, bias: bool) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3, bias=bias),
            norm_layer(norm, channels),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3, bias=bias),
            norm_layer(norm, channels),
        )

    def forward(self, features: Tensor) -> Tensor:
        return features + self.layers(features)


def _doubling(inputs: int, outputs: int, upsampling: Upsampling, bias: bool) -> nn.Module:
    # CycleGAN's transposed convolutions are 3x3, pix2pix's are 4x4.
    if upsampling == "transposed":
        return nn.ConvTranspose2d(inputs, outputs, 3, stride=2, padding=1, output_padding=1, bias=bias)
    return doubling_convolution(inputs, outputs, upsampling, bias)


ARCHITECTURE = Architecture(
    "pix2pix_resnet",
    ResnetGenerator,
    ResnetGeneratorArguments,
    "translation",
    value_range="signed",
    small={"width": 4, "blocks": 2},
)
