"""Pictures of an evaluation, drawn with Pillow: fills side by side, and quality against time."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from inpaint_core.files.images import to_bytes

from ..charts import BLUE, GRID, INK, ticks

Box = tuple[float, float, float, float]

GAP, HEADER, MARGIN = 6, 26, 84
TEXT, LINES_ACROSS = (
    15,
    60,
)  # text size in pixels: relative to the page's width, because wide pages are viewed at a reduced size
HOLE = 1.0
MIN_CELL, MAX_CELL = 160, 512  # longer side of a picture in the grid
WIDTH, HEIGHT = 960, 600
LEFT, RIGHT, TOP, BOTTOM = 76, 36, 48, 56


def with_hole(image: Tensor, mask: Tensor) -> Tensor:
    """`[3,H,W]` with white where `[1,H,W]` is 1."""
    return torch.where(mask > 0.5, torch.full_like(image, HOLE), image)


def draw_grid(columns: Sequence[str], rows: Sequence[tuple[str, Sequence[Tensor]]]) -> Image.Image:
    """Pictures side by side, with the names of the columns above and those of the rows to the left.

    Parameters
    ----------
    columns
        Name of each picture in a row.
    rows
        Name (one or two lines; may be empty) and pictures `[3,H,W]` in 0..1 of each row, all of one size. Small ones
        are enlarged by an integer factor, by nearest-neighbor sampling, and large ones reduced.
    """
    height, width = _shown_size(*rows[0][1][0].shape[-2:])
    margin = MARGIN if any(name for name, _ in rows) else GAP
    page_width = margin + len(columns) * (width + GAP)
    text = max(TEXT, min(page_width // LINES_ACROSS, width // 8))
    header = round(HEADER * text / TEXT)
    page = Image.new("RGB", (page_width, header + len(rows) * (height + GAP)), "white")
    draw = ImageDraw.Draw(page)
    for number, name in enumerate(columns):
        left = margin + number * (width + GAP)
        draw.text((left + width / 2, header / 2), fit(name, width, text), fill=INK, font=_font(text), anchor="mm")
    for row, (name, pictures) in enumerate(rows):
        top = header + row * (height + GAP)
        draw.multiline_text((margin / 2, top + height / 2), name, fill=INK, font=_font(13), anchor="mm", align="center")
        for number, picture in enumerate(pictures):
            page.paste(_resized(picture, width, height), (margin + number * (width + GAP), top))
    return page


def _shown_size(height: int, width: int) -> tuple[int, int]:
    longest = max(height, width)
    scale = min(1.0, MAX_CELL / longest) if longest >= MIN_CELL else math.ceil(MIN_CELL / longest)
    return max(1, round(scale * height)), max(1, round(scale * width))


def _resized(picture: Tensor, width: int, height: int) -> Image.Image:
    drawn = Image.fromarray(to_bytes(picture))
    if drawn.size == (width, height):
        return drawn
    return drawn.resize((width, height), Image.Resampling.NEAREST if drawn.width < width else Image.Resampling.LANCZOS)


def draw_scatter(points: Sequence[tuple[str, float, float]], title: str) -> Image.Image:
    """Quality against time, on a logarithmic axis.

    Parameters
    ----------
    points
        Name, seconds (above 0) and quality of each method.
    title
        Name of the quality metric.
    """
    picture = Image.new("RGB", (WIDTH, HEIGHT), "white")
    draw = ImageDraw.Draw(picture)
    first = math.floor(math.log10(min(seconds for _, seconds, _ in points)) - 0.1)
    last = max(first + 1, math.ceil(math.log10(max(seconds for _, seconds, _ in points)) + 0.1))
    low, high = min(quality for *_, quality in points), max(quality for *_, quality in points)
    space = 0.15 * (high - low) or 0.05 * abs(high) or 1.0
    low, high = low - space, high + space
    box = (LEFT, TOP, WIDTH - RIGHT, HEIGHT - BOTTOM)

    def place(logarithm: float, quality: float) -> tuple[float, float]:
        x = box[0] + (box[2] - box[0]) * (logarithm - first) / (last - first)
        return x, box[3] - (box[3] - box[1]) * (quality - low) / (high - low)

    draw.text((LEFT, 16), title, fill=INK, font=_font(16))
    for tick in ticks(low, high):
        y = place(first, tick)[1]
        draw.line((box[0], y, box[2], y), fill=GRID)
        draw.text((LEFT - 8, y), f"{tick:.4g}", fill=INK, font=_font(14), anchor="rm")
    for power in range(first, last + 1):
        for factor in (1, 2, 5):
            x = place(power + math.log10(factor), low)[0]
            if x <= box[2] + 0.5:
                draw.line((x, box[1], x, box[3]), fill=GRID)
                draw.text((x, box[3] + 8), f"{factor * 10.0**power:g}", fill=INK, font=_font(14), anchor="mt")
    draw.text((WIDTH / 2, HEIGHT - 8), "seconds per picture", fill=INK, font=_font(15), anchor="mb")
    draw.rectangle(box, outline=INK)
    taken: list[Box] = []
    for _, seconds, quality in points:
        x, y = place(math.log10(seconds), quality)
        draw.ellipse((x - 6, y - 6, x + 6, y + 6), fill=BLUE, outline="white")
        taken.append((x - 6, y - 6, x + 6, y + 6))
    for name, seconds, quality in points:
        _label(draw, name, place(math.log10(seconds), quality), box, taken)
    return picture


def fit(text: str, width: float, size: int = 15) -> str:
    """`text`, shortened in the middle if it is wider than `width` pixels."""
    font = _font(size)
    if font.getlength(text) <= width:
        return text
    keep = len(text)
    while keep > 2 and font.getlength(_shortened(text, keep)) > width:
        keep -= 1
    return _shortened(text, keep)


def _shortened(text: str, keep: int) -> str:
    return f"{text[: (keep + 1) // 2]}...{text[len(text) - keep // 2 :]}"


def _label(draw: ImageDraw.ImageDraw, name: str, point: tuple[float, float], box: Box, taken: list[Box]) -> None:
    """Write a name next to its point, avoiding points and other names."""
    x, y = point
    places = [(x + 11, y, "lm"), (x - 11, y, "rm"), (x, y - 10, "mb"), (x, y + 10, "mt")]
    places += [(x + 11, y + step, "lm") for step in (-18, 18, -36, 36)]
    boxes = [draw.textbbox((left, top), name, font=_font(15), anchor=anchor) for left, top, anchor in places]
    free = [
        number
        for number, area in enumerate(boxes)
        if box[0] <= area[0] and area[2] <= box[2] and not any(_overlap(area, other) for other in taken)
    ]
    chosen = free[0] if free else 0
    left, top, anchor = places[chosen]
    draw.text((left, top), name, fill=INK, font=_font(15), anchor=anchor)
    taken.append(boxes[chosen])


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
