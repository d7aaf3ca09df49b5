"""Layers that double the resolution with learned weights."""

from __future__ import annotations

from typing import Literal

from torch import nn

Upsampling = Literal["transposed", "nearest"]


def doubling_convolution(inputs: int, outputs: int, upsampling: Upsampling, bias: bool) -> nn.Module:
    """A layer from [B,inputs,H,W] to [B,outputs,2H,2W].

    `"transposed"` is the 4x4 transposed convolution of pix2pix. `"nearest"` repeats every pixel and convolves 3x3,
    which cannot produce checkerboards (Odena et al. 2016, doi 10.23915/distill.00003).
    """
    if upsampling == "transposed":
        return nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1, bias=bias)
    return nn.Sequential(nn.Upsample(scale_factor=2.0), nn.Conv2d(inputs, outputs, 3, padding=1, bias=bias))
