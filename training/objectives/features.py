"""The feature extractor of perceptual and style terms, as it is configured."""

from __future__ import annotations

from inpaint_core.losses.features import FeatureExtractor, FeaturesError, download_vgg16, load_features

from ..config import ConfigError, PartialConvConfig, Pix2PixConfig
from ..placement import Placement


def build_features(objective: PartialConvConfig | Pix2PixConfig, placement: Placement) -> FeatureExtractor | None:
    """The feature extractor of the perceptual and style terms; None when both weigh nothing or are done without.

    Raises
    ------
    ConfigError
        It cannot be had; the sentence offers to go on without these terms.
    """
    weights = [objective.perceptual, objective.style]
    if isinstance(objective, Pix2PixConfig):
        weights.append(objective.feature_adversarial)
    if objective.features == "none" or not any(weights):
        return None
    try:
        if objective.features == "vgg16":
            return download_vgg16().to(placement.device)
        return load_features(objective.features).to(placement.device)
    except FeaturesError as error:
        raise ConfigError(
            f"the perceptual and style terms need a VGG: {error} with --objective.features FILE.safetensors; "
            "to train without these two terms: --objective.features none"
        ) from None
