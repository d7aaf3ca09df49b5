"""Votes of the matched patches on every pixel of the hole."""

from __future__ import annotations

import torch
from torch import Tensor

CHUNK = 1 << 18  # pixels voted on at once


def vote(pixels: Tensor, size: tuple[int, int], place: Tensor, match: Tensor, source: Tensor, radius: int) -> Tensor:
    """Mean of the values that the patches around each pixel propose.

    Parameters
    ----------
    pixels
        int64 `[P]`: row times width plus column. Each must lie in some patch.
    size
        Of the target.
    place
        int64 `[H*W]`: the row of a patch's center in `match`, -1 where there is no patch.
    match
        int64 `[M]`: centers in the source.
    source
        `[C,Hs,Ws]`.
    radius
        Of a patch, in pixels.

    Returns
    -------
    Tensor
        `[C,P]`: exactly the common value where all patches agree.
    """
    parts = [_vote(part, size, place, match, source, radius) for part in pixels.split(CHUNK)]
    return torch.cat(parts, dim=1)


def _vote(pixels: Tensor, size: tuple[int, int], place: Tensor, match: Tensor, source: Tensor, radius: int) -> Tensor:
    height, width = size
    values = source.flatten(1).T.contiguous()
    rows, columns = pixels // width, pixels % width
    total = values.new_zeros(len(pixels), values.shape[1])
    votes = values.new_zeros(len(pixels), 1)
    # Differences from one patch's proposal are summed: where all patches agree, they are exactly 0.
    inner_rows, inner_columns = rows.clamp(radius, height - 1 - radius), columns.clamp(radius, width - 1 - radius)
    home = match.index_select(0, place.index_select(0, inner_rows * width + inner_columns))
    first = values.index_select(0, home + (rows - inner_rows) * source.shape[-1] + columns - inner_columns)
    reach = range(-radius, radius + 1)
    for down, right in ((down, right) for down in reach for right in reach):
        y, x = rows - down, columns - right
        inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
        patch = place.index_select(0, (y * width + x).clamp_(0, height * width - 1))
        has = (inside & (patch >= 0))[:, None]
        proposed = match.index_select(0, patch.clamp_(min=0)) + (down * source.shape[-1] + right)
        value = values.index_select(0, proposed)
        total.addcmul_(value.sub_(first), has.to(value.dtype))
        votes += has
    return (first + total / votes).T
