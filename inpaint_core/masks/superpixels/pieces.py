"""Connected pieces of a label map, and merging small ones into their neighbors."""

from __future__ import annotations

import heapq
from typing import Any

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.signedinteger[Any]]

SPECK = 0.005  # fraction of the desired mean size; smaller pieces are merged all at once
CANDIDATES = 16  # at most this many pieces per desired one are merged one by one


def connected_pieces(labels: Labels) -> Labels:
    """Number the connected pieces (4 neighbors) of a label map `[H,W]` from 0, in reading order; -1 is kept."""
    from skimage.measure import label

    return np.asarray(label(labels, background=-1, connectivity=1), np.int32) - 1


def absorb(pieces: Labels, keep: NDArray[np.bool_], planes: NDArray[np.float32]) -> Labels:
    """Merge every piece that is not kept into the kept neighbor with the closest mean color, from the kept ones
    outward.

    Parameters
    ----------
    pieces
        `[H,W]`, connected pieces numbered from 0.
    keep
        `[n]`, which of them are kept; at smallest one.
    planes
        float32 `[C,H,W]`, colors.

    Returns
    -------
    Labels
        `[H,W]`, numbers of kept pieces only; each is connected.
    """
    owner = np.where(keep, np.arange(len(keep), dtype=np.int32), np.int32(-1))
    colors = piece_means(pieces, planes, len(keep)).astype(np.float32)
    first, second = _neighbors(pieces, keep)
    while len(first):
        ready = (owner[first] < 0) & (owner[second] >= 0)
        loose, near = first[ready], owner[second[ready]]
        distance = ((colors[loose] - colors[near]) ** 2).sum(axis=1)
        smallest = np.full(len(keep), np.inf, np.float32)
        np.minimum.at(smallest, loose, distance)
        nearest = distance == smallest[loose]
        owner[loose[nearest]] = near[nearest]
        left = owner[first] < 0
        first, second = first[left], second[left]
    return owner[pieces]


def piece_means(pieces: Labels, planes: NDArray[np.float32], count: int) -> NDArray[np.float64]:
    """Mean color `[count,C]` of every piece; zeros for unused numbers."""
    flat = pieces.ravel().astype(np.intp)
    inside = flat >= 0
    flat = flat[inside]
    sizes = np.maximum(np.bincount(flat, minlength=count), 1)
    sums = [np.bincount(flat, weights=plane.ravel()[inside], minlength=count) for plane in planes]
    return np.stack(sums, axis=1) / sizes[:, None]


def centers_of_pieces(pieces: Labels, count: int) -> NDArray[np.float64]:
    """Mean row and column `[count,2]` of every piece."""
    height, width = pieces.shape
    places = np.empty((2, height, width), np.float32)
    places[0], places[1] = np.arange(height)[:, None], np.arange(width)
    return piece_means(pieces, places, count)


def _neighbors(pieces: Labels, keep: NDArray[np.bool_]) -> tuple[Labels, Labels]:
    """(piece that is not kept, neighbor) for every two adjacent pixels."""
    first, second = [], []
    for one, other in ((pieces[:, :-1], pieces[:, 1:]), (pieces[:-1], pieces[1:])):
        differ = one != other
        a, b = one[differ], other[differ]
        first += [a[~keep[a]], b[~keep[b]]]
        second += [b[~keep[a]], a[~keep[b]]]
    return np.concatenate(first), np.concatenate(second)


