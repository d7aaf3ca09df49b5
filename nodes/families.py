"""Families of random masks on a node: their settings, and drawing one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from comfy_api.v0_0_2 import io
from torch import Tensor

from inpaint_core.masks import generate

from . import host

SIDES = ("at random", "all", "left and right", "top and bottom", "left", "right", "top", "bottom")
ALL_SIDES = ("top", "bottom", "left", "right")


def families() -> list[io.DynamicCombo.Option]:
    """Every family with the settings that change how it looks."""
    return [
        io.DynamicCombo.Option(
            "strokes",
            [
                io.Combo.Input(
                    "brush", options=["thin", "medium", "thick"], default="medium", tooltip="Width of the strokes."
                )
            ],
        ),
        io.DynamicCombo.Option(
            "shapes",
            [
                io.Combo.Input(
                    "kind",
                    options=["scattered", "pasted"],
                    tooltip="scattered: lines, circles and arcs. pasted: two circles and two squares.",
                )
            ],
        ),
        io.DynamicCombo.Option(
            "rectangles",
            [io.Int.Input("most", default=1, min=1, max=100, tooltip="Largest number of rectangles; at least one.")],
        ),
        io.DynamicCombo.Option(
            "center",
            [
                io.Float.Input(
                    "stretch",
                    default=1.0,
                    min=1.0,
                    max=4.0,
                    step=0.1,
                    tooltip="Stretch along one side at random by up to this factor. 1: the picture's proportions.",
                )
            ],
        ),
        io.DynamicCombo.Option(
            "border", [io.Combo.Input("sides", options=list(SIDES), tooltip="Edges to paint beyond, for outpainting.")]
        ),
        io.DynamicCombo.Option(
            "random_walk",
            [
                io.Int.Input(
                    "grid", default=64, min=2, max=1024, tooltip="Cells along the shorter side: more give finer paths."
                )
            ],
        ),
        io.DynamicCombo.Option(
            "salt_and_pepper",
            [
                io.Float.Input(
                    "cell",
                    default=0.06,
                    min=0.001,
                    max=1.0,
                    step=0.01,
                    tooltip="Side of a cell, in parts of the shorter side.",
                )
            ],
        ),
        io.DynamicCombo.Option(
            "slic",
            [
                io.Int.Input(
                    "segments",
                    default=100,
                    min=2,
                    max=20000,
                    tooltip="Number of superpixels of the connected image to choose from.",
                )
            ],
        ),
        io.DynamicCombo.Option(
            "folder",
            [
                io.Combo.Input(
                    "folder", options=host.picture_folders() or [NO_FOLDER], tooltip="A folder of masks of any size."
                ),
                io.Boolean.Input("hole_is_white", default=True, tooltip="Off: black marks the hole."),
            ],
        ),
    ]


NO_FOLDER = "(none in input or output)"


def draw(
    family: dict[str, Any],
    size: tuple[int, int],
    hole_ratio: tuple[float, float] | None,
    margin: float | None,
    seed: Sequence[int],
    image: Tensor | None,
) -> Tensor:
    """One mask `[1,1,H,W]` of the family that is chosen on the node.

    Raises
    ------
    ValueError
        As `inpaint_core.masks.generate`, or a folder that is not allowed.
    """
    settings = dict(family)
    name = settings.pop("generator")
    if name == "rectangles":
        settings["count"] = (1, settings.pop("most"))
    elif name == "border":
        settings["sides"] = chosen_sides(settings["sides"])
    elif name == "slic":
        settings["n_segments"] = settings.pop("segments")
    elif name == "folder":
        settings["folder"] = host.picture_folder(settings["folder"])
    return generate(name, size, hole_ratio, margin, seed, image, **settings)


def chosen_sides(text: str) -> tuple[str, ...] | None:
    """The sides that one of `SIDES` names; None for a random choice."""
    if text == "at random":
        return None
    return ALL_SIDES if text == "all" else tuple(text.split(" and "))
