"""U-Net with a context module: dilated residual blocks whose receptive field spans the hole."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from .architecture import Architecture, Network
from .initialization import initialize_layers
from .residual_head import REFINING_HEADS, RefiningArguments, correct_smooth_fill

Head = Literal["residual", "detailed"]
DEPTH = 3  # halvings; the context module works at an eighth of the resolution
DILATIONS = (1, 2, 4, 8)  # repeated over the blocks


class ContextUNetArguments(RefiningArguments):
    """Size and variant of a `ContextUNet`."""

    width: int = Field(32, ge=4, le=128)
    """Channels at full resolution; two and four times as many at half and quarter resolution."""
    context_width: int = Field(160, ge=8, le=512)
    """Channels of the context module."""
    blocks: int = Field(6, ge=1, le=32)
    """Residual blocks of the context module."""
    head: Head = "residual"


class ContextUNet(Network):
    """Three halvings, residual blocks with a large receptive field, and back up with skip connections.

    The middle of a hole depends on both sides of its boundary only if the receptive field includes both. The context
    module's convolutions, at an eighth of the resolution, have dilations of 1, 2, 4 and 8 in turn (Yu & Koltun 2016,
    arXiv 1511.07122, section 3; Iizuka et al. 2017 for inpainting): six blocks cover 392 pixels. There is no
    normalization layer, and every residual branch starts at zero.

    Parameters
    ----------
    width, context_width, blocks
        See `ContextUNetArguments`.
    head
        `"residual"` corrects a smooth fill (see `residual_head`); `"detailed"` also copies detail into it (see
        `copied_detail`).
    detail_share
        See `RefiningArguments`.
    """

    multiple = 2**DEPTH
    minimum = 2**DEPTH

    def __init__(self, width: int, context_width: int, blocks: int, head: Head, detail_share: float) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(DEPTH)]
        self.stem = nn.Sequential(_convolution(4, widths[0]), nn.ReLU(), _convolution(widths[0], widths[0]))
        self.encoder = nn.ModuleList(_level(below, above) for below, above in pairwise(widths))
        self.entry = nn.Sequential(nn.ReLU(), _convolution(widths[-1], context_width))
        self.context = nn.Sequential(
            *(DilatedBlock(context_width, DILATIONS[number % len(DILATIONS)]) for number in range(blocks))
        )
        self.exit = nn.Sequential(nn.ReLU(), _convolution(context_width, widths[-1]))
        self.decoder = nn.ModuleList(_level(2 * above, below) for below, above in reversed([*pairwise(widths)]))
        self.head = nn.Sequential(nn.ReLU(), nn.Conv2d(2 * widths[0], 3, 3, padding=1))
        self.pool = nn.MaxPool2d(2)
        self.up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
        self.detail_share = detail_share if head == "detailed" else 0.0

    def initialize(self, generator: torch.Generator) -> None:
        """Fresh He-initialized weights from `generator`; residual branches and the correction start at zero."""
        initialize_layers(self, generator)
        nn.init.zeros_(self.head[1].get_parameter("weight"))
        for block in self.context:
            nn.init.zeros_(block.get_parameter("second.weight"))

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        """Predict every pixel.

        Parameters
        ----------
        image
            `[B,3,H,W]` in 0..1, H and W multiples of `multiple`; the contents of the hole are ignored.
        mask
            `[B,1,H,W]`, 1 = hole.

        Returns
        -------
        Tensor
            `[B,3,H,W]`; known pixels are predicted too and composited by the caller. The correction may exceed 0..1;
            the caller clamps.
        """
        return correct_smooth_fill(self._correction, image, mask, 0.0 if self.training else self.detail_share)

    def _correction(self, image: Tensor, mask: Tensor) -> Tensor:
        skips = self._encode(image, mask)
        features = self.exit(self.context(self.entry(self.pool(skips[-1]))))
        for level in self.decoder:
            features = level(torch.cat([self.up(features), skips.pop()], 1))
        return self.head(torch.cat([self.up(features), skips.pop()], 1))

    def _encode(self, image: Tensor, mask: Tensor) -> list[Tensor]:
        """Features at full, half and quarter resolution."""
        features = [self.stem(torch.cat([mask, image], 1))]
        for level in self.encoder:
            features.append(level(self.pool(features[-1])))
        return features


class DilatedBlock(nn.Module):
    """Two 3x3 convolutions, the first of them dilated, added to the input `[B,C,H,W]`."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=dilation, dilation=dilation)
        self.second = _convolution(channels, channels)

    def forward(self, features: Tensor) -> Tensor:
        """[B,C,H,W] to [B,C,H,W]."""
        return features + self.second(self.first(features.relu()).relu())


def _convolution(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1)


def _level(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.ReLU(), _convolution(inputs, outputs), nn.ReLU(), _convolution(outputs, outputs))


ARCHITECTURE = Architecture(
    "context_unet",
    ContextUNet,
    ContextUNetArguments,
    "inpainting",
    small={"width": 4, "context_width": 8, "blocks": 2},
    refining_heads=REFINING_HEADS,
)
