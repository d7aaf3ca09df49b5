"""Pull-push: a coarse-to-fine fill that is fast enough to run before a network."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ..tracing import is_tracing

SWEEPS = 2  # relaxation sweeps per scale, which remove block artifacts from the coarser one
TRACED_GRIDS = 14  # for sides of up to 8192 pixels


def pull_push(values: Tensor, mask: Tensor) -> Tensor:
    """Fill a hole smoothly from its surroundings, on any device, with a fixed number of operations.

    Known values are averaged into successively coarser grids until nothing is missing (pull), and the gaps of every
    finer grid are interpolated from the coarser one (push): Gortler et al. 1996, section 3.4.1, with two sweeps of
    relaxation per grid.

    Parameters
    ----------
    values
        `[B,C,H,W]`, sides at least 1; the contents of the hole must be finite and are ignored.
    mask
        `[B,1,H,W]`, 1 = hole.

    Returns
    -------
    Tensor
        `[B,C,H,W]`: `values` where known; 0 if nothing at all is known.
    """
    known = 1.0 - mask
    grids = [(values * known, known)]
    while _coarser_needed(grids):
        total, weight = (F.avg_pool2d(grid, 2, ceil_mode=True, count_include_pad=False) for grid in grids[-1])
        some = (weight > 0).to(values.dtype)
        grids.append((total / weight.clamp(min=1e-6) * some, some))
    result = grids[-1][0]
    for total, known in reversed(grids[:-1]):
        result = F.interpolate(result, size=total.shape[-2:], mode="bilinear", align_corners=False)
        result = torch.where(known > 0, total, result)
        for _ in range(SWEEPS):
            padded = F.pad(result, (1, 1, 1, 1), mode="replicate")
            around = padded[..., :-2, 1:-1] + padded[..., 2:, 1:-1] + padded[..., 1:-1, :-2] + padded[..., 1:-1, 2:]
            result = torch.where(known > 0, total, around / 4.0)
    return result


def _coarser_needed(grids: list[tuple[Tensor, Tensor]]) -> bool:
    if is_tracing():
        # A traced graph serves pictures of any size; further grids of a single pixel change nothing.
        return len(grids) < TRACED_GRIDS
    return max(grids[-1][1].shape[-2:]) > 1
