"""A guide: another fill that determines the coarse structure of a patch fill."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from .field import depth
from .pyramid import Picture, halve

COARSEST = 96  # pixels: longest side of the coarsest level of a guided fill, which starts as the guide
SIGMA = 2.0  # pixels at each level: only larger structures are compared
REACH = 32  # pixels of the picture: patches deeper in the hole are not compared with the guide
WEIGHT = 1.0  # of the squared difference of blurred colors, relative to that of a pixel of the patch


def guide_levels(guide: Tensor, levels: list[Picture]) -> list[Tensor]:
    """The guide `[C,H,W]` at every level's size, with known pixels put in."""
    small = [torch.where(levels[0].known, levels[0].values, guide)]
    for larger in levels[:-1]:
        values, _ = halve(small[-1], torch.ones_like(larger.known))
        small.append(values)
    return small


def guide_features(guide: Tensor, radius: int) -> Tensor:
    """Vectors `[H*W,C]` of blurred colors, to append to those of patches, for both targets and sources."""
    side = 2 * radius + 1
    return (WEIGHT**0.5 * side) * blur(guide, SIGMA).flatten(1).T


def guide_weights(known: Tensor, scale: int) -> Tensor:
    """`[H,W]`: factors of the differences between guide features, for a level reduced by `scale`.

    Near the boundary, a guide knows what continues into the hole. Deep inside it is a blur, and patches that resemble a
    blur are blurred, too: there it only determines how the coarsest level starts.
    """
    return (1.0 - depth(known) * scale / REACH).clamp(min=0.0).sqrt()


def blur(values: Tensor, sigma: float) -> Tensor:
    """`[C,H,W]` blurred by a Gaussian of `sigma` pixels, with the border replicated."""
    reach = int(3.0 * sigma + 0.5)
    line = torch.arange(-reach, reach + 1, dtype=values.dtype, device=values.device)
    weights = torch.exp(-line.square() / (2.0 * sigma * sigma))
    weights = weights / weights.sum()
    rows = F.conv2d(F.pad(values[:, None], (0, 0, reach, reach), mode="replicate"), weights.view(1, 1, -1, 1))
    return F.conv2d(F.pad(rows, (reach, reach, 0, 0), mode="replicate"), weights.view(1, 1, 1, -1))[:, 0]
