"""SLIC superpixels: computed at a working resolution, returned at the picture's resolution."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..normalise import normalize_mask
from .clustering import Clusters, Labels, Planes, cluster, place_seeds, to_features
from .pieces import connected_pieces, contiguous, merge_smallest
from .refinement import refine_boundaries
from .tracking import clusters_of, follow


def slic_labels(
    image: Tensor,
    n_segments: int = 200,
    compactness: float = 10.0,
    max_side: int = 1024,
    refine: bool = False,
    stable: bool = False,
    mask: Tensor | None = None,
) -> Tensor:
    """Divide pictures into superpixels: connected regions of similar color and size.

    Parameters
    ----------
    image
        `[C,H,W]` or `[B,C,H,W]`, 0..1; C = 1 (gray), 3 (RGB) or 4 (RGBA). Fully transparent pixels belong to no
        superpixel.
    n_segments
        Number of superpixels. The result is within a tenth of it, and usually exact, if the working resolution has at
        least that many pixels. The actual number is `labels.max() + 1`.
    compactness
        Weight of distance relative to color, in units of CIELAB distance: 1 follows color, 100 gives almost squares.
    max_side
        Longer side of the working resolution; larger pictures are reduced to it and the labels enlarged by nearest
        sampling, so that no new labels appear.
    refine
        After enlarging, reassign the pixels along borders by the colors of the full picture.
    stable
        Treat the batch as the frames of a clip: a label means the same piece of the scene in every frame. Each frame
        starts from the superpixels of the previous frame.
    mask
        Any mask that `normalize_mask` accepts: where it is 1, pixels belong to no superpixel. One for all pictures, or
        one for each.

    Returns
    -------
    Tensor
        int64 `[H,W]` or `[B,H,W]` on the CPU, -1 where there is no superpixel. Each label is one connected piece (4
        neighbors); with `stable`, transparency may cut through it. The labels of a picture are 0, 1, 2, ... without
        gaps; with `stable` this holds for all frames together, and a frame may lack some.

    Raises
    ------
    ValueError
        Another shape, values that are not finite, or an option out of range.

    Notes
    -----
    Achanta et al. 2012 (doi:10.1109/TPAMI.2012.120) with the distances of scikit-image's `slic`, so `compactness` means
    the same. Textured pictures break clusters into fragments; the smallest one is merged into its neighbor with the
    nearest color until `n_segments` are left. So a picture of at least two pixels is always divided, and a picture of
    one color is divided into a grid.

    Examples
    --------
    >>> import torch
    >>> labels = slic_labels(torch.zeros(3, 32, 32), n_segments=4)
    >>> labels.shape, int(labels.max()) + 1
    (torch.Size([32, 32]), 4)
    """
    if image.ndim not in (3, 4) or image.shape[-3] not in (1, 3, 4) or image.numel() == 0:
        raise ValueError(f"superpixels need a picture [C,H,W] or [B,C,H,W] with C = 1, 3 or 4, not {list(image.shape)}")
    if n_segments < 1 or max_side < 1 or not 0 < compactness < float("inf"):
        raise ValueError(
            f"n_segments={n_segments}, compactness={compactness}, max_side={max_side}: expected positive numbers"
        )
    known = _known(image if image.ndim == 4 else image[None], mask)
    frames = (image if image.ndim == 4 else image[None])[:, :3].detach().to("cpu", torch.float32).contiguous().numpy()
    if not known.all():
        frames = np.stack([_cover(frame, seen) for frame, seen in zip(frames, known, strict=True)])
    ranges = [_value_range(frame) for frame in frames]
    if stable:
        ranges = [(min(low for low, _ in ranges), max(high for _, high in ranges))] * len(frames)
    height, width = frames.shape[2:]
    labels: list[Tensor] = []
    clusters: Clusters | None = None
    for frame, seen, value_range in zip(frames, known, ranges, strict=True):
        planes = to_features(_reduce(frame, max_side), value_range, compactness)
        if not stable:
            share = max(float(seen.mean()), 1.0 / seen.size)
            working = _segment(planes, (height, width), math.ceil(n_segments / share))
        else:
            if clusters is None:
                clusters = clusters_of(_segment(planes, (height, width), n_segments), planes)
            working, clusters = follow(planes, clusters)
        whole = _enlarge(working, height, width)
        if refine and working.shape != (height, width):
            whole = refine_boundaries(whole, working, frame, planes, value_range, compactness)
        if not seen.all():
            whole = np.where(seen, whole, -1)
            if not stable:
                whole = _merge_known(whole, n_segments, to_features(frame, value_range, compactness))
        labels.append(torch.from_numpy(whole))
    if stable:
        # A cluster may lose all its pixels even in the first frame.
        together = contiguous(torch.stack(labels).numpy())
        labels = list(torch.from_numpy(together))
    return torch.stack(labels) if image.ndim == 4 else labels[0]


def _value_range(frame: Planes) -> tuple[float, float]:
    low, high = float(frame.min()), float(frame.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ValueError("the picture contains values that are not finite (NaN or infinity): repair it first")
    return low, high


def _known(pictures: Tensor, mask: Tensor | None) -> NDArray[np.bool_]:
    """`[B,H,W]`, true where pixels belong to superpixels."""
    count, channels, height, width = pictures.shape
    known = np.ones((count, height, width), np.bool_)
    if channels == 4:
        known &= pictures[:, 3].detach().cpu().numpy() > 0.0
    if mask is not None:
        left_out = normalize_mask(mask, (height, width))[:, 0].cpu().numpy() > 0.5
        if len(left_out) not in (1, count):
            raise ValueError(f"{count} pictures and {len(left_out)} masks do not match: use equal counts, or one mask")
        known &= ~left_out
    return known


def _cover(frame: Planes, known: NDArray[np.bool_]) -> Planes:
    """The frame with unknown pixels replaced with the nearest known ones, so that no artificial edges appear."""
    if known.all() or not known.any():
        return frame if known.any() else np.zeros_like(frame)
    from scipy.ndimage import distance_transform_edt

    rows, columns = distance_transform_edt(~known, return_distances=False, return_indices=True)
    return frame[:, rows, columns]


def _merge_known(labels: Labels, n_segments: int, planes: Planes) -> Labels:
    """Make each label of `[H,W]` (-1 where unknown) one connected piece, and merge the smallest ones."""
    if (labels < 0).all():
        return labels
    return merge_smallest(connected_pieces(labels), n_segments, planes).astype(np.int64)


def _reduce(frame: Planes, max_side: int) -> Planes:
    import cv2

    height, width = frame.shape[1:]
    factor = min(1.0, max_side / max(height, width))
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return np.stack([cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane in frame])


def _segment(planes: Planes, size: tuple[int, int], n_segments: int) -> Labels:
    # Seeds are placed in the full picture, so that their positions do not depend on the working resolution.
    down, along = planes.shape[1] / size[0], planes.shape[2] / size[1]
    count = min(n_segments, planes[0].size)
    seeds = place_seeds(*size, count).rescaled(down, along)
    labels, _ = cluster(planes, seeds)
    return merge_smallest(connected_pieces(labels), count, planes)


def _enlarge(labels: Labels, height: int, width: int) -> Labels:
    rows = (np.arange(height) * labels.shape[0]) // height
    columns = (np.arange(width) * labels.shape[1]) // width
    return np.take(np.take(labels.astype(np.int64), columns, axis=1), rows, axis=0)
