"""What the registry knows about an architecture, and the base of every architecture's arguments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict
from torch import nn

Task = Literal["inpainting", "translation", "discriminator"]
ValueRange = Literal["unit", "signed", "imagenet"]
"""What a network reads and writes: 0..1, -1..1, or ImageNet-normalized."""


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

    def initialize(self, generator: torch.Generator) -> None:
        """Set every parameter and every buffer, drawing from `generator` alone."""
        raise NotImplementedError


@dataclass(frozen=True)
class Architecture:
    """Everything that the rest of the project asks about a kind of network.

    Attributes
    ----------
    name
        Key in the registry; written into checkpoints.
    network, arguments
        The class, and the class of its constructor arguments.
    task
        What its models do.
    value_range
        What a network reads and writes, unless it refines a smooth fill (see `value_range_of`).
    small
        Arguments that make a network of a few thousand weights, for tests.
    refining_heads
        Values of the argument `head` with which a network refines a smooth fill: it starts from an interpolation of the
        known pixels, normalizes its input by itself and ignores the fill color.
    """

    name: str
    network: type[Network]
    arguments: type[Arguments]
    task: Task
    value_range: ValueRange = "unit"
    small: Mapping[str, Any] = field(default_factory=dict)
    refining_heads: tuple[str, ...] = ()

    def complete(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Check arguments and add the defaults.

        Raises
        ------
        ValidationError
            Unknown names or values out of range.
        """
        return self.arguments.model_validate(arguments).model_dump()

    def refines(self, arguments: Mapping[str, Any]) -> bool:
        """Whether a network with these complete arguments refines a smooth fill."""
        return arguments.get("head") in self.refining_heads

    def value_range_of(self, arguments: Mapping[str, Any]) -> ValueRange:
        """What a network with these complete arguments is trained on."""
        return "unit" if self.refines(arguments) else self.value_range

    def input_channels(self, arguments: Mapping[str, Any]) -> int:
        """Channels of the picture that a network with these complete arguments reads."""
        return int(arguments.get("input_channels", 3))
