"""The pictures of a sweep's report, drawn with Pillow: learning curves, bars with intervals, filled pictures."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean

from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from inpaint_core.files.images import to_bytes

from ..callbacks.metrics_log import read_metrics
from ..charts import GRID, INK, LEFT, PANEL_HEIGHT, TOP, WIDTH, Curve, draw_panel, ticks
from .config import Combination
from .statistics import Axis

Color = tuple[int, int, int]
# Okabe and Ito 2008: distinguishable with color blindness.
COLORS: tuple[Color, ...] = (
    *((0, 114, 178), (213, 94, 0), (0, 158, 115), (204, 121, 167)),
    *((230, 159, 0), (86, 180, 233), (120, 94, 60), (90, 90, 90)),
)
SCORE = "held_out_hole_psnr"
TEXT, SMALL = 15, 13
BAR, GAP, BAR_PANEL, NAMES = 46, 26, 340, 84
CELL, CAPTION, MARGIN = 128, 20, 8


def read_curve(metrics: Path) -> Curve:
    """PSNR of the validation pictures over the steps, from a run's `metrics.jsonl`."""
    return [(float(line["step"]), float(line[SCORE])) for line in read_metrics(metrics) if SCORE in line]


def draw_curves(axes: Mapping[str, Sequence[str]], curves: Sequence[tuple[Combination, Curve]]) -> Image.Image:
    """One panel per axis: every run in a pale color, the mean of all runs of a level in a strong one."""
    picture = Image.new("RGB", (WIDTH, PANEL_HEIGHT * len(axes)), "white")
    draw = ImageDraw.Draw(picture)
    drawn = [(run, curve) for run, curve in curves if curve]
    last = max((curve[-1][0] for _, curve in drawn), default=1.0)
    for number, (axis, levels) in enumerate(axes.items()):
        means = [(level, _mean_curve([c for run, c in drawn if run.levels[axis] == level])) for level in levels]
        strong = [value for _, curve in means for step, value in curve if step >= 0.1 * last]
        peaks = [max(value for _, value in curve) for _, curve in drawn]
        span = (min(strong, default=0.0), max([*strong, *peaks], default=1.0))
        shades = {level: COLORS[position % len(COLORS)] for position, level in enumerate(levels)}
        lines = [(curve, _pale(shades[run.levels[axis]]), 1) for run, curve in drawn]
        lines += [(curve, shades[level], 3) for level, curve in means]
        top = number * PANEL_HEIGHT
        draw_panel(draw, top, f"by {axis}: PSNR in the holes of validation pictures (dB)", lines, last, span)
        _legend(draw, top + TOP + 10, shades)
    return picture


def draw_bars(
    order: Mapping[str, Sequence[str]], axes: Sequence[Axis], floor: float, lines: Mapping[str, float]
) -> Image.Image:
    """Mean of every level of every axis with its interval; the bars start at the score of the simplest fill.

    Parameters
    ----------
    order
        Levels by axis, for the same colors as in the curves.
    axes
        Results to draw, best levels first.
    floor
        PSNR of the mean fill in dB.
    lines
        PSNR of other fills, drawn as lines.
    """
    shown = [axis for axis in axes if any(level.mean is not None for level in axis.levels)]
    widths = [len(axis.levels) * (BAR + GAP) + GAP for axis in shown]
    font, small = ImageFont.load_default(TEXT), ImageFont.load_default(SMALL)
    columns = max(max(widths, default=0) + LEFT + NAMES, 680)
    picture = Image.new("RGB", (columns, BAR_PANEL * max(len(shown), 1)), "white")
    draw = ImageDraw.Draw(picture)
    lines = {"mean fill": floor, **lines}
    ends = list(lines.values())
    for axis in shown:
        for level in axis.levels:
            if level.mean is not None:
                half = level.mean.half or 0.0
                ends += [level.mean.mean - half, level.mean.mean + half]
    low, high = min(ends), max(ends)
    low, high = low - 0.04 * (high - low), high + 0.1 * (high - low) or 1.0
    for number, axis in enumerate(shown):
        top, bottom = number * BAR_PANEL + TOP, (number + 1) * BAR_PANEL - 52
        left, right = LEFT, columns - NAMES
        height = _scale(low, high, top, bottom)
        draw.text((left, top - 26), f"by {axis.name}: PSNR in the holes of test pictures (dB)", fill=INK, font=font)
        for tick in ticks(low, high):
            draw.line((left, height(tick), right, height(tick)), fill=GRID)
            draw.text((left - 8, height(tick)), f"{tick:.4g}", fill=INK, font=font, anchor="rm")
        pitch = (right - left) / len(axis.levels)
        for position, level in enumerate(axis.levels):
            center = left + (position + 0.5) * pitch
            draw.text((center, bottom + 8), level.name, fill=INK, font=_fitting(level.name, pitch - 6), anchor="ma")
            if level.mean is None:
                draw.text((center, height(floor) - 4), "failed", fill=INK, font=small, anchor="mb")
                continue
            value = level.mean.mean
            color = COLORS[list(order[axis.name]).index(level.name) % len(COLORS)]
            edges = sorted((height(value), height(floor)))
            draw.rectangle((center - BAR / 2, edges[0], center + BAR / 2, edges[1]), fill=color)
            reach = height(value)
            if level.mean.half is not None:
                upper, lower = height(value + level.mean.half), height(value - level.mean.half)
                draw.line((center, upper, center, lower), fill=INK, width=2)
                for y in (upper, lower):
                    draw.line((center - 8, y, center + 8, y), fill=INK, width=2)
                reach = min(upper, reach)
            count = f"{level.mean.mean:.2f}"
            draw.text((center, min(reach, height(floor)) - 4), count, fill=INK, font=small, anchor="mb")
            more = f"{level.failed} of {level.runs} failed" if level.failed else ""
            draw.text((center, bottom + 28), more, fill=INK, font=_fitting(more, pitch - 6), anchor="ma")
        draw.line((left, height(floor), right, height(floor)), fill=INK, width=1)
        for name, value in lines.items():
            if value != floor:
                _dashed(draw, left, right, height(value))
            draw.text((right + 6, height(value)), name, fill=INK, font=small, anchor="lm")
    return picture


