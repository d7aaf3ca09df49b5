"""Checkpoints of the two public families of partial-convolution U-Nets."""

from __future__ import annotations

import re

from torch import Tensor

from ..checkpoints.card import ModelCard
from ..checkpoints.files import CheckpointError
from .layout import Layout, Mapping

CLASSIC_DEPTH = 7


def _levels(keys: set[str], half: str) -> int:
    numbers = [int(match.group(1)) for key in keys if (match := re.match(rf"{half}_(\d+)\.conv\.", key))]
    return max(numbers, default=0)


def _is_naoto(keys: set[str]) -> bool:
    return "enc_1.conv.input_conv.weight" in keys


def _plan_naoto(mapping: Mapping) -> ModelCard:
    """pytorch-inpainting-with-partial-conv: divides by the count of valid values, without multiplying by the window
    size.

    Their `W . X / sum(M)` is our `(W / n) . X * n / sum(M)` with n values in a window, so every weight is divided by n.
    Their mask convolutions contain only ones.
    """
    depth = _levels(set(mapping.weights), "enc")
    width = mapping.shape("enc_1.conv.input_conv.weight")[0]
    for level in range(1, depth + 1):
        for theirs, ours in ((f"enc_{level}", f"encoder.{level - 1}"), (f"dec_{level}", f"decoder.{depth - level}")):
            mapping.move(f"{theirs}.conv.input_conv.weight", f"{ours}.convolution.weight", _divided_by_window)
            _drop_mask_convolution(mapping, f"{theirs}.conv")
            if level > 1:
                mapping.move_batch_norm(f"{theirs}.bn", f"{ours}.norm")
    mapping.move("dec_1.conv.input_conv.bias", f"decoder.{depth - 1}.convolution.bias")
    mapping.notes.append("convolution weights were divided by the window size")
    return ModelCard(
        architecture="pconv_unet",
        arguments={"depth": depth, "width": width},
        value_range="imagenet",
        trained_size=256,
    )


def _drop_mask_convolution(mapping: Mapping, convolution: str) -> None:
    name = f"{convolution}.mask_conv.weight"
    weight = mapping.weights.get(name)
    if weight is None:
        return
    if weight.shape != mapping.weights[f"{convolution}.input_conv.weight"].shape or not bool((weight == 1).all()):
        raise CheckpointError(f"weight {name!r} is not the window of ones that belongs to its convolution")
    mapping.drop(name, "window sums have no weights")


def _divided_by_window(weight: Tensor) -> Tensor:
    return weight / weight[0].numel()


def _is_without_norm(keys: set[str]) -> bool:
    return "enc_1.conv.weight" in keys and "dec_1.conv.bias" in keys and not any(".bn." in key for key in keys)


def _plan_without_norm(mapping: Mapping) -> ModelCard:
    """partialconv and SneakySketchers: normalization layers were never registered, and the last ratio is applied twice.

    Eight levels are always stored, but their configuration uses seven, which the file does not record.
    """
    stored = _levels(set(mapping.weights), "enc")
    depth = min(CLASSIC_DEPTH, stored)
    width = mapping.shape("enc_1.conv.weight")[0]
    for level in range(1, depth + 1):
        mapping.move(f"enc_{level}.conv.weight", f"encoder.{level - 1}.convolution.weight")
        mapping.move(f"dec_{level}.conv.weight", f"decoder.{depth - level}.convolution.weight")
    mapping.move("dec_1.conv.bias", f"decoder.{depth - 1}.convolution.bias")
    for level in range(depth + 1, stored + 1):
        for half in ("enc", "dec"):
            mapping.drop(f"{half}_{level}.conv.weight", f"level {level} is stored but not used")
    mapping.notes.append("the last layer's window ratio is applied twice, as in the original")
    return ModelCard(
        architecture="pconv_unet",
        arguments={"depth": depth, "width": width, "norm": "none", "legacy_double_ratio": True},
        value_range="unit",
        trained_size=256,
    )


LAYOUTS = (
    Layout("partial convolution U-Net with mask convolutions (naoto0804, kamuda1)", _is_naoto, _plan_naoto),
    Layout(
        "partial convolution U-Net without normalization (tanimutomo, SneakySketchers)",
        _is_without_norm,
        _plan_without_norm,
    ),
)
