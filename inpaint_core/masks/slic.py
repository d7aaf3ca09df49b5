"""SLIC superpixels: computed at a working resolution, returned at the picture's own."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Labels = NDArray[np.int32]


def slic_labels(image: Tensor, n_segments: int = 200, compactness: float = 10.0, max_side: int = 1024) -> Tensor:
    """Divide a picture into superpixels: connected pieces of similar colour and similar size.

    Parameters
    ----------
    image
        `[C,H,W]` or `[B,C,H,W]`, 0..1; C = 1 (gray), 3 (RGB) or 4 (RGBA, alpha is not looked at).
    n_segments
        Wanted number of superpixels; the true one is `labels.max() + 1`.
    compactness
        Weight of nearness against colour, in units of CIELAB distance: 1 follows colour, 100 gives nearly squares.
    max_side
        Longer side of the working resolution; greater pictures are reduced to it and the labels enlarged by nearest
        sampling.

    Returns
    -------
    Tensor
        int64 `[H,W]` or `[B,H,W]` on the CPU, contiguous from 0 in every picture, each label one connected piece.

    Raises
    ------
    ValueError
        Another shape, values that are not finite, or an option out of range.
    """
    if image.ndim not in (3, 4) or image.shape[-3] not in (1, 3, 4) or image.numel() == 0:
        raise ValueError(
            f"superpixels need a picture [C,H,W] or [B,C,H,W] with 1, 3 or 4 channels, not {list(image.shape)}"
        )
    if n_segments < 1 or max_side < 1 or not compactness > 0:
        raise ValueError(
            f"n_segments={n_segments}, compactness={compactness}, max_side={max_side}: all must be positive"
        )
    if image.ndim == 4:
        return torch.stack([slic_labels(one, n_segments, compactness, max_side) for one in image])
    if not bool(torch.isfinite(image[:3]).all()):
        raise ValueError(
            "the picture holds values that are not finite numbers (NaN or infinity): repair it before dividing it"
        )

    import cv2
    from skimage.segmentation import slic

    pixels = np.ascontiguousarray(image[:3].detach().to("cpu", torch.float32).permute(1, 2, 0).numpy())
    height, width = pixels.shape[:2]
    factor = min(1.0, max_side / max(height, width))
    if factor < 1.0:
        working = (max(1, round(width * factor)), max(1, round(height * factor)))
        pixels = cv2.resize(pixels, working, interpolation=cv2.INTER_AREA).reshape(working[1], working[0], -1)
    labels = slic(np.repeat(pixels, 3, 2) if pixels.shape[2] == 1 else pixels, n_segments, compactness, start_label=0)
    rows = (np.arange(height) * labels.shape[0]) // height
    columns = (np.arange(width) * labels.shape[1]) // width
    _, labels = np.unique(labels, return_inverse=True)
    return torch.from_numpy(labels.reshape(pixels.shape[:2]).astype(np.int64)[rows[:, None], columns])
