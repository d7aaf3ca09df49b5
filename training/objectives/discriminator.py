"""The discriminator of an adversarial objective, as it is configured."""

from __future__ import annotations

from typing import Any

from inpaint_core.models.architecture import Network
from inpaint_core.models.registry import build_model

from ..config import CompositeConfig, ConfigError, GlcicConfig, Pix2PixConfig, TrainConfig
from ..placement import Placement
from ..randomness import torch_generator
from .optimization import Trainable


def build_discriminator(
    architecture: str,
    arguments: dict[str, Any],
    objective: GlcicConfig | CompositeConfig | Pix2PixConfig,
    config: TrainConfig,
    placement: Placement,
) -> Trainable[Network]:
    """A freshly initialised discriminator with its own learning rate and no average of its weights.

    Raises
    ------
    ConfigError
        Refused arguments, or pictures too small for it.
    """
    generator = torch_generator(config.seed, "discriminator")
    try:
        network = build_model(architecture, generator=generator, **arguments)
    except ValueError as error:
        raise ConfigError(str(error), "objective.discriminator") from None
    if config.data.size < network.minimum:
        raise ConfigError(
            f"{config.data.size} was given, but {architecture} needs at least {network.minimum}", "data.size"
        )
    rate = config.optimizer.learning_rate * objective.discriminator_rate
    optimizer = config.optimizer.model_copy(update={"ema": None, "learning_rate": rate})
    return Trainable(network.train(), config, optimizer, placement)
