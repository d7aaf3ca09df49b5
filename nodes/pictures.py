"""Pictures of the graph as training pictures: only what is known of them."""

from __future__ import annotations

import torch
from torch import Tensor

SMALLEST_SIDE = 32  # pixels; what is narrower is left out by the trainer as well


def known_parts(image: Tensor, hole: Tensor) -> list[Tensor]:
    """Cut a picture into rectangles without a hole.

    The picture is cut at the holes' edges, by turns along columns and rows, once beginning with columns and once with
    rows, so that wide and tall parts both occur; parts may overlap.

    Parameters
    ----------
    image
        `[C,H,W]`.
    hole
        `[H,W]`, 1 = must not be looked at.

    Returns
    -------
    list of Tensor
        Views `[C,h,w]` with sides of at least `SMALLEST_SIDE`, the whole picture when nothing is hidden.
    """
    hidden = hole > 0.5
    if not hidden.any():
        return [image]
    found = {rectangle for rows in (False, True) for rectangle in _cut(hidden, rows)}
    return [image[:, top:bottom, left:right] for top, bottom, left, right in sorted(found)]


def _cut(hidden: Tensor, rows: bool) -> list[tuple[int, int, int, int]]:
    height, width = hidden.shape
    if min(height, width) < SMALLEST_SIDE:
        return []
    if not hidden.any():
        return [(0, height, 0, width)]
    occupied = hidden.any(1 if rows else 0)
    changes = (torch.nonzero(occupied[1:] != occupied[:-1]).flatten() + 1).tolist()
    if not changes and hidden.any(0 if rows else 1).all():
        return []
    found = []
    for start, end in zip([0, *changes], [*changes, len(occupied)], strict=True):
        part = hidden[start:end] if rows else hidden[:, start:end]
        offset = (start, start, 0, 0) if rows else (0, 0, start, start)
        for rectangle in _cut(part, not rows):
            top, bottom, left, right = (value + shift for value, shift in zip(rectangle, offset, strict=True))
            found.append((top, bottom, left, right))
    return found
