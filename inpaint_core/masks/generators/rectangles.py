"""One rectangle, as in GLCIC (Iizuka et al. 2017, doi:10.1145/3072959.3073659), or several, like LaMa's boxes."""

from __future__ import annotations

import numpy as np
from pydantic import Field, model_validator

from .controls import Control
from .generator import Example, Generator
from .request import Canvas, Options, Request, scale


class RectanglesOptions(Options):
    """Number and size of the rectangles; the default is GLCIC's one of 48..96 pixels in 160.

    LaMa's boxes are `count=(1, 4), sides=(0.117, 0.586)`.
    """

    count: tuple[int, int] = Field((1, 1), description="Smallest and largest number of rectangles.")
    sides: tuple[float, float] = Field(
        (0.3, 0.6),
        description="Shortest and longest side, as fractions of the picture's shorter side; a hole ratio scales the "
        "rectangles to fit.",
    )

    @model_validator(mode="after")
    def _ordered(self) -> RectanglesOptions:
        if not 1 <= self.count[0] <= self.count[1] <= 100:
            raise ValueError(f"count is {self.count}: expected 1 <= minimum <= maximum <= 100")
        if not 0.0 < self.sides[0] <= self.sides[1] <= 1.0:
            raise ValueError(f"sides are {self.sides}: expected 0 < minimum <= maximum <= 1")
        return self


def draw(request: Request, options: RectanglesOptions, rng: np.random.Generator) -> Canvas:
    """Rectangles at random places, scaled together until they meet the requested ratio."""
    count = int(rng.integers(options.count[0], options.count[1] + 1))
    sides = request.side * rng.uniform(*options.sides, (count, 2))
    places = rng.random((count, 2))

    def draw_rectangles(canvas: Canvas, part: float) -> None:
        room = canvas.shape
        for (tall, wide), (down, along) in zip(sides, places, strict=True):
            height = min(max(round(tall * part), 1), room[0])
            width = min(max(round(wide * part), 1), room[1])
            top, left = round(down * (room[0] - height)), round(along * (room[1] - width))
            canvas[top : top + height, left : left + width] = 1

    return scale(request, draw_rectangles, max(request.height, request.width) / float(sides.min()))


GENERATOR = Generator(
    "rectangles",
    "one rectangle or several",
    RectanglesOptions,
    draw,
    examples=(Example("one"), Example("up to four", {"count": (2, 4), "sides": (0.12, 0.6)})),
    controls=(
        Control(
            "count",
            name="most",
            tooltip="Maximum number of rectangles. The minimum is one.",
            kind=int,
            default=1,
            minimum=1,
            maximum=100,
            read=lambda most: (1, most),
        ),
    ),
)
