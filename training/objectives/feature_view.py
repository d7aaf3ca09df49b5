"""The part of the training pictures that is passed through an expensive network."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from inpaint_core.models.global_local_discriminator import crop_around

GOLDEN_RATIO = 0.5 * (5.0**0.5 - 1.0)  # fractional parts of its multiples fill 0..1 evenly


def feature_view(pictures: Sequence[Tensor], mask: Tensor, side: int | None, step: int) -> tuple[list[Tensor], Tensor]:
    """A small view of every picture: in even steps a window around a point of its hole, in odd ones the whole picture,
    reduced.

    The window shows textures, the reduced picture shows shapes; the cost of both is proportional to their pixels.

    Parameters
    ----------
    pictures
        `[B,3,H,W]` each: different versions of the same pictures.
    mask
        `[B,1,H,W]`, 1 = hole.
    side
        Side of the view in pixels; None, or at least the pictures' own side: pictures are unchanged.
    step
        Number of the step, from 0: selects the view and the point.

    Returns
    -------
    tuple
        The views `[B,3,side,side]`, with gradients, and their masks `[B,1,side,side]`, in a reduced view the fraction
        of hole in 0..1.
    """
    if side is None or side >= min(mask.shape[-2:]):
        return list(pictures), mask
    if step % 2:
        reduced = [F.adaptive_avg_pool2d(picture, (side, side)) for picture in (*pictures, mask)]
        return reduced[:-1], reduced[-1]
    centers = hole_points(mask, (step // 2 * GOLDEN_RATIO) % 1.0)
    cut = [crop_around(picture, centers, side) for picture in (*pictures, mask)]
    return cut[:-1], cut[-1]


def hole_points(mask: Tensor, quantile: float) -> Tensor:
    """A pixel of each hole of `[B,1,H,W]`: row and column `[B,2]` (int64) of the one preceded, row by row, by a
    fraction `quantile` (0 or more, below 1) of the hole's pixels; the picture's first pixel if there is no hole."""
    passed = (mask.flatten(1) > 0.5).cumsum(1)
    count = passed[:, -1:]
    wanted = (count * quantile).floor().clamp(max=count - 1) + 1
    index = (passed < wanted).sum(1) % passed.shape[1]
    index = torch.where(count[:, 0] > 0, index, 0)
    width = mask.shape[-1]
    return torch.stack([index // width, index % width], 1)
