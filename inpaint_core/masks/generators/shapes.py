"""Lines, circles and arcs scattered over the picture, or a few circles and squares pasted into it.

The former are the masks of PConv-Keras and SneakySketchers, the latter those of im-outpainting; lengths in pixels were
converted to fractions of the side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

import numpy as np
from pydantic import Field

from .controls import Control
from .generator import Example, Generator
from .pen import thickness_for
from .request import Canvas, Drawing, Options, Request, accumulate

THINNEST, THICKEST = 3 / 256, 15 / 256  # of lines and arcs, and of the circles' radii
MAX_PER_KIND = 20
ARC_STEP = 4  # degrees between the corners of the polyline that approximates an arc
CIRCLES, SQUARES = (32 / 256, 64 / 256), (32 / 256, 64 / 256)  # radii and sides of the pasted shapes

NUMBERS = 9  # random numbers in 0..1 available to a shape
CHUNK = 32
Maker = Callable[[Request, list[float]], Drawing]


class ShapesOptions(Options):
    """`kind`: `scattered` (lines, filled circles, arcs; 1 to 20 of each) or `pasted` (two circles, two squares)."""

    kind: Literal["scattered", "pasted"] = Field(
        "scattered", description="scattered: lines, circles and arcs. pasted: two circles and two squares."
    )


def draw(request: Request, options: ShapesOptions, rng: np.random.Generator) -> Canvas:
    """Shapes until the requested ratio is met, or as many as the original implementations draw."""
    makers = SCATTERED if options.kind == "scattered" else PASTED
    if request.target is not None:
        return accumulate(request, _endless(request, makers, rng))
    most = MAX_PER_KIND if options.kind == "scattered" else 1
    order = [
        maker for maker, count in zip(makers, rng.integers(1, most + 1, len(makers)), strict=True) for _ in range(count)
    ]
    numbers = rng.random((len(order), NUMBERS)).tolist()
    return accumulate(request, [maker(request, row) for maker, row in zip(order, numbers, strict=True)])


def _endless(request: Request, makers: tuple[Maker, ...], rng: np.random.Generator) -> Iterator[Drawing]:
    while True:
        for kind, *row in rng.random((CHUNK, NUMBERS + 1)).tolist():
            yield makers[int(kind * len(makers))](request, row)


def _place(request: Request, across: float, down: float) -> tuple[int, int]:
    width, height = request.width - 2 * request.margin, request.height - 2 * request.margin
    return int(across * width), int(down * height)


def _size(request: Request, number: float) -> float:
    return request.side * (THINNEST + (THICKEST - THINNEST) * number)


def _pixels(length: float) -> int:
    return max(1, round(length))


def _line(request: Request, numbers: list[float]) -> Drawing:
    import cv2

    start, (x, y) = _place(request, numbers[0], numbers[1]), _place(request, numbers[2], numbers[3])
    width = _size(request, numbers[4])

    def draw_line(canvas: Canvas, part: float) -> None:
        end = (round(start[0] + part * (x - start[0])), round(start[1] + part * (y - start[1])))
        cv2.line(canvas, start, end, 1, thickness_for(width * min(1.0, 2.0 * part), numbers[5]))

    return draw_line


def _circle(request: Request, numbers: list[float]) -> Drawing:
    return _disc(_place(request, numbers[0], numbers[1]), _size(request, numbers[2]), numbers[3])


def _disc(center: tuple[int, int], radius: float, chance: float) -> Drawing:
    import cv2

    def draw_disc(canvas: Canvas, part: float) -> None:
        cv2.circle(canvas, center, int(radius * part + chance), 1, cv2.FILLED)

    return draw_disc


def _arc(request: Request, numbers: list[float]) -> Drawing:
    import cv2

    center, width = _place(request, numbers[0], numbers[1]), _size(request, numbers[2])
    axes = (_pixels(numbers[3] * request.width), _pixels(numbers[4] * request.height))
    rotation, start, end = (round(3.0 + 177.0 * number) for number in numbers[5:8])

    def draw_arc(canvas: Canvas, part: float) -> None:
        last = round(start + part * (end - start))
        points = np.asarray(cv2.ellipse2Poly(center, axes, rotation, start, last, ARC_STEP), np.int32)
        cv2.polylines(canvas, [points], False, 1, thickness_for(width * min(1.0, 2.0 * part), numbers[8]))

    return draw_arc


def _pasted_circle(radius: float) -> Maker:
    def make(request: Request, numbers: list[float]) -> Drawing:
        return _disc(_place(request, numbers[0], numbers[1]), request.side * radius, numbers[2])

    return make


def _pasted_square(side: float) -> Maker:
    def make(request: Request, numbers: list[float]) -> Drawing:
        (x, y), half = _place(request, numbers[0], numbers[1]), request.side * side / 2.0

        def draw_square(canvas: Canvas, part: float) -> None:
            top, left = max(0, round(y - half * part)), max(0, round(x - half * part))
            canvas[top : max(top + 1, round(y + half * part)), left : max(left + 1, round(x + half * part))] = 1

        return draw_square

    return make


SCATTERED: tuple[Maker, ...] = (_line, _circle, _arc)
PASTED: tuple[Maker, ...] = (*map(_pasted_circle, CIRCLES), *map(_pasted_square, SQUARES))


GENERATOR = Generator(
    "shapes",
    "lines, circles, arcs; or pasted circles and squares",
    ShapesOptions,
    draw,
    examples=(Example("scattered", {"kind": "scattered"}), Example("pasted", {"kind": "pasted"})),
    controls=(Control("kind"),),
)
