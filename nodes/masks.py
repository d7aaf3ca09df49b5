"""Nodes that make masks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from comfy_api.v0_0_2 import io
from torch import Tensor

from inpaint_core.masks import boundary_overlay, label_map, posterise, select_segments, slic_labels

from . import host
from .selection import parse_color, parse_indices, parse_points

COMBINE: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "add": torch.maximum,
    "subtract": lambda mask, chosen: mask * (1.0 - chosen),
    "intersect": lambda mask, chosen: mask * chosen,
}
PICTURES: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "borders": boundary_overlay,
    "mean colors": lambda image, labels, _: posterise(image, labels),
    "numbers as colors": lambda image, labels, _: label_map(labels),
}
MOST_MASK_PIXELS = 2**30  # 4 GiB of float32: more single masks than this are refused


def selections() -> list[io.DynamicCombo.Option]:
    """The ways of choosing superpixels, each with its own settings."""
    share = dict(min=0.0, max=1.0, step=0.01)
    pixel = dict(min=0, max=65536)
    return [
        io.DynamicCombo.Option(
            "random",
            [
                io.Float.Input("at_least", default=0.2, **share, tooltip="The mask covers more than this share."),
                io.Float.Input("at_most", default=0.3, **share, tooltip="The mask covers at most this share."),
            ],
        ),
        io.DynamicCombo.Option(
            "points",
            [
                io.String.Input(
                    "points",
                    default="",
                    multiline=True,
                    tooltip='Superpixels under these points are chosen: "x, y" in pixels, one per line, or the JSON of '
                    "point editors.",
                ),
                io.String.Input("not_points", default="", tooltip="Superpixels under these points are left out."),
            ],
        ),
        io.DynamicCombo.Option(
            "box",
            [
                io.Int.Input("x", default=0, **pixel, tooltip="Left edge of the box in pixels."),
                io.Int.Input("y", default=0, **pixel, tooltip="Upper edge of the box in pixels."),
                io.Int.Input("width", default=256, **pixel, tooltip="Width of the box in pixels."),
                io.Int.Input("height", default=256, **pixel, tooltip="Height of the box in pixels."),
                io.Float.Input(
                    "inside",
                    default=0.5,
                    **share,
                    tooltip="Chosen is what has at least this share inside.",
                ),
            ],
        ),
        io.DynamicCombo.Option(
            "color",
            [
                io.String.Input("color", default="#3060c0", tooltip="Red, green and blue in two hex digits each."),
                io.Float.Input(
                    "tolerance",
                    default=20.0,
                    min=0.0,
                    max=200.0,
                    step=1.0,
                    tooltip="Largest CIELAB distance of a superpixel's mean color: 2 is just visible, 20 similar.",
                ),
            ],
        ),
        io.DynamicCombo.Option(
            "brightness",
            [
                io.Float.Input(
                    "at_least", default=0.7, **share, tooltip="Darkest mean lightness: 0 is black, 1 is white."
                ),
                io.Float.Input(
                    "at_most", default=1.0, **share, tooltip="Brightest mean lightness: 0 is black, 1 is white."
                ),
            ],
        ),
        io.DynamicCombo.Option(
            "size",
            [
                io.Float.Input(
                    "at_least", default=0.01, min=0.0, max=1.0, step=0.001, tooltip="Smallest share of the picture."
                ),
                io.Float.Input(
                    "at_most", default=1.0, min=0.0, max=1.0, step=0.001, tooltip="Largest share of the picture."
                ),
            ],
        ),
        io.DynamicCombo.Option(
            "largest",
            [io.Int.Input("count", default=1, min=1, max=100000, tooltip="How many of the largest are chosen.")],
        ),
        io.DynamicCombo.Option(
            "smallest",
            [io.Int.Input("count", default=1, min=1, max=100000, tooltip="How many of the smallest are chosen.")],
        ),
        io.DynamicCombo.Option(
            "border",
            [
                io.Boolean.Input(
                    "touching", default=True, tooltip="Those that touch the picture's edge, or those that do not."
                )
            ],
        ),
        io.DynamicCombo.Option(
            "index", [io.String.Input("numbers", default="0", tooltip="Numbers and ranges from 0, like: 0, 4, 10-15")]
        ),
        io.DynamicCombo.Option("all", []),
    ]


def criteria(select: dict[str, Any]) -> dict[str, Any]:
    """What `select_segments` is asked for, from what the node's selection gives."""
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


