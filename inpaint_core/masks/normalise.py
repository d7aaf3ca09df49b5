"""Normalization of masks of any shape, type and size to the project's convention."""

from __future__ import annotations

import torch
import torch.nn.functional as functional
from torch import Tensor


def normalize_mask(mask: Tensor, size: tuple[int, int] | None = None, threshold: float = 0.5) -> Tensor:
    """Convert a mask to the project's form: float32 `[B,1,H,W]`, exactly 0 (known) or 1 (hole).

    Parameters
    ----------
    mask
        `[H,W]`, `[B,H,W]`, `[B,1,H,W]` or `[B,H,W,1]`. Floating-point values are used unchanged (0..1). Integers are
        0/1 if none exceeds 1, divided by 255 if none exceeds 255, otherwise by 65535.
    size
        `(H, W)` to resize to, by nearest-exact sampling (aligned pixel centers), before thresholding. None keeps the
        size. ComfyUI's all-zero 64x64 placeholder becomes an empty mask of that size.
    threshold
        Values above it are hole, so that 0.98 in a JPEG is hole, and 1/255 in imperfect black is not.

    Returns
    -------
    Tensor
        On the mask's device, detached.

    Raises
    ------
    ValueError
        Another rank, more than one channel, an empty tensor, a complex type, or NaN.

    Notes
    -----
    A tensor of rank 3 is always a batch `[B,H,W]`, never a picture. In rank 4 the channel is the second axis if its
    length is 1, otherwise the last: `[B,1,W,1]` is therefore a batch of masks that are one pixel wide, not one pixel
    high.
    """
    if mask.is_complex():
        raise ValueError(f"a mask must hold real numbers, not {mask.dtype}")
    if mask.ndim == 2:
        mask = mask[None, None]
    elif mask.ndim == 3:
        mask = mask[:, None]
    elif mask.ndim == 4 and mask.shape[1] != 1 and mask.shape[3] == 1:
        mask = mask.permute(0, 3, 1, 2)
    elif mask.ndim != 4 or mask.shape[1] != 1:
        raise ValueError(
            f"a mask must be [H,W], [B,H,W], [B,1,H,W] or [B,H,W,1], not {list(mask.shape)}: select one channel"
        )
    if mask.numel() == 0:
        raise ValueError(f"the mask is empty: its shape is {list(mask.shape)}")
    values = mask.detach().to(torch.float32)
    if not mask.is_floating_point() and mask.dtype != torch.bool:
        maximum = int(mask.max())
        values = values / (1.0 if maximum <= 1 else 255.0 if maximum <= 255 else 65535.0)
    if torch.isnan(values).any():
        raise ValueError("the mask holds NaN")
    if size is not None and tuple(values.shape[-2:]) != tuple(size):
        if min(size) < 1:
            raise ValueError(f"a mask cannot be resized to {size[0]}x{size[1]} pixels")
        values = functional.interpolate(values, size=tuple(size), mode="nearest-exact")
    return (values > threshold).to(torch.float32)
