"""`loss.png`: the losses and the held-out measurement over the steps, drawn with Pillow."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from inpaint_core.files.atomic import atomic_path

from ..charts import BLUE, ORANGE, PALE, PANEL_HEIGHT, WIDTH, Curve, draw_panel
from ..events import Event, Preview, RolledBack, StepDone, Validated
from .metrics_log import logged_loss, logged_score, read_metrics

MAX_POINTS = 4000


class LossPlot:
    """Redraws the plot from the logged values with every preview and at the end.

    Parameters
    ----------
    path
        File of the picture.
    history
        A `metrics.jsonl` with the steps done so far.
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
        """See `LogWriter.unwritten`: nothing, because it is redrawn anyway."""

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
            # Bounded for runs of any length, by averaging neighbors.
            pairs = zip(self._losses[::2], self._losses[1::2], strict=False)
            self._losses = [((a[0] + b[0]) / 2, (a[1] + b[1]) / 2) for a, b in pairs]


def draw_plot(losses: Curve, scores: Curve, score_name: str) -> Image.Image:
    """One panel with the loss (raw pale, smoothed dark), and a second one with the held-out measurement, if any."""
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


def _smooth(curve: Curve) -> Curve:
    """Exponential average over about a fiftieth of the run, bias-corrected (Kingma and Ba 2015, section 3)."""
    decay = 1.0 - 1.0 / max(len(curve) / 50, 1.0)
    smooth, total, weight = [], 0.0, 0.0
    for step, value in curve:
        if math.isfinite(value):
            total, weight = decay * total + (1.0 - decay) * value, decay * weight + (1.0 - decay)
            smooth.append((step, total / weight))
    return smooth
