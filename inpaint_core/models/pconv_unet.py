"""Partial-convolution U-Net: the network of Liu et al. 2018 for irregular holes."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from .architecture import Architecture, Network
from .copied_detail import CELL
from .initialization import initialize_layers
from .normalization import Norm, norm_layer
from .partial_conv import PartialConv2d
from .residual_head import REFINING_HEADS, RefiningArguments, correct_smooth_fill

LEAKY_SLOPE = 0.2
FrozenNorm = Literal["off", "statistics", "affine"]
Head = Literal["plain", "residual", "detailed"]


class PConvUNetArguments(RefiningArguments):
    """Size and variant of a `PConvUNet`."""

    depth: int = Field(7, ge=1, le=8)
    """Number of halvings of the resolution: 8 in the paper, 7 in the common reimplementation."""
    width: int = Field(64, ge=1, le=128)
    """Channels of the first level; doubled at every level up to 8 x width."""
    norm: Norm = "batch"
    legacy_double_ratio: bool = False
    """Multiply the last layer by its window ratio twice, as the weights of one family of reimplementations expect."""
    head: Head = "plain"
    """Predict the picture, or the correction of a smooth fill (see `residual_head`; pictures are then in 0..1), which
    `"detailed"` also copies detail into (see `copied_detail`)."""


class PConvUNet(Network):
    """U-Net of partial convolutions (arXiv 1804.07723, section 3.2 and appendix table 2).

    The encoder uses stride 2 and kernels 7, 5, 5, 3, 3, ...; the decoder nearest upsampling, concatenation of features
    and of validity maps, and 3x3 kernels. ReLU in the encoder, leaky ReLU 0.2 in the decoder, neither normalization nor
    activation after the last layer. Values in the hole have no influence on the output.

    Parameters
    ----------
    depth, width, norm, legacy_double_ratio, head, detail_share
        See `PConvUNetArguments`.
    """

    def __init__(
        self, depth: int, width: int, norm: Norm, legacy_double_ratio: bool, head: Head, detail_share: float
    ) -> None:
        super().__init__()
        self.multiple = max(2**depth, CELL) if head == "detailed" else 2**depth
        self.minimum = self.multiple
        self.frozen_encoder_norm: FrozenNorm = "off"
        self.residual = head != "plain"
        channels = [3, *(width * min(2**level, 8) for level in range(depth))]
        encoder: list[PartialConvBlock] = []
        decoder: list[PartialConvBlock] = []
        for level in range(depth):
            kernel = 7 if level == 0 else 5 if level < 3 else 3
            convolution = PartialConv2d(
                channels[level], channels[level + 1], kernel, stride=2, padding=kernel // 2, bias=False
            )
            encoder.append(PartialConvBlock(convolution, norm if level else "none", nn.ReLU(inplace=True)))
        for level in reversed(range(depth)):
            last = level == 0
            pair = (channels[level + 1], channels[level])
            convolution = PartialConv2d(pair, 3 if last else channels[level], 3, padding=1, bias=last)
            activation = nn.Identity() if last else nn.LeakyReLU(LEAKY_SLOPE, inplace=True)
            decoder.append(
                PartialConvBlock(convolution, "none" if last else norm, activation, last and legacy_double_ratio)
            )
        self.encoder = nn.ModuleList(encoder)
        self.decoder = nn.ModuleList(decoder)
        self.detail_share = detail_share if head == "detailed" else 0.0

    def initialize(self, generator: torch.Generator) -> None:
        """Fresh weights from `generator`: He et al. 2015, each half with its own slope; a residual head starts with a
        zero correction."""
        initialize_layers(self.encoder, generator)
        initialize_layers(self.decoder, generator, slope=LEAKY_SLOPE)
        if self.residual:
            nn.init.zeros_(self.decoder[-1].get_parameter("convolution.weight"))

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        """Predict every pixel.

        Parameters
        ----------
        image
            [B,3,H,W] in the value range used in training; H and W multiples of `multiple`. The hole is ignored.
        mask
            [B,1,H,W], exactly 0 or 1, 1 = hole.

        Returns
        -------
        Tensor
            [B,3,H,W], unbounded; 0 where even the last layer's window has no valid pixel (only if the mask is full).
        """
        if self.residual:
            return correct_smooth_fill(self._convolve, image, mask, 0.0 if self.training else self.detail_share)
        return self._convolve(image, mask)

    def _convolve(self, image: Tensor, mask: Tensor) -> Tensor:
        valid = 1.0 - mask
        known = image * valid
        skips = []
        for block in self.encoder:
            skips.append((known, valid))
            known, valid = block(known, valid)
        for block in self.decoder:
            skip, skip_valid = skips.pop()
            valids = torch.cat([F.interpolate(valid, scale_factor=2.0), skip_valid], 1)
            known, valid = block(torch.cat([F.interpolate(known, scale_factor=2.0), skip], 1), valids)
        return known

    def freeze_encoder_norm(self, mode: FrozenNorm) -> None:
        """Choose how much of the encoder's normalization is trained; applies to all later calls of `train()`.

        Parameters
        ----------
        mode
            `"off"`: everything is trained. `"statistics"`: running statistics are used and frozen, the affine
            parameters are trained. `"affine"`: both are frozen. Fine-tuning freezes the encoder because holes disturb
            the mean and variance of its batches (section 4.2).

        Raises
        ------
        ValueError
            Another mode.
        """
        if mode not in ("off", "statistics", "affine"):
            raise ValueError(f"unknown freeze mode {mode!r}: choose off, statistics or affine")
        self.frozen_encoder_norm = mode
        for block in self.encoder:
            block.get_submodule("norm").requires_grad_(mode != "affine")
        self.train(self.training)

    def train(self, mode: bool = True) -> PConvUNet:
        """Switch between training and evaluation, except for frozen normalization of the encoder."""
        super().train(mode)
        if self.frozen_encoder_norm != "off":
            for block in self.encoder:
                block.get_submodule("norm").eval()
        return self


class PartialConvBlock(nn.Module):
    """Partial convolution, normalization, activation; input and output features are zero wherever they are not
    valid."""

    def __init__(
        self, convolution: PartialConv2d, norm: Norm, activation: nn.Module, legacy_double_ratio: bool = False
    ) -> None:
        super().__init__()
        self.convolution = convolution
        self.norm = norm_layer(norm, convolution.out_channels)
        self.activation = activation
        self.legacy_double_ratio = legacy_double_ratio

    def forward(self, known: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """Features [B,C,H,W] and validity [B,G,H,W] to features [B,C',H',W'] and validity [B,1,H',W']."""
        features, update = self.convolution.convolve_known(known, valid)
        factor = self.convolution.windows.renormalization(valid)[0] if self.legacy_double_ratio else update
        return self.activation(self.norm(features)) * factor.to(features.dtype), update


ARCHITECTURE = Architecture(
    "pconv_unet",
    PConvUNet,
    PConvUNetArguments,
    "inpainting",
    value_range="imagenet",  # as in published weights
    small={"width": 4, "depth": 3},
    refining_heads=REFINING_HEADS,
)