class MaskFromSLIC(io.ComfyNode):
    """Choose superpixels."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Liminal_MaskFromSLIC",
            display_name="Mask from SLIC",
            category="Liminal/mask",
            description="Divides pictures into superpixels, pieces of similar color, and makes a mask of some of them.",
            inputs=[
                io.Image.Input("image", tooltip="Pictures to divide; alpha is not looked at."),
                io.Int.Input(
                    "segments",
                    default=200,
                    min=1,
                    max=20000,
                    tooltip="How many superpixels to aim at; the true number is an output.",
                ),
                io.Float.Input(
                    "compactness",
                    default=10.0,
                    min=0.01,
                    max=1000.0,
                    step=0.1,
                    tooltip="Small values follow colors closely, large ones give nearly squares.",
                ),
                io.DynamicCombo.Input("select", options=selections(), tooltip="Which superpixels become hole (white)."),
                io.Boolean.Input("all_but", default=False, tooltip="Choose all superpixels but these."),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=2**64 - 1,
                    control_after_generate=True,
                    tooltip="Decides the random choice; the same seed gives the same mask.",
                ),
                io.Combo.Input(
                    "combine",
                    options=list(COMBINE),
                    default="add",
                    tooltip="What to do with a connected mask: add the chosen superpixels to it, take them away, or "
                    "keep of it what lies in them.",
                ),
                io.Combo.Input(
                    "picture",
                    options=list(PICTURES),
                    default="borders",
                    tooltip="What the picture output shows: borders with the mask in red, every superpixel in its mean "
                    "color, or every number in a color of its own.",
                ),
                io.Boolean.Input(
                    "split",
                    default=False,
                    tooltip="Give one mask for every chosen superpixel, as a batch. For a single picture.",
                    extra_dict=host.ADVANCED,
                ),
                io.Int.Input(
                    "max_side",
                    default=1024,
                    min=64,
                    max=8192,
                    tooltip="Larger pictures are divided at this size, and the superpixels enlarged.",
                    extra_dict=host.ADVANCED,
                ),
                io.Mask.Input("mask", optional=True, tooltip="A mask to combine with, white (1) = hole."),
            ],
            outputs=[
                io.Mask.Output("MASK", tooltip="1 in the chosen superpixels, 0 elsewhere."),
                io.Image.Output("picture", tooltip="The superpixels, made visible."),
                io.Int.Output("count", tooltip="True number of superpixels; in a batch, of the picture with the most."),
            ],
        )

    @classmethod
    def execute(
        cls,
        image: Tensor,
        segments: int,
        compactness: float,
        select: dict[str, Any],
        all_but: bool,
        seed: int,
        combine: str,
        picture: str,
        split: bool,
        max_side: int,
        mask: Tensor | None = None,
    ) -> io.NodeOutput:
        planes = host.image_planes(image)
        labels = slic_labels(planes, segments, compactness, max_side)
        chosen = select_segments(labels, **criteria(select), image=planes, seed=seed, all_but=all_but)
        if mask is not None:
            chosen = COMBINE[combine](*host.paired(host.hole_planes(mask, planes), chosen))
        shown = PICTURES[picture](planes, labels, chosen)
        if split:
            chosen = split_mask(chosen, labels)
        return io.NodeOutput(host.host_mask(chosen), host.host_image(shown), int(labels.max()) + 1)


def split_mask(chosen: Tensor, labels: Tensor) -> Tensor:
    """One mask `[n,1,H,W]` for every superpixel of one picture that lies in a mask `[1,1,H,W]`."""
    if len(chosen) != 1:
        raise ValueError(f"split works on one picture at a time, not on {len(chosen)}")
    parts = [(labels == number) & (chosen[:, 0] > 0) for number in labels[chosen[:, 0] > 0].unique()]
    if len(parts) * labels.numel() > MOST_MASK_PIXELS:
        raise ValueError(
            f"{len(parts)} masks of this size are too many: choose fewer superpixels, or a smaller picture"
        )
    return torch.stack(parts).float() if parts else chosen
