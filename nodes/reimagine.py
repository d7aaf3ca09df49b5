"""The node that repaints a picture part by part."""

from __future__ import annotations

from comfy_api.v0_0_2 import io
from torch import Tensor

from inpaint_core.inpainting.inpaint import BLENDS, DETAILS, Blend, Detail
from inpaint_core.inpainting.reimagine import PARTS, Parts, Strip, reimagine

from . import host, shown
from .inpaint import DETAIL_TOOLTIP, FEATHER_TOOLTIP
from .live_preview import LivePreview


class Reimagine(io.ComfyNode):
    """Repaint a whole picture with a model."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        schema = io.Schema(
            node_id="Liminal_Reimagine",
            display_name="Reimagine",
            category="Liminal/inpaint",
            description="Repaints a picture part by part: in each round, random parts are removed and filled from "
            "the rest, until all selected parts have been replaced. A model trained on empty rooms turns a familiar "
            "picture into a liminal one.",
            inputs=[
                host.LiminalModel.Input(
                    "model", tooltip="An inpainting model. The result will resemble its training pictures."
                ),
                io.Image.Input("image", tooltip="Pictures of any size. Alpha is unchanged."),
                io.Mask.Input(
                    "protect",
                    optional=True,
                    tooltip="White (1) stays bit-identical. If not connected, everything may be replaced.",
                ),
                io.Float.Input(
                    "strength",
                    default=1.0,
                    min=0.0,
                    max=1.0,
                    step=0.05,
                    tooltip="Fraction of the parts to replace. 1 replaces every pixel.",
                ),
                io.Int.Input(
                    "rounds",
                    default=6,
                    min=1,
                    max=64,
                    tooltip="With few rounds, more is removed at once: the result is bolder, with less detail. Many "
                    "rounds preserve more of the structure.",
                ),
                host.seed_input("Seed of the selection and the order of the parts."),
                io.Combo.Input(
                    "parts",
                    options=list(PARTS),
                    default="superpixels",
                    tooltip="superpixels: regions of similar color that follow edges. cells: a plain grid of squares.",
                ),
                io.Int.Input(
                    "part_count",
                    default=150,
                    min=1,
                    max=10000,
                    tooltip="Approximate number of parts.",
                ),
                io.Int.Input("feather", default=8, min=0, max=256, tooltip=FEATHER_TOOLTIP, extra_dict=host.ADVANCED),
                io.Combo.Input(
                    "blend",
                    options=list(BLENDS),
                    default="alpha",
                    tooltip="How each fill is blended into its surroundings; see Inpaint.",
                    extra_dict=host.ADVANCED,
                ),
                io.Combo.Input("detail", options=list(DETAILS), default="auto", optional=True, tooltip=DETAIL_TOOLTIP),
            ],
            outputs=[
                io.Image.Output("IMAGE", tooltip="The reimagined pictures, at their original size."),
                io.Image.Output("strip", tooltip="The first picture, before and after each round, side by side."),
            ],
        )
        return host.searchable(schema, "liminal", "repaint", "variation")

    @classmethod
    def execute(
        cls,
        model: host.HostedModel,
        image: Tensor,
        strength: float,
        rounds: int,
        seed: int,
        parts: Parts,
        part_count: int,
        feather: int,
        blend: Blend,
        protect: Tensor | None = None,
        detail: Detail = "auto",
    ) -> io.NodeOutput:
        planes = host.image_planes(image)
        kept = None if protect is None else host.hole_planes(protect, planes, 0.5, False)
        completer = host.inpainter(model, planes)
        strip, preview = Strip(planes[0], rounds), LivePreview()

        def show(done: int, total: int, picture: Tensor) -> None:
            strip(done, total, picture)
            preview(done, total, picture)

        result = reimagine(
            completer,
            planes,
            strength,
            rounds,
            seed,
            kept,
            parts=parts,
            part_count=part_count,
            feather=feather,
            blend=blend,
            detail=detail,
            progress=show,
        )
        return io.NodeOutput(host.host_image(result), host.host_image(strip.picture()[None]), ui=shown.pictures(result))