def draw_pictures(
    axes: Mapping[str, Sequence[str]],
    given: Sequence[tuple[str, Tensor]],
    filled: Mapping[tuple[str, ...], tuple[str, Tensor | None]],
) -> Image.Image:
    """The same picture filled by every combination; the columns are the levels of the axis with the most levels, the
    rows are those of the others.

    Parameters
    ----------
    axes
        Levels by axis.
    given
        Captions and pictures `[3,H,W]` of the first row: the ground truth, the holes, fills without training.
    filled
        Caption and picture by one level of every axis; None for a run that failed.
    """
    names = list(axes)
    wide = max(range(len(names)), key=lambda number: (len(axes[names[number]]), -number))
    columns = list(axes[names[wide]])
    rows: dict[tuple[str, ...], list[tuple[str, Tensor | None]]] = {}
    for levels, cell in filled.items():
        rows.setdefault(levels[:wide] + levels[wide + 1 :], []).append(cell)
    size = next(image for _, image in given).shape[-1]
    side = size * max(1, math.ceil(CELL / size))
    font = ImageFont.load_default(SMALL)
    labels = [" ".join(row) for row in rows]
    head = max([int(font.getlength(label)) for label in labels] + [60]) + 2 * MARGIN
    step_x, step_y = side + MARGIN, side + CAPTION + MARGIN
    across = max(len(columns), len(given))
    top_row = step_y + CAPTION
    picture = Image.new("RGB", (head + across * step_x, top_row + MARGIN + len(rows) * step_y + MARGIN), "white")
    draw = ImageDraw.Draw(picture)

    def paste(column: int, top: int, caption: str, image: Tensor | None) -> None:
        left = head + column * step_x
        if image is None:
            draw.rectangle((left, top, left + side - 1, top + side - 1), fill=GRID)
            draw.text((left + side / 2, top + side / 2), "failed", fill=INK, font=font, anchor="mm")
        else:
            enlarged = Image.fromarray(to_bytes(image)).resize((side, side), Image.Resampling.NEAREST)
            picture.paste(enlarged, (left, top))
        draw.text((left + side / 2, top + side + 3), caption, fill=INK, font=_fitting(caption, side), anchor="ma")

    for column, (caption, image) in enumerate(given):
        paste(column, MARGIN, caption, image)
    for column, name in enumerate(columns):
        left = head + column * step_x + side / 2
        draw.text((left, step_y + MARGIN), name, fill=INK, font=ImageFont.load_default(TEXT), anchor="ma")
    for number, (label, cells) in enumerate(zip(labels, rows.values(), strict=True)):
        top = top_row + MARGIN + number * step_y
        draw.text((MARGIN, top + side / 2), label, fill=INK, font=font, anchor="lm")
        for column, (caption, result) in enumerate(cells):
            paste(column, top, caption, result)
    return picture


def _mean_curve(curves: Sequence[Curve]) -> Curve:
    """Mean at every step that all curves reach."""
    if not curves:
        return []
    tables = [dict(curve) for curve in curves]
    steps = sorted(set.intersection(*(set(table) for table in tables)))
    return [(step, fmean(table[step] for table in tables)) for step in steps]


def _legend(draw: ImageDraw.ImageDraw, top: float, shades: Mapping[str, Color]) -> None:
    font = ImageFont.load_default(TEXT)
    for number, (level, color) in enumerate(shades.items()):
        y = top + 20 * number
        draw.line((LEFT + 14, y + 8, LEFT + 38, y + 8), fill=color, width=3)
        draw.text((LEFT + 46, y + 8), level, fill=INK, font=font, anchor="lm")


def _pale(color: Color) -> Color:
    red, green, blue = (round(255 - 0.3 * (255 - value)) for value in color)
    return red, green, blue


def _scale(low: float, high: float, top: float, bottom: float) -> Callable[[float], float]:
    return lambda value: bottom - (bottom - top) * (value - low) / (high - low)


def _fitting(text: str, width: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The largest font in which a text fits this width."""
    for size in (TEXT, SMALL, 11, 9):
        font = ImageFont.load_default(size)
        if font.getlength(text) <= width:
            break
    return font


def _dashed(draw: ImageDraw.ImageDraw, left: float, right: float, y: float) -> None:
    x = left
    while x < right:
        draw.line((x, y, min(x + 6, right), y), fill=INK)
        x += 10
