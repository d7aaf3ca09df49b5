"""The node that makes textures tile."""

from __future__ import annotations

from comfy_api.v0_0_2 import io
from torch import Tensor

from inpaint_core.inpainting.classical import ClassicalFill
from inpaint_core.inpainting.inpaint import Completer
from inpaint_core.inpainting.seamless import AXES, MAX_MARGIN, Axes, make_seamless, tiled

from . import host, shown
from .live_preview import LivePreview


class MakeSeamless(io.ComfyNode):
    """Make a texture tile."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return host.searchable(
            io.Schema(
                node_id="Liminal_MakeSeamless",
                display_name="Make Seamless",
                category="Liminal/inpaint",
                description="Makes a texture tile: its opposite edges are joined, and the seam is filled from the "
                "rest. The middle of the texture stays bit-identical.",
                hidden=[io.Hidden.unique_id],
                inputs=[
                    io.Image.Input("image", tooltip="Textures of any size. Alpha is unchanged."),
                    io.Combo.Input(
                        "axes",
                        options=list(AXES),
                        default="both",
                        tooltip="Directions in which the texture will be repeated. horizontal: left and right join. "
                        "vertical: top and bottom join.",
                    ),
                    io.Float.Input(
                        "margin",
                        default=0.08,
                        min=0.01,
                        max=MAX_MARGIN,
                        step=0.01,
                        tooltip="Width of the strip to replace along each edge, as a fraction of the side.",
                    ),
                    host.seed_input("Seed of the patch search."),
                    host.LiminalModel.Input(
                        "model",
                        optional=True,
                        tooltip="An inpainting model to fill the seam. If not connected, the seam is filled with "
                        "patches of the texture, which works for most textures.",
                    ),
                ],
                outputs=[
                    io.Image.Output("IMAGE", tooltip="The tileable texture."),
                    io.Image.Output("tiled", tooltip="The texture repeated twice along each side, to check the seams."),
                ],
            ),
            "seamless texture",
            "tileable",
            "tiling",
            "pattern",
        )

    @classmethod
    def execute(
        cls, image: Tensor, axes: Axes, margin: float, seed: int, model: host.HostedModel | None = None
    ) -> io.NodeOutput:
        planes = host.image_planes(image)
        completer: Completer = ClassicalFill("patches") if model is None else host.inpainter(model, planes)
        result = make_seamless(completer, planes, axes, margin, seed=seed, progress=LivePreview())
        repeated = tiled(result)
        shown.say(cls, "The preview repeats the texture twice along each side.")
        return io.NodeOutput(host.host_image(result), host.host_image(repeated), ui=shown.pictures(repeated))
