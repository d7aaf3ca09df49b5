"""Points, numbers and colors that people (and other nodes) write into text fields."""

from __future__ import annotations

import json
import math
import re

MOST_POINTS = 10_000
LARGEST_INDEX = 1_000_000


def parse_points(text: str) -> list[tuple[float, float]]:
    """Read points in pixels.

    Parameters
    ----------
    text
        JSON, `[{"x": 5, "y": 7}, ...]` or `[[5, 7], ...]`, or plain `5, 7` separated by line breaks or semicolons.
        Empty means no points.

    Raises
    ------
    ValueError
        Anything else, more than `MOST_POINTS` points, or a coordinate that is not finite.
    """
    if not text.strip():
        return []
    if text.strip().startswith(("[", "{")):
        points = _parse_json(text)
    else:
        points = [re.split(r"[,\s]+", part.strip()) for part in re.split(r"[;\n]", text) if part.strip()]
    if len(points) > MOST_POINTS:
        raise ValueError(f"{len(points)} points are too many: at most {MOST_POINTS} are accepted")
    return [_point(point) for point in points]


def _parse_json(text: str) -> list[object]:
    try:
        value = json.loads(text)
    except (json.JSONDecodeError, RecursionError):
        raise ValueError(f"{text.strip()[:60]!r} is not JSON; write points as: 5, 7; 20, 30") from None
    return value if isinstance(value, list) else [value]


def _point(value: object) -> tuple[float, float]:
    pair = [value.get("x"), value.get("y")] if isinstance(value, dict) else value
    try:
        if not isinstance(pair, list):
            raise TypeError
        x, y = (float(number) for number in pair)
    except (TypeError, ValueError):
        raise ValueError(f'{str(value)[:60]!r} is not a point; write 5, 7 or {{"x": 5, "y": 7}}') from None
    if not (math.isfinite(x) and math.isfinite(y)):
        raise ValueError(f"{x}, {y} is not a point in a picture")
    return x, y


def parse_indices(text: str) -> list[int]:
    """Read numbers and ranges, as in `0, 4, 10-15`; a range includes both ends.

    Raises
    ------
    ValueError
        Anything else, or a number above `LARGEST_INDEX`.
    """
    indices: list[int] = []
    for part in re.split(r"[,;\s]+", re.sub(r"\s*-\s*", "-", text.strip())):
        match = re.fullmatch(r"(\d{1,7})(?:-(\d{1,7}))?", part, re.ASCII)
        if match is None or int(match[2] or match[1]) > LARGEST_INDEX:
            raise ValueError(f"{part[:60]!r} is not a number or a range; write like: 0, 4, 10-15")
        indices += range(int(match[1]), int(match[2] or match[1]) + 1)
        if len(indices) > LARGEST_INDEX:
            raise ValueError(f"more than {LARGEST_INDEX} numbers")
    return indices


def parse_color(text: str) -> tuple[float, float, float]:
    """Read `#rrggbb` or `#rgb` as RGB in 0..1.

    Raises
    ------
    ValueError
        Anything else.
    """
    digits = text.strip().removeprefix("#")
    if len(digits) == 3:
        digits = "".join(2 * digit for digit in digits)
    if not re.fullmatch(r"[0-9a-fA-F]{6}", digits):
        raise ValueError(f"{text[:60]!r} is not a color; write like #3060c0")
    red, green, blue = bytes.fromhex(digits)
    return red / 255.0, green / 255.0, blue / 255.0
