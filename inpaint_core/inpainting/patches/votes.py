"""Votes of the matched patches on every pixel of the hole."""

from __future__ import annotations

import torch
from torch import Tensor

CHUNK = 1 << 12  # pixels voted on at once: their proposals stay in the CPU's cache
CHUNK_ON_GPU = 1 << 18  # limits memory


def vote(
    pixels: Tensor,
    size: tuple[int, int],
    place: Tensor,
    match: Tensor,
    source: Tensor,
    radius: int,
    agreement: int = 1,
) -> Tensor:
    """Mean of the values that the patches around each pixel propose.

    Parameters
    ----------
    pixels
        int64 `[P]`: row times width plus column. Each must lie in some patch.
    size
        Height and width of the target.
    place
        int64 `[H*W]`: the row of a patch's center in `match`, -1 where there is no patch.
    match
        int64 `[M]`: centers in the source.
    source
        Contiguous `[Hs,Ws,C]`.
    radius
        Radius of a patch in pixels.
    agreement
        Each proposal is weighted by the number of patches that propose the same source pixel, to this power minus one:
        larger values copy more and mix less.

    Returns
    -------
    Tensor
        `[C,P]`: exactly the common value where all patches agree.
    """
    values, width = source.flatten(0, 1), source.shape[1]
    chunk = CHUNK if pixels.device.type == "cpu" else CHUNK_ON_GPU
    parts = [_vote(part, size, place, match, values, width, radius, agreement) for part in pixels.split(chunk)]
    return torch.cat(parts).T


def _vote(
    pixels: Tensor,
    size: tuple[int, int],
    place: Tensor,
    match: Tensor,
    values: Tensor,
    source_width: int,
    radius: int,
    agreement: int,
) -> Tensor:
    height, width = size
    rows, columns = pixels // width, pixels % width
    # Differences from one patch's proposal are summed: where all patches agree, they are exactly 0.
    inner_rows, inner_columns = rows.clamp(radius, height - 1 - radius), columns.clamp(radius, width - 1 - radius)
    home = match.index_select(0, place.index_select(0, inner_rows * width + inner_columns))
    first = values.index_select(0, home + (rows - inner_rows) * source_width + columns - inner_columns)
    reach = torch.arange(-radius, radius + 1, device=pixels.device)
    down, right = reach.repeat_interleave(len(reach))[:, None], reach.repeat(len(reach))[:, None]
    y, x = rows - down, columns - right
    inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    patches = place.index_select(0, (y * width + x).clamp_(0, height * width - 1).flatten()).view_as(y)
    weights = (inside & (patches >= 0)).to(values.dtype)
    proposals = match.index_select(0, patches.clamp_(min=0).flatten()).view_as(y).add_(down * source_width + right)
    if agreement > 1:
        weights = _by_agreement(proposals, weights, agreement)
    proposed = values.index_select(0, proposals.flatten()).view(*proposals.shape, values.shape[1])
    total = proposed.sub_(first).mul_(weights[..., None]).sum(0)
    return first + total / weights.sum(0)[:, None]


def _by_agreement(proposals: Tensor, present: Tensor, agreement: int) -> Tensor:
    """Weights `[N,P]`: the number of patches present with the same proposal, to the power minus one; 0 where there is
    no patch."""
    support = torch.zeros_like(present)
    for proposed, weight in zip(proposals, present, strict=True):
        support += (proposals == proposed) * weight
    return present * support.pow(agreement - 1)
