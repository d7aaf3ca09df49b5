"""U-Net generator of pix2pix: a picture in, a translated picture out."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from .architecture import Architecture, Arguments, Network
from .initialization import initialize_layers
from .normalization import Norm, norm_layer
from .upsampling import Upsampling, doubling_convolution


class UnetGeneratorArguments(Arguments):
    """Size and variant of a `UnetGenerator`."""

    input_channels: Literal[1, 3] = 3
    width: int = Field(64, ge=1, le=128)
    """Channels of the first level, doubled at every level up to 8 x width: 64 is full size, 8 and 4 run in real
    time."""
    depth: int = Field(8, ge=2, le=9)
    """Number of halvings of the resolution: 8 for 256 pixels, 7 for 128."""
    norm: Norm = "batch"
    dropout: float = Field(0.0, ge=0.0, le=0.9)
    """Dropout probability in the deepest levels of the decoder, in training only; 0.5 in the paper."""
    upsampling: Upsampling = "transposed"


class UnetGenerator(Network):
    """Encoder and decoder of 4x4 convolutions with skips (Isola et al. 2017, arXiv 1611.07004, appendix 6.1.1).

    Evaluation mode is deterministic and independent of the batch.

    Parameters
    ----------
    input_channels, width, depth, norm, dropout, upsampling
        See `UnetGeneratorArguments`.
    """

    def __init__(
        self, input_channels: int, width: int, depth: int, norm: Norm, dropout: float, upsampling: Upsampling
    ) -> None:
        super().__init__()
        self.multiple = self.minimum = 2**depth
        bias = norm in ("instance", "none")
        channels = [width * min(2**level, 8) for level in range(depth)]
        down = [nn.Sequential(nn.Conv2d(input_channels, channels[0], 4, stride=2, padding=1, bias=bias))]
        up = []
        for level in range(1, depth):
            convolution = nn.Conv2d(channels[level - 1], channels[level], 4, stride=2, padding=1, bias=bias)
            innermost = level == depth - 1
            down.append(
                nn.Sequential(
                    nn.LeakyReLU(0.2), convolution, norm_layer("none" if innermost else norm, channels[level])
                )
            )
            doubling = doubling_convolution(
                channels[level] * (1 if innermost else 2), channels[level - 1], upsampling, bias
            )
            # The paper's three levels of dropout: all full-width levels except the innermost.
            dropped = nn.Dropout(dropout if 4 <= level < depth - 1 else 0.0)
            up.append(nn.Sequential(nn.ReLU(), doubling, norm_layer(norm, channels[level - 1]), dropped))
        self.down = nn.ModuleList(down)
        self.up = nn.ModuleList(reversed(up))
        self.head = nn.Sequential(nn.ReLU(), doubling_convolution(2 * channels[0], 3, upsampling, True), nn.Tanh())

    def initialize(self, generator: torch.Generator) -> None:
        """Fresh weights of standard deviation 0.02 from `generator` (arXiv 1611.07004, appendix 6.2)."""
        initialize_layers(self, generator, "normal")

    def forward(self, frames: Tensor) -> Tensor:
        """Translate: [B,input_channels,H,W] in -1..1, H and W multiples of `multiple`, to [B,3,H,W] in -1..1."""
        skips = []
        features = frames
        for layer in self.down:
            features = layer(features)
            skips.append(features)
        features = skips.pop()
        for layer in self.up:
            features = torch.cat([skips.pop(), layer(features)], 1)
        return self.head(features)


ARCHITECTURE = Architecture(
    "pix2pix_unet",
    UnetGenerator,
    UnetGeneratorArguments,
    "translation",
    value_range="signed",
    small={"width": 4, "depth": 6},
)
