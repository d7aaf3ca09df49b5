"""Encoder-decoder for inpainting without skip connections: small, and it only sees near surroundings."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from .architecture import Architecture, Arguments, Network
from .initialization import initialize_layers
from .normalization import Norm, norm_layer

Head = Literal["sigmoid", "hardtanh", "tanh"]


class EncoderDecoderArguments(Arguments):
    """Size and flavour of an `EncoderDecoder`."""

    width: int = Field(64, ge=1, le=256)
    mask_channels: Literal[1, 3] = 1
    norm: Norm = "batch"
    head: Head = "sigmoid"
    pooling: bool = False
    """Halve the resolution behind the first and the second convolution, and double it again in the decoder."""


class EncoderDecoder(Network):
    """Six 3x3 convolutions: widths 1, 2, 4, 2, 1 times `width`, then the picture.

    `EncoderDecoder(mask_channels=3, head="hardtanh")` is the landscape inpainter's network with 744,387 parameters.
    It stays at full resolution, so that its receptive field is 13 pixels: it repairs scratches and dust, not large
    holes. Its later version, `head="tanh", pooling=True`, has 2x2 max pooling, nearest upsampling and as many
    parameters.

    Parameters
    ----------
    width
        Channels of the first layer.
    mask_channels
        How often the mask is stacked onto the three colors: 1, or 3 as in the ancestor.
    norm
        Normalization behind every convolution but the last.
    head
        `"sigmoid"`, or the ancestor's: `"hardtanh"` (clamped to 0..1), later `"tanh"` (-1..1).
    pooling
        Whether the middle works at a quarter of the resolution; height and width must then be multiples of 4.
    """

    def __init__(self, width: int, mask_channels: int, norm: Norm, head: Head, pooling: bool) -> None:
        super().__init__()
        self.multiple = self.minimum = 4 if pooling else 1
        self.mask_channels = mask_channels
        widths = [width, 2 * width, 4 * width, 2 * width, width]
        layers: list[nn.Module] = []
        inputs = 3 + mask_channels
        for position, outputs in enumerate(widths):
            layers += [nn.Conv2d(inputs, outputs, 3, padding=1), norm_layer(norm, outputs)]
            if pooling or position != 2:  # the ancestor's first version is linear between encoder and decoder
                layers.append(nn.ReLU())
            if pooling and position != 2:
                layers.append(nn.MaxPool2d(2) if position < 2 else nn.Upsample(scale_factor=2, mode="nearest"))
            inputs = outputs
        last = {"sigmoid": nn.Sigmoid(), "hardtanh": nn.Hardtanh(0.0, 1.0), "tanh": nn.Tanh()}[head]
        layers += [nn.Conv2d(inputs, 3, 3, padding=1), last]
        self.layers = nn.Sequential(*layers)

    def initialize(self, generator: torch.Generator) -> None:
        """Fresh He-initialized weights from `generator`."""
        initialize_layers(self, generator)

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        """Predict every pixel: image `[B,3,H,W]` in 0..1, hole filled, and mask `[B,1,H,W]` give `[B,3,H,W]`.

        Height and width are multiples of `multiple`.
        """
        return self.layers(torch.cat([mask.expand(-1, self.mask_channels, -1, -1), image], 1))


ARCHITECTURE = Architecture(
    "encoder_decoder", EncoderDecoder, EncoderDecoderArguments, "inpainting", small={"width": 4}
)
