"""Ways to select superpixels on a node: their inputs, and parsing of the text typed into them."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from comfy_api.v0_0_2 import io

MAX_POINTS = 10_000
MAX_INDEX = 1_000_000


def selections() -> list[io.DynamicCombo.Option]:
    """The ways to select superpixels, each with its own inputs."""
    share = dict(min=0.0, max=1.0, step=0.01)
    pixel = dict(min=0, max=65536)
    return [
        io.DynamicCombo.Option(
            "random",
            [
                io.Float.Input(
                    "at_least", default=0.2, **share, tooltip="Minimum share of the picture that is selected."
                ),
                io.Float.Input(
                    "at_most", default=0.3, **share, tooltip="Maximum share of the picture that is selected."
                ),
            ],
        ),
        io.DynamicCombo.Option(
            "points",
            [
                io.String.Input(
                    "points",
                    default="",
                    multiline=True,
                    tooltip='Select the superpixels under these points: "x, y" in pixels, one per line, or JSON from a '
                    "point editor node.",
                ),
                io.String.Input("not_points", default="", tooltip="Exclude the superpixels under these points."),
            ],
        ),
        io.DynamicCombo.Option(
            "box",
            [
                io.Int.Input("x", default=0, **pixel, tooltip="Left edge of the box in pixels."),
                io.Int.Input("y", default=0, **pixel, tooltip="Top edge of the box in pixels."),
                io.Int.Input("width", default=256, **pixel, tooltip="Width of the box in pixels."),
                io.Int.Input("height", default=256, **pixel, tooltip="Height of the box in pixels."),
                io.Float.Input(
                    "inside",
                    default=0.5,
                    **share,
                    tooltip="Select superpixels with at least this share of their area inside the box.",
                ),
            ],
        ),
        io.DynamicCombo.Option(
            "color",
            [
                io.String.Input("color", default="#3060c0", tooltip="Color as hex digits: #rrggbb."),
                io.Float.Input(
                    "tolerance",
                    default=20.0,
                    min=0.0,
                    max=200.0,
                    step=1.0,
                    tooltip="Maximum CIELAB distance of a superpixel's mean color: 2 is just noticeable, 20 is still "
                    "similar.",
                ),
            ],
        ),
        io.DynamicCombo.Option(
            "brightness",
            [
                io.Float.Input(
                    "at_least", default=0.7, **share, tooltip="Minimum mean lightness: 0 is black, 1 is white."
                ),
                io.Float.Input(
                    "at_most", default=1.0, **share, tooltip="Maximum mean lightness: 0 is black, 1 is white."
                ),
            ],
        ),
        io.DynamicCombo.Option(
            "size",
            [
                io.Float.Input(
                    "at_least",
                    default=0.01,
                    min=0.0,
                    max=1.0,
                    step=0.001,
                    tooltip="Minimum area of a superpixel, as a share of the picture.",
                ),
                io.Float.Input(
                    "at_most",
                    default=1.0,
                    min=0.0,
                    max=1.0,
                    step=0.001,
                    tooltip="Maximum area of a superpixel, as a share of the picture.",
                ),
            ],
        ),
        io.DynamicCombo.Option(
            "largest",
            [io.Int.Input("count", default=1, min=1, max=100000, tooltip="Number of largest superpixels to select.")],
        ),
        io.DynamicCombo.Option(
            "smallest",
            [io.Int.Input("count", default=1, min=1, max=100000, tooltip="Number of smallest superpixels to select.")],
        ),
        io.DynamicCombo.Option(
            "border",
            [
                io.Boolean.Input(
                    "touching",
                    default=True,
                    tooltip="On: superpixels that touch the picture's edge. Off: those that do not.",
                )
            ],
        ),
        io.DynamicCombo.Option(
            "index",
            [
                io.String.Input(
                    "numbers",
                    default="0",
                    tooltip="Superpixel numbers and ranges, starting from 0, such as: 0, 4, 10-15",
                )
            ],
        ),
        io.DynamicCombo.Option("all", []),
    ]


def criteria(select: dict[str, Any]) -> dict[str, Any]:
    """Arguments of `select_segments` from the node's selection."""
    match select:
        case {"select": "random" | "brightness" | "size" as how, "at_least": low, "at_most": high}:
            return {{"random": "hole_ratio", "brightness": "brightness", "size": "area"}[how]: (low, high)}
        case {"select": "points", "points": points, "not_points": others}:
            return {"points": parse_points(points), "negative_points": parse_points(others)}
        case {"select": "box", "x": x, "y": y, "width": width, "height": height, "inside": inside}:
            return {"box": (x, y, x + width, y + height), "box_share": inside}
        case {"select": "color", "color": color, "tolerance": tolerance}:
            return {"color": parse_color(color), "color_tolerance": tolerance}
        case {"select": "largest" | "smallest" as how, "count": count}:
            return {how: count}
        case {"select": "border", "touching": touching}:
            return {"touching_border": touching}
        case {"select": "index", "numbers": numbers}:
            return {"indices": parse_indices(numbers)}
        case {"select": "all"}:
            return {}
        case _:
            raise ValueError(f"select cannot be {str(select)[:100]}")


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
        Anything else, more than `MAX_POINTS` points, or a coordinate that is not finite.
    """
    if not text.strip():
        return []
    if text.strip().startswith(("[", "{")):
        points = _parse_json(text)
    else:
        points = [re.split(r"[,\s]+", part.strip()) for part in re.split(r"[;\n]", text) if part.strip()]
    if len(points) > MAX_POINTS:
        raise ValueError(f"{len(points)} points are too many: at most {MAX_POINTS} are accepted")
    return [_point(point) for point in points]


def _parse_json(text: str) -> list[object]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):  # including numbers with too many digits
        raise ValueError(f"{text.strip()[:60]!r} is not JSON; write points as: 5, 7; 20, 30") from None
    return value if isinstance(value, list) else [value]


def _point(value: object) -> tuple[float, float]:
    pair = [value.get("x"), value.get("y")] if isinstance(value, dict) else value
    try:
        if not isinstance(pair, list):
            raise TypeError
        x, y = (float(number) for number in pair)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f'{str(value)[:60]!r} is not a point; write 5, 7 or {{"x": 5, "y": 7}}') from None
    if not (math.isfinite(x) and math.isfinite(y)):
        raise ValueError(f"{x}, {y} is not a point in a picture")
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
    for part in re.split(r"[,; ]+", spaced):
        match = re.fullmatch(r"(\d{1,7})(?:-(\d{1,7}))?", part, re.ASCII)
        if match is None or int(match[2] or match[1]) > MAX_INDEX:
            raise ValueError(f"{part[:60]!r} is not a number or a range; write, for example: 0, 4, 10-15")
        indices += range(int(match[1]), int(match[2] or match[1]) + 1)
        if len(indices) > MAX_INDEX:
            raise ValueError(f"more than {MAX_INDEX} numbers")
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
