"""U-Net for inpainting: reads the masked picture and the mask, returns a whole picture."""

from __future__ import annotations

import itertools
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from .architecture import Architecture, Network
from .copied_detail import CELL
from .initialization import initialize_layers
from .normalization import Norm, norm_layer
from .residual_head import REFINING_HEADS, RefiningArguments, correct_smooth_fill

Head = Literal["sigmoid", "tanh", "residual", "detailed"]


class UNetArguments(RefiningArguments):
    """Size and variant of a `UNet`."""

    width: int = Field(32, ge=1, le=256)
    """Channels at full resolution; doubled at every level up to `max_width`."""
    max_width: int = Field(256, ge=1, le=1024)
    depth: int = Field(5, ge=1, le=7)
    """Number of halvings of the resolution."""
    mask_channels: Literal[1, 3] = 1
    norm: Norm = "batch"
    head: Head = "sigmoid"


class UNet(Network):
    """Encoder and decoder with skip connections (Ronneberger et al. 2015, arXiv 1505.04597), in pre-activation order.

    Every level is two 3x3 convolutions; 2x2 max pooling on the way down, bilinear upsampling and concatenation on the
    way up, and one convolution for the picture. `UNet(width=64, depth=3, mask_channels=3, norm="none", head="tanh")` is
    the landscape inpainter's network with 2,662,659 parameters.

    Parameters
    ----------
    width, max_width
        Channels of the first level, and the maximum at any level.
    depth
        Number of halvings; height and width of the input must be multiples of `2 ** depth`.
    mask_channels
        Number of copies of the mask appended to the three colors: 1, or 3 as in the original.
    norm
        Normalization after every convolution but the last.
    head
        `"sigmoid"` keeps the output in 0..1; `"tanh"` (the original's) gives -1..1; `"residual"` corrects a smooth fill
        (see `residual_head`); `"detailed"` also copies detail into it (see `copied_detail`).
    detail_share
        See `RefiningArguments`.
    """

    def __init__(
        self, width: int, max_width: int, depth: int, mask_channels: int, norm: Norm, head: Head, detail_share: float
    ) -> None:
        super().__init__()
        self.multiple = max(2**depth, CELL) if head == "detailed" else 2**depth
        self.minimum = self.multiple
        self.mask_channels = mask_channels
        widths = [min(width * 2**level, max_width) for level in range(depth)]

        def convolution(inputs: int, outputs: int) -> nn.Sequential:
            return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1), norm_layer(norm, outputs))

        def level(inputs: int, outputs: int) -> nn.Sequential:
            return nn.Sequential(nn.ReLU(), convolution(inputs, outputs), nn.ReLU(), convolution(outputs, outputs))

        self.stem = nn.Sequential(
            convolution(3 + mask_channels, widths[0]), nn.ReLU(), convolution(widths[0], widths[0])
        )
        self.encoder = nn.ModuleList(level(a, b) for a, b in itertools.pairwise(widths))
        self.bottleneck = nn.Sequential(nn.ReLU(), convolution(widths[-1], widths[-1]))
        below = widths[-1]
        decoder = []
        for skip, outputs in zip(reversed(widths[1:]), reversed(widths[:-1]), strict=True):
            decoder.append(level(below + skip, outputs))
            below = outputs
        self.decoder = nn.ModuleList(decoder)
        self.residual = head in REFINING_HEADS
        last = {"sigmoid": nn.Sigmoid(), "tanh": nn.Tanh()}.get(head, nn.Identity())
        self.head = nn.Sequential(nn.ReLU(), nn.Conv2d(below + widths[0], 3, 3, padding=1), last)
        self.pool = nn.MaxPool2d(2)
        self.detail_share = detail_share if head == "detailed" else 0.0
        self.up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)

    def initialize(self, generator: torch.Generator) -> None:
        """Fresh He-initialized weights from `generator`; a residual head starts with a zero correction."""
        initialize_layers(self, generator)
        if self.residual:
            nn.init.zeros_(self.head[1].get_parameter("weight"))

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        """Predict every pixel.

        Parameters
        ----------
        image
            `[B,3,H,W]` in 0..1 with the hole already filled; H and W multiples of `multiple`.
        mask
            `[B,1,H,W]`, 1 = hole.

        Returns
        -------
        Tensor
            `[B,3,H,W]`; known pixels are predicted too and composited by the caller. The correction of a residual head
            may exceed 0..1; the caller clamps.
        """
        if self.residual:
            return correct_smooth_fill(self._convolve, image, mask, 0.0 if self.training else self.detail_share)
        return self._convolve(image, mask)

    def _convolve(self, image: Tensor, mask: Tensor) -> Tensor:
        features = self.stem(torch.cat([mask.expand(-1, self.mask_channels, -1, -1), image], 1))
        skips = [features]
        for level in self.encoder:
            features = level(self.pool(features))
            skips.append(features)
        features = self.bottleneck(self.pool(features))
        for level in self.decoder:
            features = level(torch.cat([self.up(features), skips.pop()], 1))
        return self.head(torch.cat([self.up(features), skips.pop()], 1))


ARCHITECTURE = Architecture(
    "unet",
    UNet,
    UNetArguments,
    "inpainting",
    small={"width": 4, "max_width": 8, "depth": 2},
    refining_heads=REFINING_HEADS,
)
