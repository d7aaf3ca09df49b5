"""The discriminator of an adversarial objective, as it is configured."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from torch import Tensor

from inpaint_core.losses.adversarial import AdversarialLoss, discriminator_loss, generator_loss
from inpaint_core.models.architecture import Network
from inpaint_core.models.registry import build_model

from ..config import ConfigError, GlcicConfig, PartialConvConfig, Pix2PixConfig, TrainConfig
from ..placement import Placement
from ..randomness import torch_generator
from .optimization import Trainable


def build_discriminator(
    architecture: str,
    arguments: dict[str, Any],
    objective: GlcicConfig | PartialConvConfig | Pix2PixConfig,
    config: TrainConfig,
    placement: Placement,
    section: str = "discriminator",
    side: int | None = None,
) -> Trainable[Network]:
    """A freshly initialised discriminator with its own learning rate and no average of its weights.

    Parameters
    ----------
    architecture, arguments, objective, config, placement
        Which network, and the training that it belongs to.
    section
        Where in the objective's settings its arguments stand.
    side
        Of what it judges; `data.size` when None.

    Raises
    ------
    ConfigError
        Refused arguments, or pictures too small for it.
    """
    generator = torch_generator(config.seed, section)
    try:
        network = build_model(architecture, generator=generator, **arguments)
    except ValueError as error:
        raise ConfigError(f"objective.{section}: {error}") from None
    if side is None and config.data.size < network.minimum:
        raise ConfigError(f"data.size {config.data.size}: {architecture} needs at least {network.minimum}")
    if side is not None and side < network.minimum:
        raise ConfigError(f"objective.{section}: feature maps of side {side}, at least {network.minimum} are needed")
    rate = config.optimizer.learning_rate * objective.discriminator_rate
    optimizer = config.optimizer.model_copy(update={"ema": None, "learning_rate": rate})
    return Trainable(network.train(), config, optimizer, placement)


def contend(
    judge: Trainable[Network], shown: tuple[Tensor, Tensor], kind: AdversarialLoss, share: float, frozen: ExitStack
) -> tuple[Tensor, Tensor]:
    """Let a discriminator learn to tell two inputs apart, and say what their maker has to make small.

    Parameters
    ----------
    judge
        The discriminator; the gradients of its own loss are added to it here.
    shown
        What it judges, `[B,C,H,W]`: the real, and the made with its graph.
    kind, share
        Which loss, and the share of the batch that this is.
    frozen
        Holds the discriminator's weights fixed until it is closed, which is to be after the maker's backward pass.

    Returns
    -------
    tuple of Tensor
        The discriminator's loss, and the generator's, which has a graph.
    """
    real, made = shown
    with judge.autocast():
        told_apart = discriminator_loss(judge.forward(real).float(), judge.forward(made.detach()).float(), kind)
    judge.backward(told_apart * share)
    judge.network.requires_grad_(False)
    frozen.callback(judge.network.requires_grad_, True)
    with judge.autocast():
        # The plain network: its gradients are not wanted, so nothing is to be exchanged between processes.
        fooled = generator_loss(judge.network(made).float(), kind)
    return told_apart, fooled
