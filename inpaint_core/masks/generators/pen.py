"""OpenCV line thicknesses whose mean width is correct at every resolution."""

from __future__ import annotations

import math
from bisect import bisect_right
from functools import lru_cache

import numpy as np

MEASURED = 40  # thicknesses from 1; beyond this, the excess is small relative to the width
SIDE, HALF_LENGTH = 192, 64.0
ANGLES = tuple(0.13 + 0.26 * step for step in range(12))  # radians, evenly distributed over half a turn
SUBPIXEL_BITS = 4


def thickness_for(width: float, chance: float) -> int:
    """OpenCV thickness for lines that are `width` pixels wide on average over `chance` in 0..1.

    OpenCV draws lines wider than requested, in steps of one or two pixels that depend on its version: thin strokes in
    small pictures would be a fifth too wide.
    """
    widths = line_widths()
    if width >= widths[-1]:
        return math.floor(width - (widths[-1] - MEASURED) + chance)
    above = bisect_right(widths, width)
    if above == 0:
        return 1
    low, high = widths[above - 1], widths[above]
    return above + 1 if chance * (high - low) < width - low else above


@lru_cache(maxsize=1)
def line_widths() -> tuple[float, ...]:
    """Measured mean widths of OpenCV's lines of thickness 1, 2, ..., non-decreasing."""
    widths = [float(np.mean([_measure(thickness, angle) for angle in ANGLES])) for thickness in range(1, MEASURED + 1)]
    return tuple(np.maximum.accumulate(widths).tolist())


def _measure(thickness: int, angle: float) -> float:
    import cv2

    canvas = np.zeros((SIDE, SIDE), np.uint8)
    reach = HALF_LENGTH * np.array([math.cos(angle), math.sin(angle)])
    ends = np.round((SIDE / 2 + angle + np.stack([-reach, reach])) * (1 << SUBPIXEL_BITS)).astype(np.int32)
    cv2.polylines(canvas, [ends], False, 1, thickness, cv2.LINE_8, SUBPIXEL_BITS)
    # A line of width w and length l with round ends covers w l + pi w^2 / 4.
    length = 2.0 * HALF_LENGTH
    return (math.sqrt(length**2 + math.pi * cv2.countNonZero(canvas)) - length) * 2.0 / math.pi
