"""Full-resolution borders for superpixels computed at a lower resolution."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from .clustering import Labels, Planes, to_features
from .pieces import centers_of_pieces, keep_largest_pieces, piece_means

BAND = 1 << 20  # pixels processed at a time, so that memory does not grow with the picture


def refine_boundaries(
    labels: Labels,
    working: Labels,
    colors: Planes,
    planes: Planes,
    value_range: tuple[float, float],
    compactness: float,
) -> Labels:
    """Assign the pixels along borders to the nearest superpixel in color and position, as SLIC does.

    Parameters
    ----------
    labels
        `[H,W]`, enlarged from `working` by nearest sampling.
    working
        `[h,w]`, the labels at the working resolution.
    colors
        float32 `[C,H,W]`, the full picture, C = 1 or 3.
    planes
        float32 `[3,h,w]`, its features at the working resolution (see `to_features`).
    value_range, compactness
        As for `to_features`.

    Returns
    -------
    Labels
        `[H,W]`, contiguous from 0, each label one connected piece. Only pixels within one working-resolution pixel of a
        border change, apart from disconnected fragments.
    """
    height, width = labels.shape
    down, along = height / working.shape[0], width / working.shape[1]
    count = int(working.max()) + 1
    step = math.sqrt(labels.size / count)
    places = ((centers_of_pieces(working, count) + 0.5) * (down, along) - 0.5) / step
    centers = np.concatenate([places, piece_means(working, planes, count)], axis=1)
    reach = math.ceil(max(down, along))
    shifts = [(y, x) for y in (-reach, 0, reach) for x in (-reach, 0, reach) if y or x]
    rows, columns = np.nonzero(_near_border(labels, reach))
    refined = labels.copy()
    for start in range(0, len(rows), BAND):
        y, x = rows[start : start + BAND], columns[start : start + BAND]
        features = to_features(colors[:, None, y, x], value_range, compactness)[:, 0]
        pixels = np.stack([y / step, x / step, *features], axis=1)
        own = labels[y, x]
        best = ((pixels - centers[own]) ** 2).sum(axis=1)
        for shift in shifts:
            candidate = labels[np.clip(y + shift[0], 0, height - 1), np.clip(x + shift[1], 0, width - 1)]
            other = np.flatnonzero(candidate != own)
            distance = ((pixels[other] - centers[candidate[other]]) ** 2).sum(axis=1)
            nearer = distance < best[other]
            chosen = other[nearer]
            best[chosen] = distance[nearer]
            refined[y[chosen], x[chosen]] = candidate[chosen]
    lost = np.bincount(refined.ravel(), minlength=count) == 0
    np.copyto(refined, labels, where=lost[labels])
    return keep_largest_pieces(refined, colors)


def _near_border(labels: Labels, reach: int) -> NDArray[np.bool_]:
    import cv2

    border = np.zeros(labels.shape, np.uint8)
    border[1:] |= labels[1:] != labels[:-1]
    border[:-1] |= labels[1:] != labels[:-1]
    border[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    border[:, :-1] |= labels[:, 1:] != labels[:, :-1]
    return cv2.dilate(border, np.ones((2 * reach - 1, 2 * reach - 1), np.uint8)) > 0
