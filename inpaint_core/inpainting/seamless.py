"""Textures that tile without a seam."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from .inpaint import Completer, Progress, inpaint

Axes = Literal["both", "horizontal", "vertical"]
AXES: tuple[Axes, ...] = ("both", "horizontal", "vertical")
SHIFTED = {"both": (-2, -1), "horizontal": (-1,), "vertical": (-2,)}
MAX_MARGIN = 0.25  # fraction of a side, on each side of a seam; half of the picture remains to fill from


def make_seamless(
    model: Completer,
    image: Tensor,
    axes: Axes = "both",
    margin: float = 0.08,
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> Tensor:
    """Make pictures tile.

    A picture is rolled by half its size, so that opposite edges meet in a cross; the cross is filled; the picture is
    rolled back. Opposite edges then continue each other.

    Parameters
    ----------
    model
        Fills the cross.
    image
        `[B,C,H,W]`, 0..1.
    axes
        Directions in which the picture will be repeated: `"horizontal"` joins left and right, `"vertical"` top and
        bottom.
    margin
        Width replaced along each edge, as a fraction of the side, above 0 and up to `MAX_MARGIN`.
    seed
        Seed of the patch search.
    progress
        See `Progress`.

    Returns
    -------
    Tensor
        `[B,C,H,W]`. Pixels farther than the margin from the joined edges are kept bit for bit.

    Raises
    ------
    ValueError
        Other axes, a margin outside its range, or as `inpaint`.
    """
    if axes not in AXES:
        raise ValueError(f"axes are {axes!r}: expected one of {', '.join(AXES)}")
    if not 0.0 < margin <= MAX_MARGIN:
        raise ValueError(f"margin is {margin}: expected a fraction above 0 and up to {MAX_MARGIN}")
    dims = SHIFTED[axes]
    halves = [image.shape[dim] // 2 for dim in dims]
    rolled = torch.roll(image, halves, dims)
    filled = inpaint(model, rolled, seam(image, axes, margin), seed=seed, progress=progress)
    return torch.roll(filled, [-half for half in halves], dims)


def seam(image: Tensor, axes: Axes, margin: float) -> Tensor:
    """The cross or line `[1,1,H,W]` in which the edges of `image` `[B,C,H,W]` meet after rolling by half."""
    mask = image.new_zeros(1, 1, *image.shape[-2:], dtype=torch.float32)
    for dim in SHIFTED[axes]:
        side = image.shape[dim]
        reach = max(1, round(margin * side))
        mask.narrow(dim, max(0, side // 2 - reach), min(side, 2 * reach)).fill_(1.0)
    return mask


def tiled(image: Tensor) -> Tensor:
    """Pictures `[B,C,H,W]` repeated twice along each side."""
    return image.repeat(1, 1, 2, 2)
