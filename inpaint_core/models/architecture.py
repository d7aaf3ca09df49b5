"""What the registry knows about an architecture, and the base of every architecture's arguments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict
from torch import nn

Task = Literal["inpainting", "translation", "discriminator"]


class Arguments(BaseModel):
    """Constructor arguments of a network, as they stand in a checkpoint's card.

    A card is untrusted: every number in a subclass carries bounds, so that no card can ask for a network that does not
    fit into memory.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")


class Network(nn.Module):
    """Base of every network in the registry.

    Attributes
    ----------
    multiple, minimum
        Height and width of the input must be multiples of the one and at least the other.
    """

    multiple: int = 1
    minimum: int = 1

    def initialise(self, generator: torch.Generator) -> None:
        """Set every parameter and every buffer, drawing from `generator` alone."""
        raise NotImplementedError


@dataclass(frozen=True)
class Architecture:
    """A network class with the arguments it accepts and the task it serves."""

    name: str
    network: type[Network]
    arguments: type[Arguments]
    task: Task
