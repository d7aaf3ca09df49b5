"""Small encoder-decoder for inpainting without skip connections, with a small receptive field."""

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
    """Size and variant of an `EncoderDecoder`."""

    width: int = Field(64, ge=1, le=256)
    mask_channels: Literal[1, 3] = 1
    norm: Norm = "batch"
    head: Head = "sigmoid"
    pooling: bool = False
    """Halve the resolution after the first and the second convolution, and double it again in the decoder."""


class EncoderDecoder(Network):
    """Six 3x3 convolutions: widths 1, 2, 4, 2, 1 times `width`, then the picture.

    `EncoderDecoder(mask_channels=3, head="hardtanh")` is the landscape inpainter's network with 744,387 parameters.
    It works at full resolution, with a receptive field of 13 pixels: it repairs scratches and dust, not large holes.
    Its later version, `head="tanh", pooling=True`, has 2x2 max pooling, nearest upsampling and the same number of
    parameters.

    Parameters
    ----------
    width
        Channels of the first layer.
    mask_channels
        Number of copies of the mask appended to the three colors: 1, or 3 as in the original.
    norm
        Normalization after every convolution but the last.
    head
        `"sigmoid"`, or the original's: `"hardtanh"` (clamped to 0..1), later `"tanh"` (-1..1).
    pooling
        Whether the middle layers work at a quarter of the resolution; height and width must then be multiples of 4.
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
            if pooling or position != 2:  # the original's first version is linear between encoder and decoder
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
        """Predict every pixel: from an image `[B,3,H,W]` in 0..1 with its hole filled and a mask `[B,1,H,W]` to
        `[B,3,H,W]`.

        Height and width must be multiples of `multiple`.
        """
        return self.layers(torch.cat([mask.expand(-1, self.mask_channels, -1, -1), image], 1))


ARCHITECTURE = Architecture(
    "encoder_decoder", EncoderDecoder, EncoderDecoderArguments, "inpainting", small={"width": 4}
)