def merge_smallest(pieces: Labels, count: int, planes: NDArray[np.float32]) -> Labels:
    """Repeatedly merge the smallest piece into the neighbor with the nearest mean color until `count` are left.

    Parameters
    ----------
    pieces
        `[H,W]`, connected pieces numbered from 0 without gaps; -1 where there is none.
    count
        Desired number of pieces. If there are fewer, nothing is merged; pieces without neighbors never are.
    planes
        float32 `[C,H,W]`, colors.

    Returns
    -------
    Labels
        `[H,W]`, contiguous from 0; each label is connected.
    """
    islands = bool((pieces < 0).any())
    sizes = np.bincount(pieces[pieces >= 0])
    if len(sizes) <= count:
        return pieces
    if not islands:
        # Specks are merged all at once: there may be a hundred thousand of them, and the choice of neighbor hardly
        # shows.
        order = np.argsort(-sizes, kind="stable")[: CANDIDATES * count]
        keep = np.zeros(len(sizes), np.bool_)
        keep[order[: max(count, int((sizes[order] >= SPECK * pieces.size / count).sum()))]] = True
        pieces = contiguous(absorb(pieces, keep, planes))

    area: list[int] = np.bincount(pieces[pieces >= 0]).tolist()
    colors: list[list[float]] = piece_means(pieces, planes, len(area)).tolist()
    neighbors: list[set[int]] = [set() for _ in area]
    for first, second in _touching(pieces):
        neighbors[first].add(second)
        neighbors[second].add(first)
    into = list(range(len(area)))
    queue = [(pixels, piece) for piece, pixels in enumerate(area)]
    heapq.heapify(queue)
    left = len(area)
    while left > count and queue:
        pixels, piece = heapq.heappop(queue)
        if pixels != area[piece] or not neighbors[piece]:
            continue
        color = colors[piece]
        _, target = min((sum((a - b) ** 2 for a, b in zip(color, colors[n], strict=True)), n) for n in neighbors[piece])
        total = pixels + area[target]
        colors[target] = [(a * pixels + b * area[target]) / total for a, b in zip(color, colors[target], strict=True)]
        area[piece], area[target] = 0, total
        into[piece] = target
        for other in neighbors[piece] - {target}:
            neighbors[other].discard(piece)
            neighbors[other].add(target)
            neighbors[target].add(other)
        neighbors[target].discard(piece)
        heapq.heappush(queue, (total, target))
        left -= 1
    owner = np.array(into, np.int32)
    while (owner[owner] != owner).any():
        owner = owner[owner]
    return contiguous(np.append(owner, np.int32(-1))[pieces])


def _touching(pieces: Labels) -> list[list[int]]:
    """Every pair of adjacent pieces, once."""
    pairs = []
    for one, other in ((pieces[:, :-1], pieces[:, 1:]), (pieces[:-1], pieces[1:])):
        differ = (one != other) & (one >= 0) & (other >= 0)
        pairs.append(np.stack([one[differ], other[differ]], axis=1))
    both = np.concatenate(pairs).astype(np.int64)
    both.sort(axis=1)
    keys = np.sort(both[:, 0] << 32 | both[:, 1])
    keys = keys[np.concatenate([[True], keys[1:] != keys[:-1]])] if len(keys) else keys
    return np.stack([keys >> 32, keys & 0xFFFFFFFF], axis=1).tolist()


def keep_largest_pieces(labels: Labels, planes: NDArray[np.float32]) -> Labels:
    """Make every label of `[H,W]` one connected piece, its largest; the others are merged into neighbors (see
    `absorb`)."""
    pieces = connected_pieces(labels)
    sizes = np.bincount(pieces.ravel())
    number = np.zeros(len(sizes), labels.dtype)
    number[pieces.ravel()] = labels.ravel()
    order = np.lexsort((np.arange(len(sizes)), -sizes, number))
    keep = np.zeros(len(sizes), np.bool_)
    keep[order[np.concatenate([[True], np.diff(number[order]) != 0])]] = True
    if keep.all():
        return labels
    return number[absorb(pieces, keep, planes)]


def contiguous(labels: Labels) -> Labels:
    """Renumber the labels in use as 0, 1, 2, ... in order; -1 is kept."""
    present = np.zeros(int(labels.max()) + 1, np.bool_)
    present[labels[labels >= 0]] = True
    return np.append(np.cumsum(present) - 1, -1).astype(labels.dtype)[labels]
