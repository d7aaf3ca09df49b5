"""What the registry knows about an architecture, and the base of every architecture's arguments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict
from torch import nn

Task = Literal["inpainting", "translation", "discriminator"]


class Arguments(BaseModel):
    """Constructor arguments of a network, as they stand in a checkpoint's card.

    A card is untrusted: every number in a subclass carries bounds, so that no card can ask for a network that does not
    fit into memory.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True)
class Architecture:
    """A network class with the arguments it accepts and the task it serves."""

    name: str
    network: type[nn.Module]
    arguments: type[Arguments]
    task: Task
