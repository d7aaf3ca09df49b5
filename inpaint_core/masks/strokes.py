"""Brush strokes: chains of straight segments with round ends, as a hand would scribble over a picture.

After the irregular masks of LaMa (Suvorov et al. 2022, arXiv 2109.07161); its pixels at a side of 256 became shares of
the side.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .request import Canvas, Drawing, Options, Request, accumulate

SEGMENTS = 5  # most segments of a stroke
WIDEST_TURN = 4.0  # radians; a stroke's segments point into a fan of this angle
CHUNK = 16
SUBPIXEL_BITS = 4


class Brush(NamedTuple):
    """Ranges of a stroke's width and of a segment's length, as shares of the side, and of the number of strokes."""

    width: tuple[float, float]
    length: tuple[float, float]
    number: tuple[int, int]


BRUSHES = {
    "thin": Brush((5 / 256, 14 / 256), (10 / 256, 49 / 256), (4, 50)),
    "medium": Brush((5 / 256, 54 / 256), (10 / 256, 109 / 256), (4, 5)),
    "thick": Brush((5 / 256, 104 / 256), (10 / 256, 209 / 256), (1, 5)),
}


class StrokesOptions(Options):
    """`brush`: thin, medium or thick strokes, as in LaMa's test sets."""

    brush: Literal["thin", "medium", "thick"] = "medium"


def draw(request: Request, options: StrokesOptions, rng: np.random.Generator) -> Canvas:
    """Strokes until the asked ratio is met, or as many as LaMa draws."""
    brush = BRUSHES[options.brush]
    count = None if request.target is not None else int(rng.integers(brush.number[0], brush.number[1] + 1))
    return accumulate(request, _strokes(request, brush, count, rng))


def _strokes(request: Request, brush: Brush, count: int | None, rng: np.random.Generator) -> Iterator[Drawing]:
    room = np.array([request.width - 2 * request.margin, request.height - 2 * request.margin], np.float64)
    produced = 0
    while count is None or produced < count:
        starts = rng.random((CHUNK, 2)) * room
        sides = rng.choice((-1.0, 1.0), (CHUNK, 1))
        angles = sides * WIDEST_TURN * rng.random((CHUNK, SEGMENTS))
        lengths = request.side * rng.uniform(*brush.length, (CHUNK, SEGMENTS))
        widths = np.maximum(request.side * rng.uniform(*brush.width, CHUNK), 1.0)
        steps = np.stack([np.sin(angles), np.cos(angles)], axis=2) * lengths[:, :, None]
        segments = rng.integers(1, SEGMENTS + 1, CHUNK)
        for start, step, width, used in zip(starts, steps, widths, segments, strict=True):
            points = np.empty((used + 1, 2))
            points[0] = start
            for index in range(used):
                points[index + 1] = np.clip(points[index] + step[index], 0.0, room - 1.0)
            yield _stroke(points, float(width))
            produced += 1
            if produced == count:
                return


def _stroke(points: NDArray[np.float64], width: float) -> Drawing:
    import cv2

    def draw_stroke(canvas: Canvas, part: float) -> None:
        shown = points if part >= 1.0 else _beginning(points, part)
        thickness = max(1, round(width * min(1.0, 2.0 * part)))
        fixed = np.round(shown * (1 << SUBPIXEL_BITS)).astype(np.int32)
        cv2.polylines(canvas, [fixed], False, 1, thickness, cv2.LINE_8, SUBPIXEL_BITS)

    return draw_stroke


def _beginning(points: NDArray[np.float64], part: float) -> NDArray[np.float64]:
    lengths = np.hypot(*np.diff(points, axis=0).T)
    reached = np.concatenate([[0.0], np.cumsum(lengths)])
    end = part * reached[-1]
    last = int(np.searchsorted(reached[1:], end))
    share = (end - reached[last]) / max(lengths[last], 1e-9)
    return np.concatenate([points[: last + 1], [points[last] + share * (points[last + 1] - points[last])]])
