"""A membrane over a hole, computed on the device it is needed on: what a network starts from."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def continue_into_hole(values: Tensor, mask: Tensor, sweeps: int) -> Tensor:
    """Continue known values smoothly into the hole, coarse to fine.

    Approximates Laplace's equation in the hole with the known pixels as boundary: a membrane, as in Poisson image
    editing (Perez et al. 2003, eq. 2). No flow crosses the frame. For the exact solution, on a CPU, see `poisson.py`.

    Parameters
    ----------
    values
        `[B,C,H,W]`; what lies in the hole is ignored.
    mask
        `[B,1,H,W]`, 1 = hole.
    sweeps
        Relaxation sweeps per scale.

    Returns
    -------
    Tensor
        `[B,C,H,W]`: `values` where known, the membrane in the hole, 0 where nothing at all is known.
    """
    known = 1.0 - mask
    levels = [(values * known, known)]
    while levels[-1][1].amin() == 0 and max(levels[-1][1].shape[-2:]) > 1:
        total, weight = levels[-1]
        total, weight = (F.avg_pool2d(item, 2, ceil_mode=True, count_include_pad=False) for item in (total, weight))
        some = (weight > 0).to(values.dtype)
        levels.append((total / weight.clamp(min=1e-12) * some, some))
    result = levels[-1][0]
    for total, known in reversed(levels[:-1]):
        result = F.interpolate(result, size=total.shape[-2:], mode="bilinear", align_corners=False)
        result = torch.where(known > 0, total, result)
        for _ in range(sweeps):
            padded = F.pad(result, (1, 1, 1, 1), mode="replicate")
            around = padded[..., :-2, 1:-1] + padded[..., 2:, 1:-1] + padded[..., 1:-1, :-2] + padded[..., 1:-1, 2:]
            result = torch.where(known > 0, total, around / 4.0)
    return result
