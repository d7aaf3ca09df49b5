"""Checkpoints of pytorch-CycleGAN-and-pix2pix: U-Net and residual generators."""

from __future__ import annotations

import re

from ..checkpoints.card import ModelCard
from ..checkpoints.files import CheckpointError
from ..checkpoints.prepare_settings import PrepareSettings
from .layout import NORM_STATISTICS, Layout, Mapping, UnsupportedLayout


def _is_unet(keys: set[str]) -> bool:
    return "model.model.0.weight" in keys and "model.model.1.model.1.weight" in keys


def _plan_unet(mapping: Mapping) -> ModelCard:
    """Nested blocks: a middle one is [activation, down, norm, next block, activation, up, norm]."""
    width, inputs = mapping.shape("model.model.0.weight")[:2]
    blocks = []
    block = "model.model.1.model"
    while f"{block}.5.weight" in mapping.weights:
        blocks.append(block)
        block += ".3.model"
    depth = len(blocks) + 2
    norm = _norm(mapping, f"{blocks[0] if blocks else block}.{2 if blocks else 4}", "model.model.0.bias")
    _move_convolution(mapping, "model.model.0", "down.0.0", norm)
    _move_convolution(mapping, "model.model.3", "head.1", norm)
    for level, name in enumerate(blocks, start=1):
        _move_convolution(mapping, f"{name}.1", f"down.{level}.1", norm)
        _move_norm(mapping, f"{name}.2", f"down.{level}.2", norm)
        _move_convolution(mapping, f"{name}.5", f"up.{depth - 1 - level}.1", norm)
        _move_norm(mapping, f"{name}.6", f"up.{depth - 1 - level}.2", norm)
    _move_convolution(mapping, f"{block}.1", f"down.{depth - 1}.1", norm)
    _move_convolution(mapping, f"{block}.3", "up.0.1", norm)
    _move_norm(mapping, f"{block}.4", "up.0.2", norm)
    return _card(
        mapping, "pix2pix_unet", {"input_channels": inputs, "width": width, "depth": depth, "norm": norm}, 2**depth
    )


def _is_resnet(keys: set[str]) -> bool:
    return {"model.1.weight", "model.4.weight", "model.7.weight", "model.10.conv_block.1.weight"} <= keys


def _plan_resnet(mapping: Mapping) -> ModelCard:
    """One flat list: stem 1, down 4 and 7, blocks from 10, two transposed convolutions, head; each norm comes after its
    convolution."""
    width, inputs = mapping.shape("model.1.weight")[:2]
    count = len({key.split(".")[1] for key in mapping.weights if re.match(r"model\.\d+\.conv_block\.", key)})
    after = 10 + count
    norm = _norm(mapping, "model.2", "model.1.bias")
    # A dropout layer, which has no weights, shifts the second half of every block by one.
    dropout = any(key.startswith("model.10.conv_block.6.") for key in mapping.weights) and (
        "model.10.conv_block.5.weight" not in mapping.weights
    )
    pairs = [(1, "stem.1", 2, "stem.2"), (4, "down.0.0", 5, "down.0.1"), (7, "down.1.0", 8, "down.1.1")]
    pairs += [(after, "up.0.0", after + 1, "up.0.1"), (after + 3, "up.1.0", after + 4, "up.1.1")]
    for convolution, ours, their_norm, our_norm in pairs:
        _move_convolution(mapping, f"model.{convolution}", ours, norm)
        _move_norm(mapping, f"model.{their_norm}", our_norm, norm)
    for block in range(count):
        second = 6 if dropout else 5
        for position, our_position in ((1, 1), (second, 6)):
            theirs, target = f"model.{10 + block}.conv_block", f"blocks.{block}.layers"
            _move_convolution(mapping, f"{theirs}.{position}", f"{target}.{our_position}", norm)
            _move_norm(mapping, f"{theirs}.{position + 1}", f"{target}.{our_position + 1}", norm)
    _move_convolution(mapping, f"model.{after + 7}", "head.1", norm)
    arguments: dict[str, int | float | bool | str] = {
        "input_channels": inputs,
        "width": width,
        "blocks": count,
        "norm": norm,
        "dropout": 0.5 if dropout else 0.0,
    }
    return _card(mapping, "pix2pix_resnet", arguments, 256)


def _norm(mapping: Mapping, norm: str, bias: str) -> str:
    if f"{norm}.weight" in mapping.weights:
        return "batch"
    # Convolutions have a bias only if instance normalization follows.
    return "instance" if bias in mapping.weights else "none"


def _move_convolution(mapping: Mapping, theirs: str, ours: str, norm: str) -> None:
    mapping.move_layer(theirs, ours)
    if norm == "none" and f"{theirs}.bias" not in mapping.weights:
        weight = mapping.weights[f"{theirs}.weight"]
        # Transposed convolutions store output channels in the second dimension.
        outputs = weight.shape[1] if ours.startswith("up.") else weight.shape[0]
        mapping.tensors[f"{ours}.bias"] = weight.new_zeros(outputs)


def _move_norm(mapping: Mapping, theirs: str, ours: str, norm: str) -> None:
    if norm == "batch":
        mapping.move_batch_norm(theirs, ours)
    else:
        for name in NORM_STATISTICS:
            mapping.drop(f"{theirs}.{name}", "instance normalization computes its statistics from the picture")


def _card(mapping: Mapping, architecture: str, arguments: dict[str, int | float | bool | str], size: int) -> ModelCard:
    if arguments["norm"] == "batch":
        mapping.notes.append("batch normalization uses its stored statistics, as the original does with --eval")
    if arguments["input_channels"] not in (1, 3):
        raise CheckpointError(
            f"reads {arguments['input_channels']} channels; only generators with 1 or 3 can be converted"
        )
    return ModelCard(
        architecture=architecture,
        arguments=arguments,
        task="translation",
        value_range="signed",
        # One channel means gray pictures, without the abstraction that our training applies.
        prepare=PrepareSettings(reduction=1, brightness=0.0, contrast=0.0)
        if arguments["input_channels"] == 1
        else None,
        trained_size=size,
    )


def _is_discriminator(keys: set[str]) -> bool:
    return {"model.0.weight", "model.0.bias", "model.2.weight", "model.11.weight"} <= keys


LAYOUTS = (
    Layout("pix2pix U-Net generator (pytorch-CycleGAN-and-pix2pix)", _is_unet, _plan_unet),
    Layout("pix2pix residual generator (pytorch-CycleGAN-and-pix2pix)", _is_resnet, _plan_resnet),
)
UNSUPPORTED = (
    UnsupportedLayout(
        "pix2pix discriminator",
        _is_discriminator,
        "a discriminator only scores pictures; convert the generator (..._net_G.pth) instead",
    ),
)
