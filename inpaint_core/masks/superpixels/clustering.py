"""The clustering step of SLIC: seeds on a grid, then k-means in color and position within windows around the centers.

Achanta et al., "SLIC Superpixels Compared to State-of-the-Art Superpixel Methods", TPAMI 2012,
doi:10.1109/TPAMI.2012.120.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.signedinteger[Any]]
Floats = NDArray[np.float64]
Planes = NDArray[np.float32]

REACH = 2.0  # a center searches for pixels up to two steps away, as in scikit-image's implementation
ITERATIONS = 10  # enough for most pictures (Achanta et al., section 3.1)


@dataclass(frozen=True)
class Clusters:
    """Centers of k clusters.

    Attributes
    ----------
    rows, columns
        `[k]`, in pixels of the working resolution; 0 is the center of the first pixel.
    colors
        `[k,3]`.
    step
        Distance between neighboring seeds, in the same pixels: the unit in which distance is weighted against color.
    """

    rows: Floats
    columns: Floats
    colors: Floats
    step: float

    def rescaled(self, down: float, along: float) -> Clusters:
        """The same centers in the same picture reduced by these factors; colors are unchanged."""
        rows, columns = (self.rows + 0.5) * down - 0.5, (self.columns + 0.5) * along - 0.5
        return Clusters(rows, columns, self.colors, max(self.step * max(down, along), 1.0))


def to_features(colors: Planes, value_range: tuple[float, float], compactness: float) -> Planes:
    """Colors in units comparable to one step of distance: CIELAB divided by the compactness.

    Parameters
    ----------
    colors
        float32 `[C,H,W]`, C = 1 (gray) or 3 (RGB).
    value_range
        The minimum and the maximum value, stretched to 0..1 first, as in scikit-image, so that low-contrast pictures
        are segmented equally well.
    compactness
        See `slic_labels`.

    Returns
    -------
    Planes
        float32 `[3,H,W]`.
    """
    import cv2

    low, high = value_range
    stretched = (np.moveaxis(colors, 0, 2) - np.float32(low)) / np.float32(max(high - low, 1e-12))
    lab = cv2.cvtColor(np.ascontiguousarray(np.broadcast_to(stretched, (*colors.shape[1:], 3))), cv2.COLOR_RGB2LAB)
    return np.ascontiguousarray(np.moveaxis(lab, 2, 0)) / np.float32(compactness)


def place_seeds(height: int, width: int, count: int) -> Clusters:
    """Seeds in equally spaced rows and columns, without colors.

    The steps are whole pixels, as in scikit-image, if the number of seeds is then within a tenth of `count`; otherwise
    exactly `count` seeds are distributed over the rows.
    """
    tall = wide = math.sqrt(height * width / count)
    if height < tall:
        tall, wide = height, width / count
    elif width < wide:
        tall, wide = height / count, width
    pitches = [max(1, round(step)) for step in (tall, wide)]
    rows, columns = (
        np.arange(int(step // 2), side, pitch, dtype=np.float64)
        for step, side, pitch in zip((tall, wide), (height, width), pitches, strict=True)
    )
    if abs(len(rows) * len(columns) - count) <= 0.1 * count:
        y, x = (part.ravel() for part in np.meshgrid(rows, columns, indexing="ij"))
        step = float(max(pitches))
    else:
        lines = min(max(1, round(height / tall)), count)
        shares = np.diff([round(line * count / lines) for line in range(lines + 1)])
        y = np.repeat((np.arange(lines) + 0.5) * height / lines, shares) - 0.5
        x = np.concatenate([(np.arange(share) + 0.5) * width / share for share in shares]) - 0.5
        step = max(tall, wide)
    return Clusters(y, x, np.zeros((len(y), 3)), float(step))


def cluster(planes: Planes, clusters: Clusters) -> tuple[Labels, Clusters]:
    """Assign every pixel to a cluster.

    Parameters
    ----------
    planes
        float32 `[3,H,W]`: CIELAB divided by the compactness.
    clusters
        Initial centers. If all their colors are equal, the first assignment uses only the position.

    Returns
    -------
    labels
        int32 `[H,W]`, the clusters' numbers; clusters may be disconnected or empty.
    clusters
        Centers of the assigned pixels; an empty cluster keeps its last center.
    """
    height, width = planes.shape[1:]
    labels = np.zeros((height, width), np.int32)
    features = np.empty((height, width, 6))
    features[..., 0] = np.arange(height)[:, None]
    features[..., 1] = np.arange(width)
    features[..., 2:5] = np.moveaxis(planes, 0, 2)
    features[..., 5] = 1.0
    for _ in range(ITERATIONS):
        assign(planes, clusters, labels)
        clusters = _centers(features.reshape(-1, 6), labels, clusters)
    return labels, clusters


def assign(planes: Planes, clusters: Clusters, labels: Labels) -> None:
    """Give every pixel the number of the nearest center whose window contains it; pixels in no window keep theirs."""
    import cv2

    height, width = labels.shape
    reach = REACH * clusters.step
    tops = np.maximum((clusters.rows - reach).astype(int), 0)
    lefts = np.maximum((clusters.columns - reach).astype(int), 0)
    bottoms = np.minimum((clusters.rows + reach + 1).astype(int), height)
    rights = np.minimum((clusters.columns + reach + 1).astype(int), width)
    span = np.arange(2 * math.ceil(reach) + 2)
    down = (((tops[:, None] + span - clusters.rows[:, None]) / clusters.step) ** 2).astype(np.float32)
    along = (((lefts[:, None] + span - clusters.columns[:, None]) / clusters.step) ** 2).astype(np.float32)
    numbers = np.empty((len(span), len(span)), np.int32)
    best = np.full(labels.shape, np.inf, np.float32)
    # |p - c|^2 = |p|^2 - 2 p c + |c|^2, and |p|^2 is the same for all centers: each needs only a weighted sum of the
    # planes.
    weights = (-2.0 * clusters.colors).tolist()
    constants = (clusters.colors**2).sum(axis=1).tolist()
    windows = zip(tops.tolist(), bottoms.tolist(), lefts.tolist(), rights.tolist(), strict=True)
    for index, (top, bottom, left, right) in enumerate(windows):
        window = (slice(top, bottom), slice(left, right))
        first, second, third = weights[index]
        distance = cv2.addWeighted(planes[0][window], first, planes[1][window], second, constants[index])
        cv2.scaleAdd(planes[2][window], third, distance, distance)
        distance += down[index, : bottom - top, None] + along[index, : right - left]
        nearest = best[window]
        nearer = cv2.compare(distance, nearest, cv2.CMP_LT)
        number = numbers[: bottom - top, : right - left]
        number.fill(index)
        cv2.copyTo(distance, nearer, nearest)
        cv2.copyTo(number, nearer, labels[window])


def _centers(features: Floats, labels: Labels, before: Clusters) -> Clusters:
    from scipy.sparse import csc_matrix

    # One row for each cluster, one column for each pixel, a single 1 in each column: the product sums over clusters.
    pixels = labels.size
    members = csc_matrix(
        (np.ones(pixels), labels.ravel(), np.arange(pixels + 1, dtype=np.int32)), shape=(len(before.rows), pixels)
    )
    sums = members @ features
    sizes = sums[:, 5:]
    last = np.column_stack([before.rows, before.columns, before.colors])
    means = np.where(sizes == 0, last, sums[:, :5] / np.maximum(sizes, 1.0))
    return Clusters(means[:, 0], means[:, 1], means[:, 2:], before.step)
