"""The configured feature extractor of perceptual and style terms."""

from __future__ import annotations

import torch

from inpaint_core.losses.features import FeatureExtractor, FeaturesError, download_vgg16, load_features

from ..config import CompositeConfig, ConfigError, Pix2PixConfig, TrainConfig
from ..placement import Placement


def build_features(
    objective: CompositeConfig | Pix2PixConfig, config: TrainConfig, placement: Placement, needed: bool = False
) -> FeatureExtractor | None:
    """Build the feature extractor of the perceptual and style losses.

    Parameters
    ----------
    needed
        Whether a discriminator reads the features, so that they are needed even if both losses have weight 0.

    Returns
    -------
    FeatureExtractor or None
        None if nothing uses it.

    Raises
    ------
    ConfigError
        It cannot be loaded; the message explains how to train without it.
    """
    if objective.features == "none":
        if needed:
            raise ConfigError(
                "the value features needs a feature extractor, but `objective.features` is none", "objective.adversary"
            )
        return None
    if objective.perceptual == objective.style == 0.0 and not needed:
        return None
    try:
        extractor = download_vgg16() if objective.features == "vgg16" else load_features(objective.features)
    except FeaturesError as error:
        raise ConfigError(
            f"the perceptual and style losses need VGG weights: {error}; to train without these losses, set it to none",
            "objective.features",
        ) from None
    if config.channels_last:
        extractor = extractor.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return extractor.to(placement.device)
