"""Training pictures from the known parts of connected images."""

from __future__ import annotations

import numpy as np
from torch import Tensor

MIN_SIDE = 32  # pixels; the trainer skips smaller pictures as well
CELLS = 10  # squares are searched in a grid with this many cells along each side of the picture


def known_squares(image: Tensor, hidden: Tensor) -> list[Tensor]:
    """Cut squares without hidden pixels out of a picture.

    For every cell of a grid, the largest such square centered in the cell is used, so that all scales occur and areas
    close to the hidden part are included as well. Squares overlap.

    Parameters
    ----------
    image
        `[C,H,W]`.
    hidden
        `[H,W]`, 1 = must not be used.

    Returns
    -------
    list of Tensor
        Views `[C,s,s]` with s of at least `MIN_SIDE`; the whole picture if nothing is hidden.
    """
    if not hidden.any():
        return [image]
    import cv2

    # Beyond the edge counts as hidden. In the chessboard metric a square of side 2 d - 1 fits around distance d.
    known = np.pad((hidden <= 0.5).cpu().numpy().astype(np.uint8), 1)
    reach = cv2.distanceTransform(known, cv2.DIST_C, 3)[1:-1, 1:-1].astype(np.int64)
    found = set()
    for rows in np.array_split(np.arange(reach.shape[0]), CELLS):
        for columns in np.array_split(np.arange(reach.shape[1]), CELLS):
            cell = reach[np.ix_(rows, columns)]
            if cell.size and 2 * cell.max() - 1 >= MIN_SIDE:
                row, column = np.unravel_index(cell.argmax(), cell.shape)
                found.add((int(rows[row]), int(columns[column]), int(cell.max()) - 1))
    return [image[:, y - r : y + r + 1, x - r : x + r + 1] for y, x, r in sorted(found)]
