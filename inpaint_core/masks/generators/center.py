"""A rectangle in the middle of the picture, as in Context Encoders (Pathak et al. 2016, arXiv 1604.07379)."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from .request import Canvas, Options, Request, scale


class CenterOptions(Options):
    """Size and proportions of the rectangle.

    Attributes
    ----------
    share
        Height and width as a share of the picture's, where no ratio is asked for.
    stretch
        Greatest factor by which the rectangle is stretched along one side and squeezed along the other, at random; 1
        keeps the picture's own proportions.
    """

    share: float = Field(0.5, gt=0.0, le=1.0)
    stretch: float = Field(1.0, ge=1.0, le=4.0)


def draw(request: Request, options: CenterOptions, rng: np.random.Generator) -> Canvas:
    """A centred rectangle of the asked ratio."""
    factor = options.stretch ** rng.uniform(-1.0, 1.0)

    def draw_rectangle(canvas: Canvas, part: float) -> None:
        tall, wide = canvas.shape
        height = min(tall, max(1, round(request.height * options.share * part * factor)))
        width = min(wide, max(1, round(request.width * options.share * part / factor)))
        top, left = (tall - height) // 2, (wide - width) // 2
        canvas[top : top + height, left : left + width] = 1

    return scale(request, draw_rectangle, options.stretch / options.share)
