"""`loss.png`: the losses and the held-out measurement over the steps, drawn with Pillow."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from inpaint_core.files.atomic import atomic_path

from ..events import Event, Preview, RolledBack, StepDone, Validated
from .metrics_log import logged_loss, logged_score, read_metrics

Curve = list[tuple[float, float]]

WIDTH, PANEL_HEIGHT = 960, 360
LEFT, RIGHT, TOP, BOTTOM = 76, 36, 34, 40
MAX_POINTS = 4000
INK, PALE, GRID, BLUE, ORANGE = (30, 30, 30), (176, 200, 232), (226, 226, 226), (24, 90, 189), (206, 92, 0)


class LossPlot:
    """Redrawn with every preview and at the end, from what the log holds.

    Parameters
    ----------
    path
        Where the picture goes.
    history
        A `metrics.jsonl` of the steps already done.
    """

    def __init__(self, path: Path, history: Path) -> None:
        self._path = path
        self._losses: Curve = []
        self._scores: Curve = []
        self._score_name = ""
        for record in read_metrics(history):
            self._add(record["step"], record)

    def __call__(self, event: Event) -> None:
        match event:
            case StepDone():
                self._add_loss(event.step, logged_loss(event.losses["loss"]))
            case Validated():
                name, value = next(iter(event.metrics.items()))
                self._score_name = name
                self._scores.append((event.step, logged_score(value)))
            case RolledBack():
                self._losses = [point for point in self._losses if point[0] <= event.step]
                self._scores = [point for point in self._scores if point[0] <= event.step]
            case Preview():
                self.finish()
            case _:
                pass

    def unwritten(self) -> None:
        """See `LogWriter.unwritten`: it is drawn anew anyway."""

    def finish(self) -> None:
        """See `LogWriter.finish`."""
        if self._losses:
            with atomic_path(self._path) as temporary:
                draw_plot(self._losses, self._scores, self._score_name).save(temporary)

    def _add(self, step: int, record: dict[str, Any]) -> None:
        self._add_loss(step, record.get("loss", math.nan))
        for name, value in record.items():
            if name.startswith("held_out_"):
                self._score_name = name.removeprefix("held_out_")
                self._scores.append((step, value))
                break

    def _add_loss(self, step: int, loss: float) -> None:
        self._losses.append((step, loss))
        if len(self._losses) > 2 * MAX_POINTS:
            # Bounded however long the run: neighbours are averaged.
            pairs = zip(self._losses[::2], self._losses[1::2], strict=False)
            self._losses = [((a[0] + b[0]) / 2, (a[1] + b[1]) / 2) for a, b in pairs]


def draw_plot(losses: Curve, scores: Curve, score_name: str) -> Image.Image:
    """One panel with the loss (raw pale, smoothed dark), a second one with the held-out measurement where there is
    one."""
    panels: list[tuple[str, list[tuple[Curve, tuple[int, int, int], int]]]] = [
        ("training loss", [(losses, PALE, 1), (_smooth(losses), BLUE, 3)])
    ]
    if scores:
        panels.append((f"held-out pictures: {score_name.replace('_', ' ')} (dB)", [(scores, ORANGE, 3)]))
    picture = Image.new("RGB", (WIDTH, PANEL_HEIGHT * len(panels)), "white")
    draw = ImageDraw.Draw(picture)
    last = max(step for step, _ in (*losses, *scores))
    for number, (title, curves) in enumerate(panels):
        draw_panel(draw, number * PANEL_HEIGHT, title, curves, last)
    return picture


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
        Upper edge of the panel in it.
    title
        Written above.
    curves
        Points (step, value), RGB colour and width in pixels of each, drawn in order.
    last
        The steps reach from 0 to here.
    span
        Smallest and largest value to show; None for those of the last curve.
    """
    font = ImageFont.load_default(15)
    # The first steps of a training are far off and would flatten the rest: the axis follows the last drawn curve.
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
    for curve, colour, width in curves:
        points = [place(step, value) for step, value in curve if math.isfinite(value)]
        if len(points) > 1:
            draw.line(points, fill=colour, width=width, joint="curve")
        elif points:
            x, y = points[0]
            draw.ellipse((x - 3, y - 3, x + 3, y + 3), fill=colour)
    draw.rectangle(box, outline=INK)


def _smooth(curve: Curve) -> Curve:
    """Exponential average over about a fiftieth of the run, started without bias (Kingma and Ba 2015, section 3)."""
    decay = 1.0 - 1.0 / max(len(curve) / 50, 1.0)
    smooth, total, weight = [], 0.0, 0.0
    for step, value in curve:
        if math.isfinite(value):
            total, weight = decay * total + (1.0 - decay) * value, decay * weight + (1.0 - decay)
            smooth.append((step, total / weight))
    return smooth


def ticks(low: float, high: float) -> list[float]:
    """Round numbers, at most seven, between two values."""
    rough = (high - low) / 6 or 1.0
    power = 10.0 ** math.floor(math.log10(rough))
    distance = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    first = math.ceil(low / distance - 1e-9)
    return [round(number * distance, 12) for number in range(first, math.floor(high / distance + 1e-9) + 1)]
