"""A rectangle in the middle of the picture, as in Context Encoders (Pathak et al. 2016, arXiv 1604.07379)."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from .controls import Control
from .generator import Generator
from .request import Canvas, Options, Request, scale


class CenterOptions(Options):
    """Size and proportions of the rectangle.

    `stretch` lengthens one side and shortens the other by the same factor.
    """

    share: float = Field(
        0.5, gt=0.0, le=1.0, description="Height and width as a fraction of the picture's, if there is no hole ratio."
    )
    stretch: float = Field(
        1.0,
        ge=1.0,
        le=4.0,
        description="Stretch at random along one side by up to this factor. 1 keeps the picture's aspect ratio.",
    )


def draw(request: Request, options: CenterOptions, rng: np.random.Generator) -> Canvas:
    """A centered rectangle of the requested ratio."""
    factor = options.stretch ** rng.uniform(-1.0, 1.0)

    def draw_rectangle(canvas: Canvas, part: float) -> None:
        tall, wide = canvas.shape
        height = min(tall, max(1, round(request.height * options.share * part * factor)))
        width = min(wide, max(1, round(request.width * options.share * part / factor)))
        top, left = (tall - height) // 2, (wide - width) // 2
        canvas[top : top + height, left : left + width] = 1

    return scale(request, draw_rectangle, options.stretch / options.share)


GENERATOR = Generator(
    "center", "a rectangle in the middle", CenterOptions, draw, controls=(Control("stretch", step=0.1),)
)
