"""A guide: another fill that decides in the large what patches are put where."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from .pyramid import Picture, halve

COARSEST = 96  # pixels: the guide is followed from the size at which no side is longer, where its blur is not seen
SIGMA = 2.0  # pixels of each level: only what is larger is compared
WEIGHT = 0.4  # of the squared difference of blurred colors beside that of a pixel of the patch


def guide_levels(guide: Tensor, levels: list[Picture]) -> list[Tensor]:
    """The guide `[C,H,W]` at every level's size, with what is known there in its place."""
    small = [torch.where(levels[0].known, levels[0].values, guide)]
    for larger in levels[:-1]:
        values, _ = halve(small[-1], torch.ones_like(larger.known))
        small.append(values)
    return small


def guide_features(guide: Tensor, radius: int) -> Tensor:
    """Vectors `[H*W,C]` to be appended to those of the patches: colors blurred, for both what is filled and copied."""
    side = 2 * radius + 1
    return (WEIGHT**0.5 * side) * blur(guide, SIGMA).flatten(1).T


def blur(values: Tensor, sigma: float) -> Tensor:
    """`[C,H,W]` blurred by a Gaussian of `sigma` pixels; the border's values go on beyond it."""
    reach = int(3.0 * sigma + 0.5)
    line = torch.arange(-reach, reach + 1, dtype=values.dtype, device=values.device)
    weights = torch.exp(-line.square() / (2.0 * sigma * sigma))
    weights = weights / weights.sum()
    rows = F.conv2d(F.pad(values[:, None], (0, 0, reach, reach), mode="replicate"), weights.view(1, 1, -1, 1))
    return F.conv2d(F.pad(rows, (reach, reach, 0, 0), mode="replicate"), weights.view(1, 1, 1, -1))[:, 0]
