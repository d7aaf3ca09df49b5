"""Nodes that make masks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from comfy_api.v0_0_2 import io
from torch import Tensor

from inpaint_core.batches import paired
from inpaint_core.masks import (
    boundary_overlay,
    coordinate_grid,
    label_map,
    numbered_overlay,
    posterize,
    select_segments,
    slic_labels,
    snap_to_labels,
)

from . import host, shown
from .families import draw, families
from .selection import PICKED, check_range, criteria, notes, selections

COMBINE: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "add": torch.maximum,
    "subtract": lambda mask, chosen: mask * (1.0 - chosen),
    "intersect": lambda mask, chosen: mask * chosen,
}
PICTURES: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "borders": boundary_overlay,
    "mean colors": lambda image, labels, _: posterize(image, labels),
    "numbers as colors": lambda image, labels, _: label_map(labels),
    "numbers": numbered_overlay,
}
LinkedPoints = io.Custom("STRING,POINT,POINTS")
LinkedBoxes = io.Custom("STRING,BBOX,BBOXES,BOUNDING_BOX")
MAX_MASK_PIXELS = 2**30  # 4 GiB of float32: more single masks than this are rejected


MASK_TOOLTIP = (
    "A rough mask, white (1) = hole. Any size. A single mask is applied to every picture of a batch, and every mask "
    "of a batch to a single picture."
)
INVERT_TOOLTIP = "Treat the black parts of the mask as the hole instead."
SEGMENTS = dict(default=200, min=1, max=20000, tooltip="Approximate number of superpixels.")
COMPACTNESS = dict(
    default=10.0,
    min=0.01,
    max=1000.0,
    step=0.1,
    tooltip="Small values follow colors closely; large ones give nearly square superpixels.",
)
MAX_SIDE = dict(
    default=1024,
    min=64,
    max=8192,
    tooltip="Larger pictures are segmented at this size and the superpixels are scaled up.",
    extra_dict=host.ADVANCED,
)
REFINE = dict(
    default=False,
    tooltip="Refine the borders of scaled-up superpixels with the full-resolution picture.",
    extra_dict=host.ADVANCED,
)


class MaskFromSLIC(io.ComfyNode):
    """Select superpixels."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        schema = io.Schema(
            node_id="Liminal_MaskFromSLIC",
            display_name="Mask from Superpixels (SLIC)",
            category="Liminal/mask",
            description="Divides pictures into superpixels (regions of similar color) and makes a mask of the selected "
            "ones.",
            hidden=[io.Hidden.unique_id],
            is_output_node=True,  # so that it can be run alone to click, and shows its picture when it is cached
            inputs=[
                io.Image.Input("image", tooltip="Pictures to segment. Alpha is ignored."),
                io.Int.Input("segments", **SEGMENTS),
                io.Float.Input("compactness", **COMPACTNESS),
                io.DynamicCombo.Input(
                    "select", options=selections(), tooltip="Which superpixels become the hole (white)."
                ),
                io.Boolean.Input(
                    "all_but", default=False, tooltip="Invert the selection: select all other superpixels."
                ),
                host.seed_input("Seed of the random selection. The same seed gives the same mask."),
                io.Combo.Input(
                    "combine",
                    options=list(COMBINE),
                    default="add",
                    tooltip="How to combine the selection with a connected mask: add the selection, subtract it, or "
                    "keep only the overlap.",
                ),
                io.Combo.Input(
                    "picture",
                    options=list(PICTURES),
                    default="borders",
                    tooltip="What the picture output shows: borders with the mask in red, each superpixel in its "
                    "mean color, each superpixel in a distinct color, or borders with the numbers that select = "
                    "index uses (enlarged if the superpixels are too small).",
                ),
                io.Boolean.Input(
                    "split",
                    default=False,
                    tooltip="Output one mask per selected superpixel, as a batch. Only for a single picture.",
                    extra_dict=host.ADVANCED,
                ),
                io.Int.Input("max_side", **MAX_SIDE),
                io.Boolean.Input("refine", **REFINE),
                io.Boolean.Input(
                    "clip",
                    default=False,
                    tooltip="The pictures are frames of a clip: superpixels are tracked, and those selected in the "
                    "first frame stay selected in all frames.",
                    extra_dict=host.ADVANCED,
                ),
                io.Mask.Input("mask", optional=True, tooltip="A mask to combine with, white (1) = hole."),
                io.Boolean.Input(
                    "coordinates",
                    default=False,
                    optional=True,
                    tooltip="Draw a grid of pixel coordinates over the picture output, for points and boxes.",
                    extra_dict=host.ADVANCED,
                ),
                LinkedPoints.Input(
                    "points",
                    optional=True,
                    tooltip="More points for select = points, from another node: x, y in pixels, as text or as a list.",
                ),
                LinkedBoxes.Input(
                    "boxes",
                    optional=True,
                    tooltip="Boxes for select = box, from another node, instead of the one typed in: x, y, width and "
                    "height, or left, top, right and bottom in pixels.",
                ),
            ],
            outputs=[
                io.Mask.Output("MASK", tooltip="1 in the selected superpixels, 0 elsewhere."),
                io.Image.Output("picture", tooltip="A visualization of the superpixels."),
                io.Int.Output("count", tooltip="Actual number of superpixels; for a batch, the largest."),
            ],
        )
        return host.searchable(schema, "superpixel", "segmentation", "select by color", "click mask", "SLIC")

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
        refine: bool,
        clip: bool,
        mask: Tensor | None = None,
        coordinates: bool = False,
        points: object = None,
        boxes: object = None,
    ) -> io.NodeOutput:
        planes = host.image_planes(image)
        labels = slic_labels(planes, segments, compactness, max_side, refine, stable=clip)
        count = int(labels.max()) + 1
        wanted = criteria(select, (planes.shape[-2], planes.shape[-1]), count, points, boxes)
        frame = 0 if clip else None
        parts = [select_segments(labels, **one, image=planes, seed=seed, frame=frame) for one in wanted]
        chosen = torch.stack(parts).amax(0)
        if all_but:
            chosen = 1.0 - chosen
        if mask is not None:
            chosen = COMBINE[combine](*paired(host.hole_planes(mask, planes), chosen, ("masks", "images")))
        drawn = PICTURES[picture](planes, labels, chosen)
        if coordinates:
            drawn = coordinate_grid(drawn, (planes.shape[-2], planes.shape[-1]))
        shown.say(
            cls,
            *notes(select, points, boxes, wanted),
            f"{count} superpixels, {shown.percentage(chosen)} of the picture selected.",
        )
        if select["select"] in PICKED:
            seen = shown.superpixels(planes[0], labels if labels.ndim == 2 else labels[0])
        else:
            seen = shown.pictures(drawn)
        if split:
            chosen = split_mask(chosen, labels)
        return io.NodeOutput(host.host_mask(chosen), host.host_image(drawn), count, ui=seen)


