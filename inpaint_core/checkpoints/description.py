"""A description of a model as text."""

from __future__ import annotations

import torch

from ..text import one_line
from .inpainting_model import InpaintingModel
from .prepare_settings import PrepareSettings
from .translation_model import TranslationModel


def describe_model(model: InpaintingModel | TranslationModel) -> str:
    """A model's architecture, size, input and training data, one property per line."""
    card = model.card
    parameters = sum(parameter.numel() for parameter in model.network.parameters())
    stored = sum(buffer.numel() for buffer in model.network.buffers() if buffer.dtype == torch.uint8)
    chosen = ", ".join(f"{key} {value}" for key, value in sorted(card.arguments.items()))
    inpaints = card.task == "inpainting"
    lines = {
        "name": card.name,
        "task": card.task,
        "architecture": f"{card.architecture} ({chosen})" if chosen else f"{card.architecture} (defaults)",
        "parameters": f"{parameters:,} ({parameters * 4 / 1e6:.1f} MB in float32)" if parameters else "",
        "exemplars": f"{card.arguments.get('pictures')} pictures ({stored / 1e6:.1f} MB)" if stored else "",
        "value range": {"unit": "0..1", "signed": "-1..1", "imagenet": "ImageNet-normalized"}[card.value_range],
        "mask": "1 = hole, filled with RGB " + " ".join(f"{value:.3f}" for value in card.fill) if inpaints else "",
        "input": "" if inpaints else _describe_input(card.prepare),
        "trained at": f"{card.trained_size} x {card.trained_size} pixels, {card.steps} steps",
        "trained on": card.data,
        "licence": card.licence,
        "metrics": ", ".join(f"{key} {value:.4g}" for key, value in sorted(card.metrics.items())),
        "written by": f"liminal-inpaint {card.version}",
    }
    return "\n".join(f"{key:13} {one_line(value, 2000)}" for key, value in lines.items() if value)


def _describe_input(settings: PrepareSettings | None) -> str:
    if settings is None:
        return "color pictures as they are"
    return f"gray, reduced by a factor of {settings.reduction} and enlarged again"
