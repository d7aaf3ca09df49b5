"""U-Net generator for Learning to See, with noise to generate textures from, because its input contains only shapes."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from .architecture import Architecture, Arguments, Network
from .initialization import initialize_layers
from .normalization import Norm, norm_layer

TILE = 64  # side of a noise map; larger maps repeat it
SLOPE = 0.2


class TextureUnetArguments(Arguments):
    """Size and variant of a `TextureUnet`."""

    input_channels: Literal[1, 3] = 1
    width: int = Field(24, ge=2, le=64)
    """Channels at half the resolution, doubled at every further level up to 8 x width; a quarter to a half of it at
    full resolution."""
    depth: int = Field(5, ge=2, le=7)
    """Number of halvings of the resolution."""
    norm: Norm = "batch"


class TextureUnet(Network):
    """Encoder and decoder with skips, bilinear upsampling, replicated borders and noise at every level of the decoder.

    A convolution maps flat areas to flat areas. A generator that has to create texture there derives it from the only
    variation available, its own strides and borders, which produces visible grids and frames. Therefore, noise is
    provided, added to the features with a weight per channel (Karras et al. 2019, arXiv 1812.04948, section 2). It is
    part of the weights: nothing is random in evaluation mode, and the grain stays in place while shapes move. In
    training it is shifted at every step, so that no position can be memorized.

    Parameters
    ----------
    input_channels, width, depth, norm
        See `TextureUnetArguments`.
    """

    def __init__(self, input_channels: int, width: int, depth: int, norm: Norm) -> None:
        super().__init__()
        self.multiple = self.minimum = 2**depth
        channels = [width * min(2**level, 8) for level in range(depth)]
        inputs = [input_channels, *channels[:-1]]
        self.down = nn.ModuleList(
            nn.Sequential(_convolution(before, after, 4, 2, norm if level else "none"), nn.LeakyReLU(SLOPE))
            for level, (before, after) in enumerate(zip(inputs, channels, strict=True))
        )
        self.middle = nn.ModuleList(_NoisyBlock(channels[-1], channels[-1], norm) for _ in range(2))
        fine = max(4, width // 2)
        outputs = [*channels[-2::-1], fine]
        # Channels are reduced before upsampling, which is equivalent at a quarter of the cost.
        self.narrow = nn.ModuleList(
            nn.Conv2d(before, after, 1) for before, after in zip(channels[::-1], outputs, strict=True)
        )
        self.up = nn.ModuleList(_NoisyBlock(2 * number, number, norm) for number in channels[-2::-1])
        self.fine = _NoisyBlock(fine, fine, norm)
        self.head = nn.Conv2d(fine, 3, 3, padding=1, padding_mode="replicate")

    def initialize(self, generator: torch.Generator) -> None:
        """Fresh weights (He) and noise from `generator`."""
        initialize_layers(self, generator, "he", SLOPE)
        self.head.weight.mul_(0.3)  # keeps pictures within the range of tanh
        for module in self.modules():
            if isinstance(module, _NoisyBlock):
                module.get_buffer("noise").copy_(torch.randn(1, 1, TILE, TILE, generator=generator))
                module.strength.fill_(0.1)

    def forward(self, frames: Tensor) -> Tensor:
        """Translate: [B,input_channels,H,W] in -1..1, H and W multiples of `multiple`, to [B,3,H,W] in -1..1."""
        skips = []
        features = frames
        for layer in self.down:
            features = layer(features)
            skips.append(features)
        features = skips.pop()
        for layer in self.middle:
            features = features + layer(features)
        *narrow, last = self.narrow
        for thin, layer in zip(narrow, self.up, strict=True):
            features = layer(torch.cat([_doubled(thin(features)), skips.pop()], 1))
        return torch.tanh(self.head(self.fine(_doubled(last(features)))))


def _convolution(inputs: int, outputs: int, kernel: int, stride: int, norm: Norm) -> nn.Sequential:
    """A convolution with replicated borders, and its normalization."""
    convolution = nn.Conv2d(
        inputs, outputs, kernel, stride, padding=1, padding_mode="replicate", bias=norm in ("instance", "none")
    )
    return nn.Sequential(convolution, norm_layer(norm, outputs))


class _NoisyBlock(nn.Module):
    """3x3 convolution, normalization, noise, leaky ReLU."""

    noise: Tensor

    def __init__(self, inputs: int, outputs: int, norm: Norm) -> None:
        super().__init__()
        self.convolution = _convolution(inputs, outputs, 3, 1, norm)
        self.strength = nn.Parameter(torch.empty(1, outputs, 1, 1))
        self.register_buffer("noise", torch.empty(1, 1, TILE, TILE))

    def forward(self, features: Tensor) -> Tensor:
        features = self.convolution(features)
        grain = self._grain(features.shape[-2], features.shape[-1])
        return F.leaky_relu(features + self.strength * grain.to(features.dtype), SLOPE)

    def _grain(self, height: int, width: int) -> Tensor:
        """[1,1,height,width] of the noise."""
        tile = self.noise
        if self.training:
            top, left = torch.randint(TILE, (2,)).tolist()
            tile = tile.roll((top, left), (2, 3))
        return tile.repeat(1, 1, (height + TILE - 1) // TILE, (width + TILE - 1) // TILE)[..., :height, :width]


def _doubled(features: Tensor) -> Tensor:
    return F.interpolate(features, scale_factor=2.0, mode="bilinear", align_corners=False)


ARCHITECTURE = Architecture(
    "texture_unet",
    TextureUnet,
    TextureUnetArguments,
    "translation",
    value_range="signed",
    small={"width": 4, "depth": 3, "input_channels": 3},
)
