"""Completion network with dilated convolutions: the generator of Iizuka et al. 2017."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from .architecture import Architecture, Network
from .initialization import initialize_layers
from .normalization import Norm, norm_layer
from .residual_head import REFINING_HEADS, RefiningArguments, correct_smooth_fill

Head = Literal["sigmoid", "residual", "detailed"]
RESIDUAL = range(4, 12)  # layers that work at a quarter of the resolution
SKIPS = {12: 2, 14: 0}  # layers after upsampling, and the encoder's layers of the same resolution
BRANCH_SCALE = 0.3  # of initial weights, so that the eight residual layers do not each double the size of the features


class CompletionNetworkArguments(RefiningArguments):
    """Size and variant of a `CompletionNetwork`."""

    width: int = Field(64, ge=2, le=256)
    """Channels at full resolution; 2x and 4x as many at half and quarter resolution."""
    norm: Norm = "batch"
    norm_after_activation: bool = False
    """Normalize after the ReLU, as the common reimplementations do, instead of before it."""
    shortcuts: bool = False
    """Add the encoder's features to the decoder's at full and half resolution, and a layer's input to its output at a
    quarter; not in the paper. Meant for `norm="none"`."""
    head: Head = "sigmoid"
    """Predict the picture, or the correction of a smooth fill (see `residual_head`), which `"detailed"` also copies
    detail into (see `copied_detail`)."""


class CompletionNetwork(Network):
    """17 layers: down to a quarter of the resolution, dilations 2, 4, 8 and 16 there, and up again.

    "Globally and Locally Consistent Image Completion", ACM Transactions on Graphics 36(4), 2017, table 1. Reads RGB
    with the hole filled and the mask; returns RGB in 0..1 through a sigmoid, or a correction of a smooth fill.

    Parameters
    ----------
    width, norm, norm_after_activation, shortcuts, head, detail_share
        See `CompletionNetworkArguments`.
    """

    multiple = 4
    minimum = 4

    def __init__(
        self, width: int, norm: Norm, norm_after_activation: bool, shortcuts: bool, head: Head, detail_share: float
    ) -> None:
        super().__init__()
        half, quarter = 2 * width, 4 * width
        convolutions: list[nn.Conv2d | nn.ConvTranspose2d] = [
            nn.Conv2d(4, width, 5, padding=2),
            nn.Conv2d(width, half, 3, stride=2, padding=1),
            nn.Conv2d(half, half, 3, padding=1),
            nn.Conv2d(half, quarter, 3, stride=2, padding=1),
            nn.Conv2d(quarter, quarter, 3, padding=1),
            nn.Conv2d(quarter, quarter, 3, padding=1),
            *(nn.Conv2d(quarter, quarter, 3, dilation=d, padding=d) for d in (2, 4, 8, 16)),
            nn.Conv2d(quarter, quarter, 3, padding=1),
            nn.Conv2d(quarter, quarter, 3, padding=1),
            nn.ConvTranspose2d(quarter, half, 4, stride=2, padding=1),
            nn.Conv2d(half, half, 3, padding=1),
            nn.ConvTranspose2d(half, width, 4, stride=2, padding=1),
            nn.Conv2d(width, width // 2, 3, padding=1),
        ]
        layers = []
        for convolution in convolutions:
            tail = [norm_layer(norm, convolution.out_channels), nn.ReLU()]
            layers.append(nn.Sequential(convolution, *(reversed(tail) if norm_after_activation else tail)))
        self.layers = nn.Sequential(*layers)
        self.shortcuts = shortcuts
        self.residual = head != "sigmoid"
        last = nn.Identity() if self.residual else nn.Sigmoid()
        self.head = nn.Sequential(nn.Conv2d(width // 2, 3, 3, padding=1), last)
        self.detail_share = detail_share if head == "detailed" else 0.0

    def initialize(self, generator: torch.Generator) -> None:
        """Fresh He-initialized weights from `generator`; a residual head starts with a zero correction."""
        initialize_layers(self, generator)
        if self.shortcuts:
            for index in RESIDUAL:
                self.layers[index].get_parameter("0.weight").mul_(BRANCH_SCALE)
        if self.residual:
            nn.init.zeros_(self.head[0].get_parameter("weight"))

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        """Predict every pixel: [B,3,H,W] in 0..1 (hole filled) and [B,1,H,W] (1 = hole) give [B,3,H,W] in 0..1.

        The correction of a residual head may exceed 0..1; the caller clamps.
        """
        if self.residual:
            return correct_smooth_fill(self._convolve, image, mask, 0.0 if self.training else self.detail_share)
        return self._convolve(image, mask)

    def _convolve(self, image: Tensor, mask: Tensor) -> Tensor:
        features = torch.cat([image, mask], 1)
        kept = {}
        for index, layer in enumerate(self.layers):
            result = layer(features)
            if self.shortcuts:
                if index in RESIDUAL:
                    result = result + features
                elif index in SKIPS.values():
                    kept[index] = result
                elif index in SKIPS:
                    result = result + kept.pop(SKIPS[index])
            features = result
        return self.head(features)


ARCHITECTURE = Architecture(
    "glcic",
    CompletionNetwork,
    CompletionNetworkArguments,
    "inpainting",
    small={"width": 4},
    refining_heads=REFINING_HEADS,
)
