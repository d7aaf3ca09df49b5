"""Checkpoints of the public PyTorch versions of "Globally and Locally Consistent Image Completion"."""

from __future__ import annotations

import torch
from torch import Tensor

from ..checkpoints.card import ModelCard
from .layout import Layout, Mapping, UnsupportedLayout

CONVOLUTIONS = (*(f"conv{i}" for i in range(1, 13)), "deconv13", "conv14", "deconv15", "conv16")
# The color that the three-channel version fills holes with: the mean of its training pictures.
SCALAR_MEAN = 0.4381295423217147


def _is_completion(keys: set[str]) -> bool:
    return {"conv1.weight", "deconv13.weight", "deconv15.weight", "conv17.weight"} <= keys


def _plan_completion(mapping: Mapping) -> ModelCard:
    """GLCIC-PyTorch (reads RGB and mask) and Image-Inpainting-DCGAN (reads RGB only).

    Both normalize after the ReLU. The three-channel version becomes a four-channel one that ignores the mask.
    """
    width, inputs = mapping.shape("conv1.weight")[:2]
    for index, name in enumerate(CONVOLUTIONS):
        number = index + 1
        mapping.move_layer(name, f"layers.{index}.0", _with_mask_channel if number == 1 else Tensor.clone)
        mapping.move_batch_norm(f"bn{number}", f"layers.{index}.2")
    mapping.move_layer("conv17", "head.0")
    fill = 0.5
    if inputs == 3:
        fill = SCALAR_MEAN
        mapping.notes.append("the mask channel was added with zero weights; the fill color is that version's constant")
    else:
        mapping.notes.append(
            "the fill color is not in the file: 0.5 gray unless config.json or --fill specifies another one"
        )
    return ModelCard(
        architecture="glcic",
        arguments={"width": width, "norm": "batch", "norm_after_activation": True},
        value_range="unit",
        fill=(fill, fill, fill),
        trained_size=160,
    )


def _with_mask_channel(weight: Tensor) -> Tensor:
    if weight.shape[1] != 3:
        return weight.clone()
    return torch.cat([weight, torch.zeros_like(weight[:, :1])], 1)


def _is_discriminator(keys: set[str]) -> bool:
    return "model_ld.conv1.weight" in keys or "model_gd.conv1.weight" in keys


LAYOUTS = (Layout("GLCIC completion network (otenim, Regressionist)", _is_completion, _plan_completion),)
UNSUPPORTED = (
    UnsupportedLayout(
        "GLCIC discriminator",
        _is_discriminator,
        "a discriminator only scores pictures; convert the completion network (model_cn...) instead",
    ),
)
