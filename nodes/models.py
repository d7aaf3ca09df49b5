"""Nodes that load a model and describe it."""

from __future__ import annotations

import torch
from comfy_api.v0_0_2 import io, ui

from inpaint_core.checkpoints.description import describe_model
from inpaint_core.checkpoints.files import load_model

from . import host, shown

NO_MODEL = "(none yet: train one)"


class LoadModel(io.ComfyNode):
    """Read a checkpoint."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Liminal_LoadModel",
            display_name="Load Liminal Model",
            category="Liminal/models",
            description="Loads a bundled model, a file in models/liminal, or the result of a training run. Files "
            "describe themselves, so there is nothing else to set.",
            inputs=[
                io.Combo.Input(
                    "name",
                    options=host.model_names() or [NO_MODEL],
                    tooltip="A model bundled with the pack, a .safetensors file in ComfyUI's models/liminal, or a "
                    "training run as output/liminal/<run>. Other formats are refused because opening them can execute "
                    "code.",
                )
            ],
            outputs=[host.LiminalModel.Output("LIMINAL_MODEL", tooltip="The model.")],
        )

    @classmethod
    def fingerprint_inputs(cls, name: str) -> tuple[str, int, int]:
        file = host.model_file(name).stat()
        return name, file.st_size, file.st_mtime_ns

    @classmethod
    def execute(cls, name: str) -> io.NodeOutput:
        with torch.inference_mode(False):
            return io.NodeOutput(host.hosted(load_model(host.model_file(name))))


class ModelInfo(io.ComfyNode):
    """Show a model's card."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Liminal_ModelInfo",
            display_name="Model Info",
            category="Liminal/models",
            description="Shows a model's card: architecture, size, training data and scores.",
            hidden=[io.Hidden.unique_id],
            is_output_node=True,
            inputs=[host.LiminalModel.Input("model", tooltip="Any Liminal model.")],
            outputs=[io.String.Output("text", tooltip="The model's card, one property per line.")],
        )

    @classmethod
    def execute(cls, model: host.HostedModel) -> io.NodeOutput:
        text = describe_model(model.model)
        shown.say(cls, text)
        return io.NodeOutput(text, ui=ui.PreviewText(text))
