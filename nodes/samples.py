"""The node with sample photographs."""

from __future__ import annotations

from pathlib import Path

import torch
from comfy_api.v0_0_2 import io

from inpaint_core.files.images import decode_image

from . import host, shown

PHOTOGRAPHS = Path(__file__).with_name("photographs")
"""Each is a .jpg with a .png mask next to it, white where there is something to remove; SOURCES.md credits their
sources."""

NAMES = ("beach", "boat", "corridor", "dunes", "lavender", "moss", "road", "wren")


class SamplePicture(io.ComfyNode):
    """Output a bundled photograph, and a mask for it."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return host.searchable(
            io.Schema(
                node_id="Liminal_SamplePicture",
                display_name="Sample Picture",
                category="Liminal/image",
                description="A photograph bundled with the pack, with a mask of something to remove. For trying "
                "things out; for your own pictures, use Load Image instead.",
                inputs=[
                    io.Combo.Input(
                        "picture",
                        options=list(NAMES),
                        default="dunes",
                        tooltip="beach, boat, corridor, dunes, lavender, moss (a texture), road or wren. All are in "
                        "the public domain (CC0).",
                    )
                ],
                outputs=[
                    io.Image.Output("IMAGE", tooltip="The photograph."),
                    io.Mask.Output("MASK", tooltip="White (1) where there is something to remove."),
                ],
            ),
            "example image",
            "test image",
            "demo photo",
        )

    @classmethod
    def execute(cls, picture: str) -> io.NodeOutput:
        if picture not in NAMES:
            raise ValueError(f"there is no sample picture {ascii(picture)[:60]}: choose one of {', '.join(NAMES)}")
        image = decode_image(PHOTOGRAPHS / f"{picture}.jpg").image[None]
        hole = (decode_image(PHOTOGRAPHS / f"{picture}.png").image[None, :1] > 0.5).float()
        red = torch.tensor([1.0, 0.1, 0.1])[None, :, None, None].expand_as(image)
        marked = torch.lerp(image, red, 0.5 * hole)
        return io.NodeOutput(host.host_image(image), host.host_mask(hole), ui=shown.pictures(marked))
