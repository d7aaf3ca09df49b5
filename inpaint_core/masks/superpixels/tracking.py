"""Superpixels that keep their labels across the frames of a clip."""

from __future__ import annotations

import math

from .clustering import Clusters, Labels, Planes, cluster
from .pieces import centers_of_pieces, keep_largest_pieces, piece_means


def clusters_of(labels: Labels, planes: Planes) -> Clusters:
    """Centers of the superpixels `[H,W]` of the first frame, whose features are `planes` `[3,H,W]`."""
    count = int(labels.max()) + 1
    rows, columns = centers_of_pieces(labels, count).T
    clusters = Clusters(rows, columns, piece_means(labels, planes, count), math.sqrt(labels.size / count))
    # The clusters of the superpixels have not converged yet; without this, they would move in the first frames of a
    # static clip.
    return cluster(planes, clusters)[1]


def follow(planes: Planes, clusters: Clusters) -> tuple[Labels, Clusters]:
    """Divide the next frame, starting from the clusters of the previous frame.

    Returns
    -------
    labels
        `[H,W]`, each one connected piece; clusters that lost all their pixels have no label.
    clusters
        Starting point for the next frame.
    """
    labels, moved = cluster(planes, clusters)
    return keep_largest_pieces(labels, planes), moved
