"""Translated frames as bytes of a fixed size, as devices expect them."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from ..files.images import to_bytes
from ..files.videos import VideoError


def to_rgb(output: Tensor, height: int, width: int) -> np.ndarray[Any, Any]:
    """`[3,H,W]` in 0..1 as uint8 `[H,W,3]` in RGB.

    Raises
    ------
    VideoError
        H and W are not those that the device was opened with.
    """
    frame = to_bytes(output)
    if frame.shape[:2] != (height, width):
        raise VideoError(
            f"the frames changed from {width}x{height} to {frame.shape[1]}x{frame.shape[0]} pixels while they were "
            f"being sent; start the command again"
        )
    return frame
