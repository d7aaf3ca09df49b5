"""A translation model of a few thousand weights."""

from __future__ import annotations

from inpaint_core.checkpoints.card import ModelCard
from inpaint_core.checkpoints.prepare_settings import PrepareSettings
from inpaint_core.checkpoints.translation_model import TranslationModel
from inpaint_core.models import build_model


def small_model(
    prepare: PrepareSettings | None, channels: int = 1, depth: int = 3, trained_size: int = 32
) -> TranslationModel:
    arguments = {"input_channels": channels, "width": 4, "depth": depth}
    card = ModelCard(
        architecture="pix2pix_unet",
        arguments=arguments,
        task="translation",
        value_range="signed",
        trained_size=trained_size,
        prepare=prepare,
    )
    return TranslationModel(card, build_model("pix2pix_unet", **arguments))
