"""Criteria for selecting superpixels on a node: their inputs, and the resulting arguments of `select_segments`."""

from __future__ import annotations

from typing import Any

from comfy_api.v0_0_2 import io

from . import places
from .places import parse_indices, parse_points

PICKED = ("points", "index")
"""Criteria that support clicking superpixels on the node."""
NOWHERE = (0.0, 0.0, 0.0, 0.0)
NO_POINTS = (
    "No points yet, so nothing is selected: click superpixels on the node, type x, y into points, or connect points."
)


def selections() -> list[io.DynamicCombo.Option]:
    """The criteria for selecting superpixels, each with its own inputs."""
    share = dict(min=0.0, max=1.0, step=0.01)
    pixel = dict(min=0, max=65536)
    return [
        io.DynamicCombo.Option(
            "random",
            [
                io.Float.Input("at_least", default=0.2, **share, tooltip="Minimum fraction of the picture to select."),
                io.Float.Input("at_most", default=0.3, **share, tooltip="Maximum fraction of the picture to select."),
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
                    tooltip="Select superpixels with at least this fraction of their area inside the box.",
                ),
            ],
        ),
        io.DynamicCombo.Option(
            "color",
            [
                io.String.Input(
                    "color",
                    default="#3060c0",
                    tooltip="Color as hex digits: #rrggbb.",
                ),
                io.Float.Input(
                    "tolerance",
                    default=20.0,
                    min=0.0,
                    max=200.0,
                    step=1.0,
                    tooltip="Maximum CIELAB distance of a superpixel's mean color: a distance of 2 is just "
                    "noticeable, 20 is still similar.",
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
                    tooltip="Minimum area of a superpixel, as a fraction of the picture.",
                ),
                io.Float.Input(
                    "at_most",
                    default=1.0,
                    min=0.0,
                    max=1.0,
                    step=0.001,
                    tooltip="Maximum area of a superpixel, as a fraction of the picture.",
                ),
            ],
        ),
        io.DynamicCombo.Option(
            "largest",
            [
                io.Int.Input(
                    "count", default=1, min=1, max=100000, tooltip="How many of the largest superpixels to select."
                )
            ],
        ),
        io.DynamicCombo.Option(
            "smallest",
            [
                io.Int.Input(
                    "count", default=1, min=1, max=100000, tooltip="How many of the smallest superpixels to select."
                )
            ],
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


def criteria(
    select: dict[str, Any],
    size: tuple[int, int],
    count: int,
    points: object = None,
    boxes: object = None,
) -> list[dict[str, Any]]:
    """Convert the node's selection to arguments of `select_segments`.

    Parameters
    ----------
    select
        The selected criterion with its settings.
    size, count
        Height and width of the pictures in pixels, and their number of superpixels.
    points, boxes
        From other nodes, None if nothing is connected: see `places`.

    Returns
    -------
    list of dict
        Superpixels selected by any of these are selected.

    Raises
    ------
    ValueError
        An invalid setting, a place outside the pictures, a number without a superpixel, or a minimum above its maximum.
    """
    match select:
        case {"select": "random" | "brightness" | "size" as how, "at_least": low, "at_most": high}:
            check_range(low, high, may_be_equal=how != "random")
            return [{{"random": "hole_ratio", "brightness": "brightness", "size": "area"}[how]: (low, high)}]
        case {"select": "points", "points": typed, "not_points": others}:
            taken = places.inside([*parse_points(typed), *places.linked_points(points)], size)
            return [{"points": taken, "negative_points": places.inside(parse_points(others), size)}]
        case {"select": "box", "x": x, "y": y, "width": width, "height": height, "inside": inside}:
            found = [(x, y, x + width, y + height)] if boxes is None else places.linked_boxes(boxes) or [NOWHERE]
            return [{"box": box, "box_share": inside} for box in found]
        case {"select": "color", "color": color, "tolerance": tolerance}:
            return [{"color": places.parse_color(color), "color_tolerance": tolerance}]
        case {"select": "largest" | "smallest" as how, "count": wanted}:
            return [{how: wanted}]
        case {"select": "border", "touching": touching}:
            return [{"touching_border": touching}]
        case {"select": "index", "numbers": numbers}:
            return [{"indices": known_numbers(parse_indices(numbers), count)}]
        case {"select": "all"}:
            return [{}]
        case _:
            raise ValueError(f"select cannot be {str(select)[:100]}")


def known_numbers(numbers: list[int], count: int) -> list[int]:
    """Check that all `numbers` belong to one of `count` superpixels.

    Raises
    ------
    ValueError
        One does not.
    """
    missing = sorted({number for number in numbers if number >= count})
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise ValueError(
            f"numbers: there is no superpixel {missing[0]}{more}; there are {count}, numbered 0 to {count - 1}"
        )
    return numbers


def check_range(low: float, high: float, may_be_equal: bool = False) -> None:
    """Reject a minimum above its maximum.

    Raises
    ------
    ValueError
        It is above, or equal where the range would be empty.
    """
    if low > high or (low == high and not may_be_equal):
        rule = "must not be above" if may_be_equal else "must be below"
        raise ValueError(
            f"at_least is {low:g} and at_most is {high:g}: at_least {rule} at_most; swap them or change one"
        )


def notes(select: dict[str, Any], points: object, boxes: object, chosen: list[dict[str, Any]]) -> list[str]:
    """Notes on why nothing is selected, or why a link has no effect."""
    how, found = select.get("select"), []
    if how == "points" and not chosen[0]["points"]:
        found.append(NO_POINTS)
    for name, link, wanted in (("points", points, "points"), ("boxes", boxes, "box")):
        if link is not None and how != wanted:
            found.append(f"The connected {name} are ignored because select is {how}; set it to {wanted}.")
    return found
