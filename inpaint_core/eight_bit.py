"""Rounding to the 256 levels of an 8-bit picture, as files store it."""

from __future__ import annotations

import torch
from torch import Tensor


def to_uint8(image: Tensor) -> Tensor:
    """Values in 0..1 of any shape as uint8; other values are clamped."""
    return (image.clamp(0.0, 1.0) * 255.0).round().to(torch.uint8)


def from_uint8(levels: Tensor) -> Tensor:
    """uint8 as float32 in 0..1."""
    return levels.float() / 255.0


def round_to_8_bits(image: Tensor) -> Tensor:
    """Values in 0..1 as they would be read back from an 8-bit file: clamped, one of 256 levels. Keeps type and
    shape."""
    return (image.clamp(0.0, 1.0) * 255.0).round() / 255.0