def split_mask(chosen: Tensor, labels: Tensor) -> Tensor:
    """One mask per superpixel, `[n,1,H,W]`, for the superpixels of one picture that lie in a mask `[1,1,H,W]`."""
    if len(chosen) != 1:
        raise ValueError(f"split works on one picture at a time, not on {len(chosen)}")
    parts = [(labels == number) & (chosen[:, 0] > 0) for number in labels[chosen[:, 0] > 0].unique()]
    if len(parts) * labels.numel() > MAX_MASK_PIXELS:
        raise ValueError(
            f"{len(parts)} masks of this size are too many: select fewer superpixels, or use a smaller picture"
        )
    return torch.stack(parts).float() if parts else chosen


class SnapMaskToSLIC(io.ComfyNode):
    """Snap a rough mask to superpixels."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        schema = io.Schema(
            node_id="Liminal_SnapMaskToSLIC",
            display_name="Snap Mask to Superpixels",
            category="Liminal/mask",
            description="Snaps a roughly painted mask to the picture's edges: superpixels that the mask covers "
            "sufficiently become the hole.",
            hidden=[io.Hidden.unique_id],
            inputs=[
                io.Image.Input("image", tooltip="The pictures that the mask was painted for. Alpha is ignored."),
                io.Mask.Input("mask", tooltip=MASK_TOOLTIP),
                io.Int.Input("segments", **SEGMENTS),
                io.Float.Input("compactness", **COMPACTNESS),
                io.Float.Input(
                    "overlap",
                    default=0.5,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="Minimum fraction of a superpixel that the mask must cover. 0: a single pixel is enough.",
                ),
                io.Int.Input("max_side", **MAX_SIDE),
                io.Boolean.Input("refine", **REFINE),
                io.Boolean.Input("invert_mask", default=False, tooltip=INVERT_TOOLTIP, extra_dict=host.ADVANCED),
            ],
            outputs=[
                io.Mask.Output("MASK", tooltip="1 in the superpixels covered by the mask, 0 elsewhere."),
                io.Image.Output("picture", tooltip="Superpixel borders, with the new mask in red."),
            ],
        )
        return host.searchable(schema, "superpixel", "snap mask to edges", "tidy mask", "refine mask edges")

    @classmethod
    def execute(
        cls,
        image: Tensor,
        mask: Tensor,
        segments: int,
        compactness: float,
        overlap: float,
        max_side: int,
        refine: bool,
        invert_mask: bool,
    ) -> io.NodeOutput:
        planes = host.image_planes(image)
        labels = slic_labels(planes, segments, compactness, max_side, refine)
        rough = host.hole_planes(mask, planes, invert=invert_mask)
        snapped = snap_to_labels(rough, labels, overlap)
        drawn = boundary_overlay(planes, labels, snapped)
        found = host.notes_on_hole(mask, rough, planes)
        if not found and not bool(snapped.any()):
            found = [
                f"The mask covers no superpixel by at least {100.0 * overlap:g}%: lower overlap, or use more segments."
            ]
        shown.say(cls, *(found or [f"{shown.percentage(snapped)} of the picture selected."]))
        return io.NodeOutput(host.host_mask(snapped), host.host_image(drawn), ui=shown.pictures(drawn))


class RandomMask(io.ComfyNode):
    """Draw random holes."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        share = dict(min=0.0, max=1.0, step=0.01)
        schema = io.Schema(
            node_id="Liminal_RandomMask",
            display_name="Random Mask",
            category="Liminal/mask",
            description="Draws random holes of a given hole ratio, using the mask generators that models are trained "
            "with.",
            hidden=[io.Hidden.unique_id],
            inputs=[
                io.DynamicCombo.Input("generator", options=families(), tooltip="What the holes look like."),
                io.Float.Input(
                    "at_least", default=0.1, **share, tooltip="Minimum fraction of the picture covered by holes."
                ),
                io.Float.Input(
                    "at_most",
                    default=0.3,
                    **share,
                    tooltip="Maximum fraction of the picture covered by holes. 0: no limit; the generator decides.",
                ),
                host.seed_input("The same seed gives the same masks."),
                io.Int.Input("width", default=512, min=1, max=16384, tooltip="Width, if no image is connected."),
                io.Int.Input("height", default=512, min=1, max=16384, tooltip="Height, if no image is connected."),
                io.Int.Input(
                    "count",
                    default=1,
                    min=1,
                    max=4096,
                    tooltip="Number of masks. For a batch of images, there is always one mask per image.",
                ),
                io.Float.Input(
                    "margin",
                    default=0.0,
                    min=0.0,
                    max=0.49,
                    step=0.01,
                    tooltip="Minimum distance of holes from the picture's edge, as a fraction of its shorter side.",
                    extra_dict=host.ADVANCED,
                ),
                io.Float.Input(
                    "dilate",
                    default=0.0,
                    min=0.0,
                    max=0.25,
                    step=0.01,
                    tooltip="Dilate holes by a random amount, up to this fraction of the shorter side.",
                    extra_dict=host.ADVANCED,
                ),
                io.Float.Input(
                    "rotate",
                    default=0.0,
                    min=0.0,
                    max=180.0,
                    step=1.0,
                    tooltip="Rotate the mask by a random angle, up to this many degrees.",
                    extra_dict=host.ADVANCED,
                ),
                io.Image.Input(
                    "image",
                    optional=True,
                    tooltip="Sets the size of the masks; the generator slic uses the superpixels of this image.",
                ),
            ],
            outputs=[io.Mask.Output("MASK", tooltip="Exactly 1 in holes and 0 elsewhere.")],
        )
        return host.searchable(
            schema, "mask generator", "irregular mask", "brush strokes", "scratches", "outpaint border"
        )

    @classmethod
    def execute(
        cls,
        generator: dict[str, Any],
        at_least: float,
        at_most: float,
        seed: int,
        width: int,
        height: int,
        count: int,
        margin: float,
        dilate: float,
        rotate: float,
        image: Tensor | None = None,
    ) -> io.NodeOutput:
        planes = None if image is None else host.image_planes(image)
        size = (height, width) if planes is None else (planes.shape[-2], planes.shape[-1])
        if planes is not None and len(planes) > 1:
            count = len(planes)
        if count * size[0] * size[1] > MAX_MASK_PIXELS:
            raise ValueError(f"{count} masks of {size[1]}x{size[0]} are too many: use fewer or smaller masks")
        if at_most > 0.0:
            check_range(at_least, at_most)
        ratio = (at_least, at_most) if at_most > 0.0 else None
        changes = {"dilate": dilate, "rotate": rotate}
        masks = []
        for index in range(count):
            host.raise_if_cancelled()
            picture = None if planes is None else planes[index % len(planes)]
            masks.append(draw(generator, changes, size, ratio, margin or None, [seed, index], picture))
        drawn = torch.cat(masks)
        return io.NodeOutput(host.host_mask(drawn), ui=shown.pictures(drawn))
