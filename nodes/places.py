"""Places, numbers and colors typed into nodes or sent by other nodes."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence

MAX_POINTS = 10_000
MAX_BOXES = 1_000
MAX_INDEX = 1_000_000

Point = tuple[float, float]
Box = tuple[float, float, float, float]


def inside(points: list[Point], size: tuple[int, int]) -> list[Point]:
    """Check that all `points` `(x, y)` lie in pictures of `size` (height, width) pixels; the far edges count as inside.

    Raises
    ------
    ValueError
        A point lies outside.
    """
    height, width = size
    for x, y in points:
        if not (0 <= x <= width and 0 <= y <= height):
            raise ValueError(
                f"the point {x:g}, {y:g} is outside the picture of {width}x{height} pixels: x ranges from 0 to "
                f"{width - 1}, y from 0 to {height - 1}"
            )
    return points


def linked_points(value: object) -> list[Point]:
    """Points from another node: None, text for `parse_points`, or its parsed form.

    Raises
    ------
    ValueError
        As `parse_points`.
    """
    if value is None:
        return []
    if isinstance(value, str):
        return parse_points(value)
    points = list(value) if isinstance(value, (list, tuple)) and not _is_pair(value) else [value]
    return _points(points)


def linked_boxes(value: object) -> list[Box]:
    """Boxes from another node, as `(left, top, right, bottom)` in pixels.

    Parameters
    ----------
    value
        `{"x": 0, "y": 0, "width": 9, "height": 9}`, `[left, top, right, bottom]`, a list of these, lists of such lists,
        or JSON of any of them.

    Raises
    ------
    ValueError
        Anything else, or more than `MAX_BOXES`.
    """
    if isinstance(value, str):
        value = _parse_json(value, "boxes as: [left, top, right, bottom]")
    found = list(_boxes(value, 0))
    if len(found) > MAX_BOXES:
        raise ValueError(f"{len(found)} boxes are too many: at most {MAX_BOXES} are accepted")
    return found


def _boxes(value: object, depth: int) -> list[Box]:
    if isinstance(value, dict):
        corner = [_finite(value.get(name)) for name in ("x", "y", "width", "height")]
        if None not in corner:
            x, y, width, height = (number or 0.0 for number in corner)
            return [(x, y, x + width, y + height)]
    elif isinstance(value, (list, tuple)):
        numbers = [_finite(item) for item in value]
        if len(value) == 4 and None not in numbers:
            left, top, right, bottom = (number or 0.0 for number in numbers)
            return [(left, top, right, bottom)]
        if depth < 3 and all(number is None for number in numbers):
            return [box for item in value for box in _boxes(item, depth + 1)]
    raise ValueError(f'{str(value)[:60]!r} is not a box: {{"x", "y", "width", "height"}} or [left, top, right, bottom]')


def _finite(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return float(value)


def _is_pair(value: Sequence[object]) -> bool:
    return len(value) == 2 and all(_finite(item) is not None for item in value)


def parse_points(text: str) -> list[Point]:
    """Read points in pixels.

    Parameters
    ----------
    text
        JSON, `[{"x": 5, "y": 7}, ...]` or `[[5, 7], ...]`, or plain `5, 7` separated by line breaks or semicolons.
        Empty means no points.

    Raises
    ------
    ValueError
        Anything else, more than `MAX_POINTS` points, or a coordinate that is not finite.
    """
    if not text.strip():
        return []
    if text.strip().startswith(("[", "{")):
        value = _parse_json(text, "points as: 5, 7; 20, 30")
        return _points(value if isinstance(value, list) and not _is_pair(value) else [value])
    return _points([re.split(r"[,\s]+", part.strip()) for part in re.split(r"[;\n]", text) if part.strip()])


def _points(values: Sequence[object]) -> list[Point]:
    if len(values) > MAX_POINTS:
        raise ValueError(f"{len(values)} points are too many: at most {MAX_POINTS} are accepted")
    return [_point(value) for value in values]


def _parse_json(text: str, accepted: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):  # including numbers with too many digits
        raise ValueError(f"{text.strip()[:60]!r} is not JSON; write {accepted}") from None


def _point(value: object) -> Point:
    pair = [value.get("x"), value.get("y")] if isinstance(value, dict) else value
    try:
        if not isinstance(pair, (list, tuple)):
            raise TypeError
        x, y = (float(number) for number in pair)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f'{str(value)[:60]!r} is not a point; write 5, 7 or {{"x": 5, "y": 7}}') from None
    if not (math.isfinite(x) and math.isfinite(y)):
        raise ValueError(f"{x}, {y} is not a point in a picture: coordinates must be finite")
    return x, y


def parse_indices(text: str) -> list[int]:
    """Read numbers and ranges, as in `0, 4, 10-15`; a range includes both ends.

    Raises
    ------
    ValueError
        Anything else, or a number above `MAX_INDEX`.
    """
    indices: list[int] = []
    spaced = " ".join(text.split()).replace(" -", "-").replace("- ", "-")
    for part in re.split(r"[,; ]+", spaced) if spaced else []:
        match = re.fullmatch(r"(\d{1,7})(?:-(\d{1,7}))?", part, re.ASCII)
        if match is None or int(match[2] or match[1]) > MAX_INDEX:
            raise ValueError(f"{part[:60]!r} is not a number or a range; write, for example: 0, 4, 10-15")
        indices += range(int(match[1]), int(match[2] or match[1]) + 1)
        if len(indices) > MAX_INDEX:
            raise ValueError(f"there are more than {MAX_INDEX} numbers; select fewer superpixels")
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
        raise ValueError(f"{text[:60]!r} is not a color; write, for example: #3060c0")
    red, green, blue = bytes.fromhex(digits)
    return red / 255.0, green / 255.0, blue / 255.0
