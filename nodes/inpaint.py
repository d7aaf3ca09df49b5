"""Nodes that fill holes."""

from __future__ import annotations

from typing import Any

from comfy_api.v0_0_2 import io
from torch import Tensor

from inpaint_core.inpainting.classical import FILL_NAMES, ClassicalFill, ClassicalMethod
from inpaint_core.inpainting.clips import inpaint_clip
from inpaint_core.inpainting.copying import Sources
from inpaint_core.inpainting.inpaint import BLENDS, DETAILS, STRATEGIES, Blend, Completer, Detail, Strategy, inpaint
from inpaint_core.masks.morphology import grow_or_shrink

from . import host, shown
from .live_preview import LivePreview

MASK_TOOLTIP = (
    "White (1) is the hole to repaint; black (0) stays bit-identical. Any size. A single mask is applied to every "
    "picture of a batch, and every mask of a batch to a single picture."
)
GROW_TOOLTIP = (
    "Grow the hole by this many pixels first, to include the fringe of a removed object. Negative values shrink the "
    "hole."
)
FEATHER_TOOLTIP = (
    "Width in pixels of the band inside the hole where the fill is blended into its surroundings. Pixels outside the "
    "hole never change."
)
DETAIL_TOOLTIP = (
    "network: use the network's own fill. patches: the network's fill guides the structure, and detail is copied from "
    "the surroundings; sharper, but slower. auto: patches for Liminal's own networks, network for all others."
)
SOURCES_TOOLTIP = "More pictures to copy patches from, besides the picture itself."
ALLOWED_TOOLTIP = (
    "Patches are only copied from white (1). If this mask is empty or not connected, they are copied from everywhere "
    "outside the hole."
)
FRAMES_TOOLTIP = "Also copy patches from other frames of the clip, outside their holes."
INVERT_TOOLTIP = "Repaint the black parts of the mask instead."
THRESHOLD_TOOLTIP = "Mask values above this count as hole."


def copying_inputs() -> list[io.Input]:
    """Sources of patches."""
    return [
        io.Image.Input("sources", optional=True, tooltip=SOURCES_TOOLTIP),
        io.Mask.Input("allowed", optional=True, tooltip=ALLOWED_TOOLTIP),
        io.Boolean.Input("copy_frames", default=False, optional=True, tooltip=FRAMES_TOOLTIP, extra_dict=host.ADVANCED),
    ]


def copying(planes: Tensor, sources: Tensor | None, allowed: Tensor | None, copy_frames: bool) -> dict[str, Any]:
    """The same, as arguments of `inpaint`.

    Raises
    ------
    ValueError
        Both pictures and frames are given as sources.
    """
    if copy_frames and sources is not None:
        raise ValueError(
            "patches can be copied from sources or from the clip's frames, not both: disconnect sources, or turn "
            "copy_frames off"
        )
    pictures: Sources = () if sources is None else list(host.image_planes(sources))
    where = None if allowed is None or not bool(allowed.any()) else host.hole_planes(allowed, planes)
    return {"sources": "frames" if copy_frames else pictures, "allowed": where}


def filled_output(node: type[io.ComfyNode], filled: Tensor, hole: Tensor, notes: list[str]) -> io.NodeOutput:
    """Output and show pictures whose `hole` was filled, with the notes or, if there are none, the size of the hole."""
    shown.say(node, *(notes or [f"Filled {shown.percentage(hole)} of the picture."]))
    return io.NodeOutput(host.host_image(filled), ui=shown.pictures(filled))


