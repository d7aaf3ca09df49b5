"""Total variation in and around a hole."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def hole_total_variation(composite: Tensor, mask: Tensor, unknown: Tensor | None = None) -> Tensor:
    """Absolute differences of neighbors in the hole and one pixel around it (Liu et al. 2018, arXiv 1804.07723, eq.
    6).

    Parameters
    ----------
    composite
        `[B,C,H,W]`: known pixels with the prediction in the hole.
    mask
        `[B,1,H,W]`, 1 = hole; the region is its dilation by one pixel (3x3), and both pixels of a pair must lie in it.
    unknown
        `[B,1,H,W]`, 1 = excluded from the region. None: no exclusion.

    Returns
    -------
    Tensor
        A scalar: the sum divided by the number of elements of `composite`.
    """
    region = F.max_pool2d(mask, 3, stride=1, padding=1)
    if unknown is not None:
        region = region * (1.0 - unknown)
    rows = (composite[..., 1:, :] - composite[..., :-1, :]).abs() * (region[..., 1:, :] * region[..., :-1, :])
    columns = (composite[..., :, 1:] - composite[..., :, :-1]).abs() * (region[..., :, 1:] * region[..., :, :-1])
    return (rows.sum() + columns.sum()) / composite.numel()
