"""`context_unet` with a second encoder, of partial convolutions, which sees known pixels only."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from .architecture import Architecture
from .context_unet import DEPTH, ContextUNet, ContextUNetArguments, Head
from .partial_conv import PartialConv2d
from .residual_head import REFINING_HEADS

LARGEST = 1e4  # feature; around isolated known pixels, the renormalization could overflow half precision


class ContextPConvUNet(ContextUNet):
    """A `ContextUNet` with a second encoder, of partial convolutions (Liu et al. 2018, arXiv 1804.07723, section 3.1).

    The first encoder sees the smooth fill, and only the mask tells it where the hole is; the second one sees known
    pixels only. Its features are added to those of the first at full, half and quarter resolution, with a factor for
    every channel. These factors start at 0 (Bachlechner et al. 2020, arXiv 2003.04887): next to a hole, partial
    convolutions divide by the valid fraction of their window, which compounds over layers and would drown out
    everything else at the beginning. With factors of 0 the network equals a `ContextUNet` with the same weights.

    Parameters
    ----------
    width, context_width, blocks, head, detail_share
        As for `ContextUNet`.
    """

    def __init__(self, width: int, context_width: int, blocks: int, head: Head, detail_share: float) -> None:
        super().__init__(width, context_width, blocks, head, detail_share)
        widths = [width * 2**level for level in range(DEPTH)]
        self.partial_encoder = nn.ModuleList([nn.ModuleList([PartialBlock(3, width, 5), PartialBlock(width, width)])])
        for below, above in pairwise(widths):
            self.partial_encoder.append(
                nn.ModuleList([PartialBlock(below, above, stride=2), PartialBlock(above, above)])
            )
        self.factors = nn.ParameterList(nn.Parameter(torch.empty(channels, 1, 1)) for channels in widths)

    def initialize(self, generator: torch.Generator) -> None:
        """Fresh He-initialized weights from `generator`; residual branches, the factors of the second encoder and the
        correction start at zero."""
        super().initialize(generator)
        for factor in self.factors:
            nn.init.zeros_(factor)

    def _encode(self, image: Tensor, mask: Tensor) -> list[Tensor]:
        features = self.stem(torch.cat([mask, image], 1))
        found = []
        for level, (addition, factor) in enumerate(zip(self._encode_known(image, mask), self.factors, strict=True)):
            if level:
                features = self.encoder[level - 1](self.pool(features))
            features = features + factor * addition
            found.append(features)
        return found

    def _encode_known(self, image: Tensor, mask: Tensor) -> list[Tensor]:
        """The second encoder's features at full, half and quarter resolution, which depend on known pixels only."""
        valid = 1.0 - mask
        features = image * valid
        found = []
        for level in self.partial_encoder:
            for block in level.children():
                features, valid = block(features, valid)
            found.append(features)
        return found


class PartialBlock(nn.Module):
    """Partial convolution and ReLU, limited to `LARGEST`; features are zero wherever they are not valid."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> None:
        super().__init__()
        self.convolution = PartialConv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2)

    def forward(self, known: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """Features `[B,C,H,W]` and validity `[B,1,H,W]` to features `[B,C',H',W']` and validity `[B,1,H',W']`."""
        features, update = self.convolution.convolve_known(known, valid)
        return features.clamp(0.0, LARGEST), update


ARCHITECTURE = Architecture(
    "context_pconv_unet",
    ContextPConvUNet,
    ContextUNetArguments,
    "inpainting",
    small={"width": 4, "context_width": 8, "blocks": 2},
    refining_heads=REFINING_HEADS,
)
