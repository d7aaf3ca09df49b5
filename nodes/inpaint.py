"""Nodes that fill holes."""

from __future__ import annotations

from comfy_api.v0_0_2 import io
from torch import Tensor

from inpaint_core.checkpoints.inpainting_model import InpaintingModel
from inpaint_core.inpainting.classical import CLASSICAL_METHODS, ClassicalFill, Method
from inpaint_core.inpainting.inpaint import BLENDS, STRATEGIES, Blend, Strategy, inpaint

from . import host
from .live_preview import LivePreview

MASK_TOOLTIP = (
    "White (1) is the hole that is repainted, black (0) is kept bit for bit. Any size and any batch: one "
    "mask serves many pictures and the other way round."
)
GROW_TOOLTIP = "Enlarge the hole by so many pixels first, to catch the fringe of what is removed. Negative shrinks it."
FEATHER_TOOLTIP = (
    "Width in pixels, inwards from the rim of the hole, over which the fill is led over to the colours around it. "
    "Pixels outside the hole never change."
)
INVERT_TOOLTIP = "Repaint where the mask is black instead."
THRESHOLD_TOOLTIP = "Mask values above it are hole, all others are kept."


class Inpaint(io.ComfyNode):
    """Fill holes with a network."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Liminal_Inpaint",
            display_name="Inpaint (Liminal)",
            category="Liminal/inpaint",
            description="Fills the holes of pictures with a small network. Other pixels stay exactly as they are.",
            inputs=[
                host.LiminalModel.Input("model", tooltip="An inpainting model, loaded or freshly trained."),
                io.Image.Input("image", tooltip="Pictures of any size; gray, RGB or RGBA. Alpha leaves as it came."),
                io.Mask.Input("mask", tooltip=MASK_TOOLTIP),
                io.Combo.Input(
                    "strategy",
                    options=list(STRATEGIES),
                    default="auto",
                    tooltip="auto: per hole, what costs least without a visible loss. whole: the network sees the "
                    "whole picture as it is. resize: the whole picture, made smaller. crop: each hole in a window "
                    "around it, made smaller where it is too large. tile: such windows at full size, in tiles, deep "
                    "holes first small and then larger.",
                ),
                io.Int.Input("grow", default=0, min=-256, max=256, tooltip=GROW_TOOLTIP),
                io.Int.Input("feather", default=8, min=0, max=256, tooltip=FEATHER_TOOLTIP),
                io.Combo.Input(
                    "blend",
                    options=list(BLENDS),
                    default="alpha",
                    tooltip="alpha: correct colours over the feather's width. poisson: keep the fill's gradients and "
                    "join them to the rim without any step.",
                ),
                io.Boolean.Input(
                    "color_match",
                    default=False,
                    tooltip="Shift the fill's mean colour to that of a ring around the hole.",
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
                    tooltip="Longer side in pixels of what the network sees at once; not for whole. 0: from the size "
                    "that it was trained on and the memory there is. A size that is given is kept.",
                    extra_dict=host.ADVANCED,
                ),
                io.Float.Input(
                    "context",
                    default=0.5,
                    min=0.0,
                    max=8.0,
                    step=0.05,
                    tooltip="How much of its surroundings the network sees on every side of a hole, as a share of the "
                    "hole's longer side.",
                    extra_dict=host.ADVANCED,
                ),
                io.Float.Input(
                    "grain",
                    default=0.0,
                    min=0.0,
                    max=1.0,
                    step=0.05,
                    tooltip="Give the fill the noise of its surroundings, which networks leave out.",
                    extra_dict=host.ADVANCED,
                ),
                io.Int.Input(
                    "grain_seed", default=0, min=0, max=2**31 - 1, tooltip="Of the grain.", extra_dict=host.ADVANCED
                ),
                io.Int.Input(
                    "frames_per_batch",
                    default=0,
                    min=0,
                    max=1024,
                    tooltip="Windows that the network sees at once. 0: what memory allows. A number that is given is "
                    "kept.",
                    extra_dict=host.ADVANCED,
                ),
            ],
            outputs=[io.Image.Output("IMAGE", tooltip="The pictures with their holes filled, as large as they were.")],
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
    ) -> io.NodeOutput:
        planes = host.image_planes(image)
        hole = host.hole_planes(mask, planes, threshold, invert_mask)
        completer = host.on_device(model, planes, InpaintingModel)
        filled = inpaint(
            completer,
            planes,
            hole,
            strategy,
            grow,
            feather,
            blend,
            color_match,
            size=size or None,
            context=context,
            grain=grain,
            seed=grain_seed,
            frames_per_batch=frames_per_batch or None,
            progress=LivePreview(),
        )
        return io.NodeOutput(host.host_image(filled))


class ClassicalFillNode(io.ComfyNode):
    """Fill holes without a network."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Liminal_ClassicalFill",
            display_name="Classical Fill",
            category="Liminal/inpaint",
            description="Fills holes without a network: the baseline that a network has to beat, and often enough for "
            "scratches, dust and text.",
            inputs=[
                io.Image.Input("image", tooltip="Pictures of any size; gray, RGB or RGBA. Alpha leaves as it came."),
                io.Mask.Input("mask", tooltip=MASK_TOOLTIP),
                io.Combo.Input(
                    "method",
                    options=list(CLASSICAL_METHODS),
                    default="telea",
                    tooltip="mean: the mean colour around. smooth: colours that run into each other, which is what the "
                    "networks start from. telea, navier-stokes: surroundings continued into the hole "
                    "(OpenCV). biharmonic: the smoothest surface; slow for large holes.",
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
            ],
            outputs=[io.Image.Output("IMAGE", tooltip="The pictures with their holes filled, as large as they were.")],
        )

    @classmethod
    def execute(
        cls, image: Tensor, mask: Tensor, method: Method, grow: int, invert_mask: bool, threshold: float
    ) -> io.NodeOutput:
        planes = host.image_planes(image)
        hole = host.hole_planes(mask, planes, threshold, invert_mask)
        filled = inpaint(
            ClassicalFill(method), planes, hole, grow=grow, feather=0, progress=LivePreview(pictures=False)
        )
        return io.NodeOutput(host.host_image(filled))
