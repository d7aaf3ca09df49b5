"""The node that cleans up and reshapes a mask."""

from __future__ import annotations

from comfy_api.v0_0_2 import io
from torch import Tensor

from inpaint_core.masks.morphology import feather as feather_mask
from inpaint_core.masks.morphology import fill_holes as fill_islands
from inpaint_core.masks.morphology import grow_or_shrink
from inpaint_core.masks.morphology import remove_specks as without_specks

from . import host, shown


class RefineMask(io.ComfyNode):
    """Clean up, grow, shrink or soften a mask."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return host.searchable(
            io.Schema(
                node_id="Liminal_RefineMask",
                display_name="Refine Mask",
                category="Liminal/mask",
                description="Cleans up a mask and changes its shape, in this order: invert, remove specks, fill holes, "
                "grow or shrink, feather.",
                hidden=[io.Hidden.unique_id],
                inputs=[
                    io.Mask.Input("mask", tooltip="Any mask, white (1) = hole. Soft masks stay soft."),
                    io.Int.Input(
                        "grow",
                        default=0,
                        min=-1024,
                        max=1024,
                        tooltip="Grow the white parts by this many pixels; negative values shrink them.",
                    ),
                    io.Boolean.Input(
                        "fill_holes", default=False, tooltip="Fill black areas that are enclosed by white."
                    ),
                    io.Int.Input(
                        "remove_specks",
                        default=0,
                        min=0,
                        max=10_000_000,
                        tooltip="Remove white parts with fewer pixels than this.",
                    ),
                    io.Int.Input(
                        "feather",
                        default=0,
                        min=0,
                        max=1024,
                        tooltip="Soften the edge outward over this many pixels. Not needed for Inpaint, which has "
                        "its own feather and needs a hard mask.",
                    ),
                    io.Boolean.Input("invert_mask", default=False, tooltip="Swap black and white first."),
                ],
                outputs=[io.Mask.Output("MASK", tooltip="The refined mask, at the size of the input.")],
            ),
            "grow mask",
            "expand mask",
            "erode",
            "dilate",
            "feather mask",
            "fill holes",
        )

    @classmethod
    def execute(
        cls, mask: Tensor, grow: int, fill_holes: bool, remove_specks: int, feather: int, invert_mask: bool
    ) -> io.NodeOutput:
        planes = host.soft_planes(mask)
        if invert_mask:
            planes = 1.0 - planes
        planes = without_specks(planes, remove_specks)
        if fill_holes:
            planes = fill_islands(planes)
        planes = grow_or_shrink(planes, grow)
        planes = feather_mask(planes, feather, inward=False)
        said = f"{shown.percentage(planes)} of the mask is white."
        shown.say(cls, said if bool(planes.any()) else "Nothing is left of the mask: remove fewer specks, or grow it.")
        return io.NodeOutput(host.host_mask(planes), ui=shown.pictures(planes))
