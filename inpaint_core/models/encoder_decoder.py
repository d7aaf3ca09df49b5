"""Encoder-decoder for inpainting at full resolution throughout: small, and it only sees near surroundings."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from .architecture import Architecture, Arguments, Network
from .initialisation import initialise_layers
from .normalisation import Norm, norm_layer

Head = Literal["sigmoid", "hardtanh"]


class EncoderDecoderArguments(Arguments):
    """Size and flavour of an `EncoderDecoder`."""

    width: int = Field(64, ge=1, le=256)
    mask_channels: Literal[1, 3] = 1
    norm: Norm = "batch"
    head: Head = "sigmoid"


class EncoderDecoder(Network):
    """Six 3x3 convolutions without any downsampling: widths 1, 2, 4, 2, 1 times `width`, then the picture.

    `EncoderDecoder(mask_channels=3, head="hardtanh")` is the landscape inpainter's network with 744,387 parameters.
    Its receptive field is 13 pixels, so it repairs scratches and dust, not large holes.

    Parameters
    ----------
    width
        Channels of the first layer.
    mask_channels
        How often the mask is stacked onto the three colours: 1, or 3 as in the ancestor.
    norm
        Normalisation behind every convolution but the last.
    head
        `"sigmoid"`, or `"hardtanh"` (clamped to 0..1, the ancestor's).
    """

    def __init__(self, width: int, mask_channels: int, norm: Norm, head: Head) -> None:
        super().__init__()
        self.mask_channels = mask_channels
        widths = [width, 2 * width, 4 * width, 2 * width, width]
        layers: list[nn.Module] = []
        inputs = 3 + mask_channels
        for position, outputs in enumerate(widths):
            layers += [nn.Conv2d(inputs, outputs, 3, padding=1), norm_layer(norm, outputs)]
            if position != 2:  # the ancestor's code is linear between encoder and decoder
                layers.append(nn.ReLU())
            inputs = outputs
        layers += [nn.Conv2d(inputs, 3, 3, padding=1), nn.Sigmoid() if head == "sigmoid" else nn.Hardtanh(0.0, 1.0)]
        self.layers = nn.Sequential(*layers)

    def initialise(self, generator: torch.Generator) -> None:
        """Fresh He-initialised weights from `generator`."""
        initialise_layers(self, generator)

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        """Predict every pixel: image `[B,3,H,W]` in 0..1, hole filled, and mask `[B,1,H,W]` give `[B,3,H,W]`."""
        return self.layers(torch.cat([mask.expand(-1, self.mask_channels, -1, -1), image], 1))


ARCHITECTURE = Architecture("encoder_decoder", EncoderDecoder, EncoderDecoderArguments, "inpainting")
