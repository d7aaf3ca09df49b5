"""Nodes that load and describe models."""

from __future__ import annotations

import torch
from comfy_api.v0_0_2 import io, ui

from inpaint_core.checkpoints.description import describe_model
from inpaint_core.checkpoints.files import PICKLE_SUFFIXES, load_model
from inpaint_core.checkpoints.inpainting_model import InpaintingModel
from inpaint_core.checkpoints.translation_model import TranslationModel

from . import host, shown

NO_MODEL = "(none yet: train one)"


class LoadModel(io.ComfyNode):
    """Read a checkpoint."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        schema = io.Schema(
            node_id="Liminal_LoadModel",
            display_name="Load Liminal Model",
            category="Liminal/models",
            description="Loads a bundled model, a file in models/liminal, a model trained by Train Model, or a LaMa "
            "or MAT model in models/inpaint. There are no other settings.",
            inputs=[
                io.Combo.Input(
                    "name",
                    options=host.model_names() or [NO_MODEL],
                    tooltip="A model bundled with the pack, a .safetensors file in ComfyUI's models/liminal, a run "
                    "as output/liminal/<run>, or a LaMa or MAT model in models/inpaint. Other formats are rejected "
                    "because opening them can execute code.",
                )
            ],
            outputs=[host.LiminalModel.Output("LIMINAL_MODEL", tooltip="The model.")],
        )
        return host.searchable(schema, "load inpaint model", "load lama", "load mat", "load pix2pix")

    @classmethod
    def fingerprint_inputs(cls, name: str) -> tuple[str, int, int]:
        file = host.model_file(name).stat()
        return name, file.st_size, file.st_mtime_ns

    @classmethod
    def execute(cls, name: str) -> io.NodeOutput:
        # Imported late: few users need them, and every import delays the host's start.
        from inpaint_core.foreign.external_models import is_external, load_external_model

        file = host.model_file(name)
        if file.suffix.lower() in PICKLE_SUFFIXES:
            raise ValueError(
                f"{name} can execute code when opened, so nodes do not accept it; convert it with python -m "
                f"inpaint_core convert {file.name} --out {file.stem}.safetensors, and select the result"
            )
        with torch.inference_mode(False):
            return io.NodeOutput(host.hosted(load_external_model(file) if is_external(file) else load_model(file)))


class ModelInfo(io.ComfyNode):
    """Show a model's card."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        schema = io.Schema(
            node_id="Liminal_ModelInfo",
            display_name="Model Info",
            category="Liminal/models",
            description="Shows a model's card: architecture, size, training data and scores.",
            hidden=[io.Hidden.unique_id],
            is_output_node=True,
            inputs=[host.LiminalModel.Input("model", tooltip="Any Liminal model.")],
            outputs=[io.String.Output("text", tooltip="The model's card, one property per line.")],
        )
        return host.searchable(schema, "model card", "checkpoint info")

    @classmethod
    def execute(cls, model: host.HostedModel) -> io.NodeOutput:
        text = describe(model.model)
        shown.say(cls, text)
        return io.NodeOutput(text, ui=ui.PreviewText(text))


def describe(model: host.Model) -> str:
    """A description of a model, one property per line."""
    if isinstance(model, (InpaintingModel, TranslationModel)):
        return describe_model(model)
    parameters = sum(parameter.numel() for parameter in model.network.parameters())
    return f"name          {model.name}\ntask          inpainting\nparameters    {parameters:,}\nloaded by     spandrel"
