"""Limits on a fill from its surroundings: their range of values, and no color where everything is gray."""

from __future__ import annotations

import torch
from torch import Tensor

from .blending import within

RING = 32  # pixels around the hole that are considered
BEYOND = 0.25  # a fill may exceed the range around the hole by this fraction, to continue a gradient


def limit_to_surroundings(fill: Tensor, image: Tensor, mask: Tensor) -> Tensor:
    """Keep a fill near the range of the known values around the hole, and gray if these are gray.

    Parameters
    ----------
    fill, image
        `[1,C,H,W]`.
    mask
        `[1,1,H,W]`, 1 = hole.

    Returns
    -------
    Tensor
        `[1,C,H,W]`: exactly the color of flat surroundings; if all channels of the surroundings are equal, so are those
        of the fill. Unchanged if nothing is known.
    """
    around = ((mask < 0.5) & (within(mask, RING) > 0.5))[0, 0]
    if not bool(around.any()):
        return fill
    known = image[0][:, around]
    low, high = known.amin(1).view(1, -1, 1, 1), known.amax(1).view(1, -1, 1, 1)
    margin = BEYOND * (high - low)
    if bool((known == known[:1]).all()):
        fill = fill.mean(1, keepdim=True).expand_as(fill)
    return torch.minimum(torch.maximum(fill, low - margin), high + margin)
