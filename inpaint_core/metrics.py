"""Picture metrics, over the whole picture or in the hole only."""

from __future__ import annotations

import torch
from torch import Tensor


def mean_squared_error(output: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean squared error per picture.

    Parameters
    ----------
    output, target
        `[B,3,H,W]` in 0..1.
    mask
        `[B,1,H,W]`, 1 = hole: only hole pixels count. None: all do.

    Returns
    -------
    Tensor
        `[B]`; NaN for a picture whose mask is empty.
    """
    squared = (output - target) ** 2
    if mask is None:
        return squared.mean((1, 2, 3))
    return (squared * mask).sum((1, 2, 3)) / (mask.sum((1, 2, 3)) * squared.shape[1])


def psnr(output: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
    """Peak signal-to-noise ratio in dB per picture, for a peak of 1: `-10 log10(MSE)`.

    Arguments and shape as in `mean_squared_error`; infinite where the pictures are equal.
    """
    return -10.0 * torch.log10(mean_squared_error(output, target, mask))
