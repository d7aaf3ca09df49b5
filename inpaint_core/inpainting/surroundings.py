"""What a fill may not have that nothing around it has: other extremes, and color where all is gray."""

from __future__ import annotations

import torch
from torch import Tensor

from .blending import within

RING = 32  # pixels around the hole that count
BEYOND = 0.25  # of the range around the hole: so far a fill may leave it, for a slope goes on


def keep_to_surroundings(fill: Tensor, image: Tensor, mask: Tensor) -> Tensor:
    """Keep a fill near the range of the known values around the hole, and gray where these are.

    Parameters
    ----------
    fill, image
        `[1,C,H,W]`.
    mask
        `[1,1,H,W]`, 1 = hole.

    Returns
    -------
    Tensor
        `[1,C,H,W]`: in a flat surrounding exactly its color; where all channels of the surroundings are equal, so are
        those of the fill. As it was where nothing is known.
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
