"""Brush strokes: chains of straight segments with round ends, like scribbles over a picture.

After the irregular masks of LaMa (Suvorov et al. 2022, arXiv 2109.07161); its lengths in pixels, at a side of 256, were
converted to fractions of the side.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from .controls import Control
from .generator import Example, Generator
from .pen import SUBPIXEL_BITS, thickness_for
from .request import Canvas, Drawing, Options, Request, accumulate

SEGMENTS = 5  # maximum number of segments per stroke
MAX_TURN = 4.0  # radians; the directions of a stroke's segments lie within this angle
CHUNK = 16


class Brush(NamedTuple):
    """Ranges of a stroke's width and of a segment's length, as fractions of the side, and of the number of strokes."""

    width: tuple[float, float]
    length: tuple[float, float]
    number: tuple[int, int]


BRUSHES = {
    "thin": Brush((5 / 256, 14 / 256), (10 / 256, 49 / 256), (4, 50)),
    "medium": Brush((5 / 256, 54 / 256), (10 / 256, 109 / 256), (4, 5)),
    "thick": Brush((5 / 256, 104 / 256), (10 / 256, 209 / 256), (1, 5)),
}


class StrokesOptions(Options):
    """Strokes as in LaMa's test sets."""

    brush: Literal["thin", "medium", "thick"] = Field("medium", description="Width of the strokes.")


def draw(request: Request, options: StrokesOptions, rng: np.random.Generator) -> Canvas:
    """Strokes until the requested ratio is met, or as many as LaMa draws."""
    brush = BRUSHES[options.brush]
    count = None if request.target is not None else int(rng.integers(brush.number[0], brush.number[1] + 1))
    return accumulate(request, _strokes(request, brush, count, rng))


def _strokes(request: Request, brush: Brush, count: int | None, rng: np.random.Generator) -> Iterator[Drawing]:
    corner = np.array([request.width - 2 * request.margin - 1, request.height - 2 * request.margin - 1], np.float64)
    produced = 0
    while count is None or produced < count:
        turns = rng.random((CHUNK, SEGMENTS)) * rng.choice((-MAX_TURN, MAX_TURN), (CHUNK, 1))
        lengths = request.side * rng.uniform(*brush.length, (CHUNK, SEGMENTS))
        steps = np.stack([np.sin(turns), np.cos(turns)], axis=2) * lengths[:, :, None]
        points = np.empty((CHUNK, SEGMENTS + 1, 2))
        points[:, 0] = rng.random((CHUNK, 2)) * corner
        for index in range(SEGMENTS):
            points[:, index + 1] = np.clip(points[:, index] + steps[:, index], 0.0, corner)
        widths = (request.side * rng.uniform(*brush.width, CHUNK)).tolist()
        used = rng.integers(2, SEGMENTS + 2, CHUNK).tolist()
        chances = rng.random(CHUNK).tolist()
        fixed = _to_fixed(points)
        for index in range(CHUNK if count is None else min(CHUNK, count - produced)):
            yield _stroke(points[index, : used[index]], fixed[index, : used[index]], widths[index], chances[index])
        produced += CHUNK


def _to_fixed(points: NDArray[np.float64]) -> NDArray[np.int32]:
    return np.round(points * (1 << SUBPIXEL_BITS)).astype(np.int32)


def _stroke(points: NDArray[np.float64], fixed: NDArray[np.int32], width: float, chance: float) -> Drawing:
    import cv2

    def draw_stroke(canvas: Canvas, part: float) -> None:
        shown = fixed if part >= 1.0 else _to_fixed(_beginning(points, part))
        thickness = thickness_for(width * min(1.0, 2.0 * part), chance)
        cv2.polylines(canvas, [shown], False, 1, thickness, cv2.LINE_8, SUBPIXEL_BITS)

    return draw_stroke


def _beginning(points: NDArray[np.float64], part: float) -> NDArray[np.float64]:
    lengths = np.hypot(*np.diff(points, axis=0).T)
    reached = np.concatenate([[0.0], np.cumsum(lengths)])
    end = part * reached[-1]
    last = int(np.searchsorted(reached[1:], end))
    share = (end - reached[last]) / max(lengths[last], 1e-9)
    return np.concatenate([points[: last + 1], [points[last] + share * (points[last + 1] - points[last])]])


GENERATOR = Generator(
    "strokes",
    "brush strokes, thin, medium or thick",
    StrokesOptions,
    draw,
    examples=tuple(Example(brush, {"brush": brush}) for brush in BRUSHES),
    controls=(Control("brush"),),
)
