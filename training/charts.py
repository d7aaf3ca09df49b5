"""Charts drawn with Pillow: a panel of curves with axes, and the style shared by all charts."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PIL import ImageDraw, ImageFont

Curve = list[tuple[float, float]]

WIDTH, PANEL_HEIGHT = 960, 360
LEFT, RIGHT, TOP, BOTTOM = 76, 36, 34, 40
INK, PALE, GRID, BLUE, ORANGE = (30, 30, 30), (176, 200, 232), (226, 226, 226), (24, 90, 189), (206, 92, 0)


def draw_panel(
    draw: ImageDraw.ImageDraw,
    top: int,
    title: str,
    curves: Sequence[tuple[Curve, tuple[int, int, int], int]],
    last: float,
    span: tuple[float, float] | None = None,
) -> None:
    """Draw curves with axes, `PANEL_HEIGHT` pixels high and `WIDTH` wide.

    Parameters
    ----------
    draw
        A picture.
    top
        Upper edge of the panel.
    title
        Shown above the panel.
    curves
        Points (step, value), RGB color and width in pixels of each curve, drawn in order.
    last
        The last step; the axis starts at 0.
    span
        Smallest and largest value to show; None for those of the last curve.
    """
    font = ImageFont.load_default(15)
    # The first steps of a run have extreme values that would flatten the rest, so the axis follows the last curve.
    leading = span or [value for _, value in curves[-1][0] if math.isfinite(value)] or [0.0]
    low, high = min(leading), max(leading)
    margin = 0.08 * (high - low) or 0.05 * abs(high) or 1.0
    low, high = (max(low - margin, 0.0) if low >= 0.0 else low - margin), high + margin
    box = (LEFT, top + TOP, WIDTH - RIGHT, top + PANEL_HEIGHT - BOTTOM)

    def place(step: float, value: float) -> tuple[float, float]:
        x = box[0] + (box[2] - box[0]) * step / max(last, 1)
        y = box[3] - (box[3] - box[1]) * (min(max(value, low), high) - low) / (high - low)
        return x, y

    draw.text((LEFT, top + 8), title, fill=INK, font=font)
    for tick in ticks(low, high):
        y = place(0, tick)[1]
        draw.line((box[0], y, box[2], y), fill=GRID)
        draw.text((LEFT - 8, y), f"{tick:.4g}", fill=INK, font=font, anchor="rm")
    for tick in ticks(0, last):
        x = place(tick, low)[0]
        draw.line((x, box[1], x, box[3]), fill=GRID)
        draw.text((x, box[3] + 8), f"{tick:g}", fill=INK, font=font, anchor="mt")
    draw.text((WIDTH - RIGHT, top + 8), "step", fill=INK, font=font, anchor="ra")
    for curve, color, width in curves:
        points = [place(step, value) for step, value in curve if math.isfinite(value)]
        if len(points) > 1:
            draw.line(points, fill=color, width=width, joint="curve")
        elif points:
            x, y = points[0]
            draw.ellipse((x - 3, y - 3, x + 3, y + 3), fill=color)
    draw.rectangle(box, outline=INK)


def ticks(low: float, high: float) -> list[float]:
    """Round numbers, at most seven, between two values."""
    rough = (high - low) / 6 or 1.0
    power = 10.0 ** math.floor(math.log10(rough))
    distance = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    first = math.ceil(low / distance - 1e-9)
    return [round(number * distance, 12) for number in range(first, math.floor(high / distance + 1e-9) + 1)]
