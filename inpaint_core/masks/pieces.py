"""Connected pieces of a label map, and giving the small ones to their neighbours."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.signedinteger[Any]]


def connected_pieces(labels: Labels) -> Labels:
    """Number the connected pieces (4 neighbours) of a label map `[H,W]` from 0, in reading order."""
    from skimage.measure import label

    return np.asarray(label(labels, background=-1, connectivity=1), np.int32) - 1


def absorb(pieces: Labels, keep: NDArray[np.bool_], planes: NDArray[np.float32]) -> Labels:
    """Give every piece that is not kept to the kept neighbour of the nearest mean colour, from the kept ones outwards.

    Parameters
    ----------
    pieces
        `[H,W]`, connected pieces numbered from 0.
    keep
        `[n]`, which of them stay; at least one.
    planes
        float32 `[C,H,W]`, colours.

    Returns
    -------
    Labels
        `[H,W]`, numbers of kept pieces only; each is connected.
    """
    owner = np.where(keep, np.arange(len(keep), dtype=np.int32), np.int32(-1))
    colors = piece_means(pieces, planes, len(keep)).astype(np.float32)
    first, second = _neighbours(pieces, keep)
    while len(first):
        ready = (owner[first] < 0) & (owner[second] >= 0)
        loose, near = first[ready], owner[second[ready]]
        distance = ((colors[loose] - colors[near]) ** 2).sum(axis=1)
        least = np.full(len(keep), np.inf, np.float32)
        np.minimum.at(least, loose, distance)
        nearest = distance == least[loose]
        owner[loose[nearest]] = near[nearest]
        left = owner[first] < 0
        first, second = first[left], second[left]
    return owner[pieces]


def piece_means(pieces: Labels, planes: NDArray[np.float32], count: int) -> NDArray[np.float64]:
    """Mean colour `[count,C]` of every piece; zeros for numbers that do not occur."""
    flat = pieces.ravel().astype(np.intp)
    sizes = np.maximum(np.bincount(flat, minlength=count), 1)
    return np.stack([np.bincount(flat, weights=plane.ravel(), minlength=count) / sizes for plane in planes], axis=1)


def centres_of_pieces(pieces: Labels, count: int) -> NDArray[np.float64]:
    """Mean row and column `[count,2]` of every piece."""
    height, width = pieces.shape
    places = np.empty((2, height, width), np.float32)
    places[0], places[1] = np.arange(height)[:, None], np.arange(width)
    return piece_means(pieces, places, count)


def _neighbours(pieces: Labels, keep: NDArray[np.bool_]) -> tuple[Labels, Labels]:
    """(piece that is not kept, neighbour) for every two pixels that touch."""
    first, second = [], []
    for one, other in ((pieces[:, :-1], pieces[:, 1:]), (pieces[:-1], pieces[1:])):
        differ = one != other
        a, b = one[differ], other[differ]
        first += [a[~keep[a]], b[~keep[b]]]
        second += [b[~keep[a]], a[~keep[b]]]
    return np.concatenate(first), np.concatenate(second)


def keep_largest_pieces(labels: Labels, planes: NDArray[np.float32]) -> Labels:
    """Make every label of `[H,W]` one connected piece: its largest; the others go to neighbours (see `absorb`)."""
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
    """Renumber the labels that occur as 0, 1, 2, ... in their order."""
    present = np.zeros(int(labels.max()) + 1, np.bool_)
    present[labels.ravel()] = True
    return (np.cumsum(present) - 1).astype(labels.dtype)[labels]