class Inpaint(io.ComfyNode):
    """Fill holes with a network."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        schema = io.Schema(
            node_id="Liminal_Inpaint",
            display_name="Inpaint (Liminal)",
            category="Liminal/inpaint",
            description="Fills holes in pictures with a small network. All other pixels stay bit-identical.",
            hidden=[io.Hidden.unique_id],
            inputs=[
                host.LiminalModel.Input("model", tooltip="An inpainting model, loaded or freshly trained."),
                io.Image.Input("image", tooltip="Pictures of any size: gray, RGB or RGBA. Alpha is unchanged."),
                io.Mask.Input("mask", tooltip=MASK_TOOLTIP),
                io.Combo.Input(
                    "strategy",
                    options=list(STRATEGIES),
                    default="auto",
                    tooltip="auto: for each hole, the fastest of these without visible loss. whole: the network sees "
                    "the whole picture at full size. resize: the whole picture, downscaled. crop: a window around "
                    "each hole, downscaled if it is too large. tile: the same windows at full size, in tiles; deep "
                    "holes are filled coarse to fine.",
                ),
                io.Int.Input("grow", default=0, min=-256, max=256, tooltip=GROW_TOOLTIP),
                io.Int.Input("feather", default=8, min=0, max=256, tooltip=FEATHER_TOOLTIP),
                io.Combo.Input(
                    "blend",
                    options=list(BLENDS),
                    default="alpha",
                    tooltip="alpha: correct colors within the width of the feather. poisson: keep the fill's "
                    "gradients and blend them seamlessly into the surroundings.",
                ),
                io.Boolean.Input(
                    "color_match",
                    default=False,
                    tooltip="Shift the fill's mean color to that of a ring around the hole.",
                    extra_dict=host.ADVANCED,
                ),
                io.Boolean.Input("invert_mask", default=False, tooltip=INVERT_TOOLTIP, extra_dict=host.ADVANCED),
                io.Float.Input(
                    "threshold",
                    default=0.5,
                    min=0.0,
                    max=0.99,
                    step=0.01,
                    tooltip=THRESHOLD_TOOLTIP,
                    extra_dict=host.ADVANCED,
                ),
                io.Int.Input(
                    "size",
                    default=0,
                    min=0,
                    max=8192,
                    step=8,
                    tooltip="Longer side in pixels of what the network sees at once; ignored by whole. 0: derived from "
                    "the training size and the available memory.",
                    extra_dict=host.ADVANCED,
                ),
                io.Float.Input(
                    "context",
                    default=0.5,
                    min=0.0,
                    max=8.0,
                    step=0.05,
                    tooltip="How much context the network sees on each side of a hole, as a fraction of the hole's "
                    "longer side.",
                    extra_dict=host.ADVANCED,
                ),
                io.Float.Input(
                    "grain",
                    default=0.0,
                    min=0.0,
                    max=1.0,
                    step=0.05,
                    tooltip="Add noise like that of the surroundings to the fill, because networks produce none. 0: "
                    "none, 1: as strong as in the surroundings.",
                    extra_dict=host.ADVANCED,
                ),
                io.Int.Input(
                    "grain_seed",
                    default=0,
                    min=0,
                    max=host.MAX_SEED,
                    tooltip="Seed of the grain and of the patch search.",
                    extra_dict=host.ADVANCED,
                ),
                io.Int.Input(
                    "frames_per_batch",
                    default=0,
                    min=0,
                    max=1024,
                    tooltip="Number of windows per batch. 0: as many as memory allows.",
                    extra_dict=host.ADVANCED,
                ),
                io.Combo.Input("detail", options=list(DETAILS), default="auto", optional=True, tooltip=DETAIL_TOOLTIP),
                *copying_inputs(),
                io.Boolean.Input(
                    "clip",
                    default=False,
                    optional=True,
                    tooltip="The pictures are frames of a clip: the fill follows the motion around the hole, instead "
                    "of being computed for each frame separately, which would flicker. Restarts at every cut.",
                ),
            ],
            outputs=[io.Image.Output("IMAGE", tooltip="The filled pictures, at their original size.")],
        )
        return host.searchable(
            schema,
            "inpaint",
            "remove object",
            "object removal",
            "outpaint",
            "fill hole",
            "watermark",
            "lama",
            "patchmatch",
        )

    @classmethod
    def execute(
        cls,
        model: host.HostedModel,
        image: Tensor,
        mask: Tensor,
        strategy: Strategy,
        grow: int,
        feather: int,
        blend: Blend,
        color_match: bool,
        invert_mask: bool,
        threshold: float,
        size: int = 0,
        context: float = 0.5,
        grain: float = 0.0,
        grain_seed: int = 0,
        frames_per_batch: int = 0,
        detail: Detail = "auto",
        sources: Tensor | None = None,
        allowed: Tensor | None = None,
        copy_frames: bool = False,
        clip: bool = False,
    ) -> io.NodeOutput:
        planes = host.image_planes(image)
        hole = host.hole_planes(mask, planes, threshold, invert_mask)
        notes = host.notes_on_hole(mask, hole, planes)
        completer = host.inpainter(model, planes)

        def fill(completer: Completer, frames: Tensor, holes: Tensor, is_new: bool = True, grow: int = 0) -> Tensor:
            return inpaint(
                completer,
                frames,
                holes,
                strategy if is_new else "whole",
                grow,
                feather,
                blend,
                color_match,
                detail if is_new else "network",
                **(copying(frames, sources, allowed, copy_frames) if is_new else {}),
                size=size or None,
                context=context,
                grain=grain if is_new else 0.0,
                seed=grain_seed,
                frames_per_batch=frames_per_batch or None,
                progress=None if clip else LivePreview(),
            )

        if clip:
            grown = grow_or_shrink(hole, grow).cpu()
            filled = inpaint_clip(completer, planes.cpu(), grown, fill, LivePreview())
        else:
            filled = fill(completer, planes, hole, grow=grow)
        return filled_output(cls, filled, hole, notes)


class ClassicalFillNode(io.ComfyNode):
    """Fill holes without a network."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        schema = io.Schema(
            node_id="Liminal_ClassicalFill",
            display_name="Classical Fill",
            category="Liminal/inpaint",
            description="Fills holes without a network. Often good enough for scratches, dust and text, and useful "
            "as a baseline for networks.",
            hidden=[io.Hidden.unique_id],
            inputs=[
                io.Image.Input("image", tooltip="Pictures of any size: gray, RGB or RGBA. Alpha is unchanged."),
                io.Mask.Input("mask", tooltip=MASK_TOOLTIP),
                io.Combo.Input(
                    "method",
                    options=list(FILL_NAMES),
                    default="telea",
                    tooltip="mean: the mean color of the known pixels. smooth: a smooth interpolation, which the "
                    "networks start from. telea, navier-stokes: continue the surroundings into the hole (OpenCV). "
                    "biharmonic: the smoothest surface; slow for large holes. patches: patches copied from the "
                    "surroundings. patchmatch: the same with PyPatchMatch, which must be installed.",
                ),
                io.Int.Input("grow", default=0, min=-256, max=256, tooltip=GROW_TOOLTIP, extra_dict=host.ADVANCED),
                io.Boolean.Input("invert_mask", default=False, tooltip=INVERT_TOOLTIP, extra_dict=host.ADVANCED),
                io.Float.Input(
                    "threshold",
                    default=0.5,
                    min=0.0,
                    max=0.99,
                    step=0.01,
                    tooltip=THRESHOLD_TOOLTIP,
                    extra_dict=host.ADVANCED,
                ),
                *copying_inputs(),
            ],
            outputs=[io.Image.Output("IMAGE", tooltip="The filled pictures, at their original size.")],
        )
        return host.searchable(
            schema,
            "telea",
            "navier-stokes",
            "biharmonic",
            "opencv inpaint",
            "patchmatch",
            "resynthesizer",
            "content-aware fill",
        )

    @classmethod
    def execute(
        cls,
        image: Tensor,
        mask: Tensor,
        method: ClassicalMethod,
        grow: int,
        invert_mask: bool,
        threshold: float,
        sources: Tensor | None = None,
        allowed: Tensor | None = None,
        copy_frames: bool = False,
    ) -> io.NodeOutput:
        planes = host.image_planes(image)
        hole = host.hole_planes(mask, planes, threshold, invert_mask)
        notes = host.notes_on_hole(mask, hole, planes)
        filled = inpaint(
            ClassicalFill(method),
            planes,
            hole,
            grow=grow,
            feather=0,
            **copying(planes, sources, allowed, copy_frames),
            progress=LivePreview(pictures=False),
        )
        return filled_output(cls, filled, hole, notes)
