"""Coarse cells of a grid, each randomly hole or known, all over the picture."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from .controls import Control
from .generator import Generator
from .request import Canvas, Options, Request, adjust


class SaltAndPepperOptions(Options):
    """Size and fraction of the hole cells."""

    cell: float = Field(1 / 16, gt=0.0, le=1.0, description="Side of a cell, as a fraction of the shorter side.")
    share: float = Field(
        0.25, gt=0.0, lt=1.0, description="Fraction of cells that are hole, if there is no hole ratio."
    )


def draw(request: Request, options: SaltAndPepperOptions, rng: np.random.Generator) -> Canvas:
    """Cells of a grid at a random offset, in random order, until they cover the requested ratio."""
    canvas = request.blank()
    inner = request.inner(canvas)
    cell = max(1, round(options.cell * request.side))
    offsets = rng.integers(0, cell, 2)
    row_of, column_of = ((np.arange(side) + offset) // cell for side, offset in zip(inner.shape, offsets, strict=True))
    areas = np.outer(np.bincount(row_of), np.bincount(column_of))
    order = rng.permutation(areas.size)
    target = round(options.share * inner.size) if request.target is None else request.target
    count = int(np.searchsorted(np.cumsum(areas.ravel()[order]), target)) + 1
    chosen = np.zeros(areas.size, np.uint8)
    chosen[order[:count]] = 1
    inner[:] = chosen.reshape(areas.shape)[row_of][:, column_of]
    return adjust(canvas, request)


GENERATOR = Generator(
    "salt_and_pepper",
    "coarse cells all over the picture",
    SaltAndPepperOptions,
    draw,
    controls=(Control("cell", default=0.06, minimum=0.001, step=0.01),),
)
