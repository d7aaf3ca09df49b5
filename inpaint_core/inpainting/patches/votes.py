"""Votes of the matched patches on every pixel of the hole."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

CHUNK = 1 << 12  # pixels voted on at once: their proposals stay in the CPU's cache
CHUNK_ON_GPU = 1 << 18  # limits memory


class Votes:
    """The patches around each pixel of a hole.

    Parameters
    ----------
    pixels
        int64 `[P]`: row times width plus column. Each must lie in some patch.
    size
        Height and width of the target.
    place
        int64 `[H*W]`: the number of the patch with this center, -1 where there is no patch.
    radius
        Radius of a patch in pixels.
    """

    def __init__(self, pixels: Tensor, size: tuple[int, int], place: Tensor, radius: int) -> None:
        reach = torch.arange(-radius, radius + 1, device=pixels.device)
        self._down, self._right = reach.repeat_interleave(len(reach)), reach.repeat(len(reach))
        chunk = CHUNK if pixels.device.type == "cpu" else CHUNK_ON_GPU
        self._parts = [self._around(part, size, place, radius) for part in pixels.split(chunk)]

    def _around(self, pixels: Tensor, size: tuple[int, int], place: Tensor, radius: int) -> _Around:
        height, width = size
        rows, columns = pixels // width, pixels % width
        y, x = rows - self._down[:, None], columns - self._right[:, None]
        inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
        patches = place[(y * width + x).clamp_(0, height * width - 1)]
        inner_rows, inner_columns = rows.clamp(radius, height - 1 - radius), columns.clamp(radius, width - 1 - radius)
        home = place[inner_rows * width + inner_columns]
        return _Around(
            patches.clamp(min=0), (inside & (patches >= 0)).float(), home, rows - inner_rows, columns - inner_columns
        )

    def mean(self, match: Tensor, source: Tensor, agreement: int = 1) -> Tensor:
        """Mean of the values that the patches around each pixel propose.

        Parameters
        ----------
        match
            int64 `[M]`: for every patch, the center of its match in the source.
        source
            Contiguous `[Hs,Ws,C]`.
        agreement
            Each proposal is weighted by the number of patches that propose the same source pixel, to this power minus
            one: larger values copy more and mix less.

        Returns
        -------
        Tensor
            `[C,P]`: exactly the common value where all patches agree.
        """
        values, width = source.flatten(0, 1), source.shape[1]
        steps = (self._down * width + self._right)[:, None]
        parts = []
        for around in self._parts:
            # Differences from one patch's proposal are summed: where all patches agree, they are exactly 0.
            home = match.index_select(0, around.home) + (around.down * width + around.right)
            first = values.index_select(0, home)
            patches = around.patches
            proposals = match.index_select(0, patches.flatten()).view_as(patches).add_(steps)
            weights = around.present.to(values.dtype)
            if agreement > 1:
                weights = _by_agreement(proposals, weights, agreement)
            proposed = values.index_select(0, proposals.flatten()).view(*patches.shape, values.shape[1])
            total = proposed.sub_(first).mul_(weights[..., None]).sum(0)
            parts.append(first + total / weights.sum(0)[:, None])
        return torch.cat(parts).T


@dataclass(frozen=True)
class _Around:
    """Patches `[N,P]` around some pixels, 1 where there is one and 0 elsewhere, and one patch that is always there,
    with the steps from its center to the pixel."""

    patches: Tensor
    present: Tensor
    home: Tensor
    down: Tensor
    right: Tensor


def _by_agreement(proposals: Tensor, present: Tensor, agreement: int) -> Tensor:
    """Weights `[N,P]`: the number of patches present with the same proposal, to the power minus one; 0 where there is
    no patch."""
    support = torch.zeros_like(present)
    for proposed, weight in zip(proposals, present, strict=True):
        support += (proposals == proposed) * weight
    return present * support.pow(agreement - 1)
