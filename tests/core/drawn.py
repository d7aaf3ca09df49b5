"""Pictures and holes that several tests draw."""

from __future__ import annotations

import torch


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    """Uniform in 0..1."""
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def square_hole(height: int, width: int, top: int, left: int, side: int) -> torch.Tensor:
    """`[1,1,H,W]`, 1 in a square."""
    mask = torch.zeros(1, 1, height, width)
    mask[..., top : top + side, left : left + side] = 1.0
    return mask
