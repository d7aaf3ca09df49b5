"""Checkpoints of the landscape inpainter im-outpainting: a U-Net and an encoder-decoder."""

from __future__ import annotations

from ..checkpoints.card import ModelCard
from .layout import Layout, Mapping

BLACK = (0.0, 0.0, 0.0)
FILL_NOTE = "holes are filled with black, its training default; use --fill 1 1 1 if it was trained with white"


def _is_unet(keys: set[str]) -> bool:
    return {"encoder1.0.weight", "bottle_neck.1.weight", "decoder3.1.weight"} <= keys


def _plan_unet(mapping: Mapping) -> ModelCard:
    width = mapping.shape("encoder1.0.weight")[0]
    pairs = [
        ("encoder1.0", "stem.0.0"),
        ("encoder1.2", "stem.2.0"),
        ("bottle_neck.1", "bottleneck.1.0"),
        ("decoder3.1", "head.1"),
    ]
    for level in range(2):
        for position in (1, 3):
            pairs.append((f"encoder{level + 2}.{position}", f"encoder.{level}.{position}.0"))
            pairs.append((f"decoder{level + 1}.{position}", f"decoder.{level}.{position}.0"))
    for theirs, ours in pairs:
        mapping.move_layer(theirs, ours)
    mapping.notes.append(FILL_NOTE)
    return ModelCard(
        architecture="unet",
        arguments={
            "width": width,
            "max_width": 4 * width,
            "depth": 3,
            "mask_channels": 3,
            "norm": "none",
            "head": "tanh",
        },
        value_range="unit",
        fill=BLACK,
        trained_size=256,
    )


def _is_encoder_decoder(keys: set[str]) -> bool:
    return {"encoder.0.weight", "decoder.0.weight"} <= keys and (
        {"encoder.7.running_mean", "decoder.6.weight"} <= keys or {"encoder.9.running_mean", "decoder.8.weight"} <= keys
    )


def _plan_encoder_decoder(mapping: Mapping) -> ModelCard:
    """Two versions: full resolution throughout, and with pooling, which has no weights but shifts the positions."""
    width = mapping.shape("encoder.0.weight")[0]
    pooling = "encoder.9.running_mean" in mapping.weights
    step = 4 if pooling else 3
    # Our numbering continues through both halves, and the version without pooling has no activation between them.
    for half, offset in (("encoder", 0), ("decoder", 11 if pooling else 8)):
        for index in range(3):
            convolution = index * step
            mapping.move_layer(f"{half}.{convolution}", f"layers.{offset + convolution}")
            if (half, index) != ("decoder", 2):
                mapping.move_batch_norm(f"{half}.{convolution + 1}", f"layers.{offset + convolution + 1}")
    mapping.notes.append(FILL_NOTE)
    return ModelCard(
        architecture="encoder_decoder",
        arguments={
            "width": width,
            "mask_channels": 3,
            "norm": "batch",
            "head": "tanh" if pooling else "hardtanh",
            "pooling": pooling,
        },
        value_range="unit",
        fill=BLACK,
        trained_size=256,
    )


LAYOUTS = (
    Layout("landscape U-Net (im-outpainting)", _is_unet, _plan_unet),
    Layout("landscape encoder-decoder (im-outpainting)", _is_encoder_decoder, _plan_encoder_decoder),
)
