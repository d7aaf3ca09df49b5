"""The configured discriminator of an adversarial objective."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from torch import Tensor

from inpaint_core.losses.adversarial import AdversarialLoss, discriminator_loss, generator_loss
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
    section: str = "discriminator",
    side: int | None = None,
) -> Trainable[Network]:
    """A freshly initialized discriminator with its own learning rate and no weight averaging.

    Parameters
    ----------
    architecture, arguments, objective, config, placement
        The network, and the training run it belongs to.
    section
        Field of the objective's settings with its arguments.
    side
        Side of its input in pixels; `data.size` if None.

    Raises
    ------
    ConfigError
        Invalid arguments, or pictures too small for it.
    """
    generator = torch_generator(config.seed, section)
    try:
        network = build_model(architecture, generator=generator, **arguments)
    except ValueError as error:
        raise ConfigError(str(error), f"objective.{section}") from None
    if side is None and config.data.size < network.minimum:
        raise ConfigError(
            f"{config.data.size} was given, but {architecture} needs at least {network.minimum}", "data.size"
        )
    if side is not None and side < network.minimum:
        raise ConfigError(
            f"feature maps have a side of {side}, but at least {network.minimum} is needed", f"objective.{section}"
        )
    rate = config.optimizer.learning_rate * objective.discriminator_rate
    optimizer = config.optimizer.model_copy(update={"ema": None, "learning_rate": rate})
    return Trainable(network.train(), config, optimizer, placement)


def contend(
    discriminator: Trainable[Network],
    shown: tuple[Tensor, Tensor],
    kind: AdversarialLoss,
    share: float,
    frozen: ExitStack,
) -> tuple[Tensor, Tensor]:
    """Accumulate the gradients of a discriminator that learns to separate real from fake, and return the generator's
    loss against it.

    Parameters
    ----------
    discriminator
        Receives the gradients of its own loss.
    shown
        `[B,C,H,W]` each: real, and fake with gradients.
    kind, share
        The type of loss, and the fraction of the batch that this part makes up.
    frozen
        Freezes the discriminator's weights until it is closed; close it after the generator's backward pass.

    Returns
    -------
    tuple of Tensor
        The discriminator's loss, and the generator's with gradients.
    """
    real, made = shown
    with discriminator.autocast():
        d_loss = discriminator_loss(
            discriminator.forward(real).float(), discriminator.forward(made.detach()).float(), kind
        )
    discriminator.backward(d_loss * share)
    discriminator.network.requires_grad_(False)
    frozen.callback(discriminator.network.requires_grad_, True)
    with discriminator.autocast():
        # The plain network: its gradients are not needed, so processes must not exchange any.
        g_loss = generator_loss(discriminator.network(made).float(), kind)
    return d_loss, g_loss
