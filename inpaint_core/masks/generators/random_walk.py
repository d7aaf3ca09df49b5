"""A random walk over a grid of cells, as in naoto0804/pytorch-inpainting-with-partial-conv: visited cells are hole.

There, a cell is a pixel of a 512x512 picture; here, it is a fraction of the side, so that the pattern is independent of
the resolution.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from .controls import Control
from .generator import Generator
from .request import Canvas, Options, Request, adjust

# right, left, down, up
ROW_STEPS = np.array([0, 0, 1, -1], np.int32)
COLUMN_STEPS = np.array([1, -1, 0, 0], np.int32)


class RandomWalkOptions(Options):
    """The grid of the walk; if there is no hole ratio, the walk takes as many steps as the grid has cells."""

    grid: int = Field(
        64, ge=2, le=4096, description="Number of cells along the shorter side. More cells give finer paths."
    )


def draw(request: Request, options: RandomWalkOptions, rng: np.random.Generator) -> Canvas:
    """Walk until the visited cells cover the requested ratio."""
    canvas = request.blank()
    inner = request.inner(canvas)
    cell = max(1.0, request.side / options.grid)
    rows, columns = (max(1, round(side / cell)) for side in inner.shape)
    row_of = (np.arange(inner.shape[0]) * rows) // inner.shape[0]
    column_of = (np.arange(inner.shape[1]) * columns) // inner.shape[1]
    areas = np.outer(np.bincount(row_of), np.bincount(column_of)).ravel()
    order = _walk(rows, columns, areas, request.target, rng)
    visited = np.zeros(rows * columns, np.uint8)
    visited[order] = 1
    inner[:] = visited.reshape(rows, columns)[row_of][:, column_of]
    return adjust(canvas, request)


def _walk(
    rows: int, columns: int, areas: NDArray[np.integer], target: int | None, rng: np.random.Generator
) -> NDArray[np.integer]:
    """The cells that the walk visits, in order of first visit, up to the target area."""
    cells = rows * columns
    row, column = int(rng.integers(rows)), int(rng.integers(columns))
    unseen = np.ones(cells, np.bool_)
    order: list[NDArray[np.integer]] = []
    covered = 0
    while True:
        steps = rng.integers(0, 4, cells, dtype=np.uint8)
        steps_down, steps_along = ROW_STEPS[steps], COLUMN_STEPS[steps]
        steps_down[0] += row
        steps_along[0] += column
        path = fold_walk(np.cumsum(steps_down, out=steps_down), rows) * columns
        path += fold_walk(np.cumsum(steps_along, out=steps_along), columns)
        # Assigned back to front, so that the step of the first visit remains.
        first_visit = np.full(cells, cells, np.int32)
        first_visit[path[::-1]] = np.arange(cells - 1, -1, -1, dtype=np.int32)
        new = np.flatnonzero(unseen & (first_visit < cells))
        new = new[np.argsort(first_visit[new])]
        if target is None:
            return new
        totals = covered + np.cumsum(areas[new])
        if len(new) and totals[-1] >= target:
            order.append(new[: int(np.searchsorted(totals, target)) + 1])
            return np.concatenate(order)
        order.append(new)
        unseen[new] = False
        covered = int(totals[-1]) if len(new) else covered
        row, column = divmod(int(path[-1]), columns)


def fold_walk(positions: NDArray[np.int32], length: int) -> NDArray[np.int32]:
    """Fold an unbounded walk into 0..length-1; a step into the wall stays in place, as if clipped."""
    folded = positions % (2 * length)
    return np.minimum(folded, 2 * length - 1 - folded)


GENERATOR = Generator(
    "random_walk",
    "the cells visited by a random walk",
    RandomWalkOptions,
    draw,
    controls=(Control("grid", maximum=1024),),
)
