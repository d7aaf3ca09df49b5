"""The descriptor of an architecture, and the base class of every architecture's arguments."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict
from torch import nn

Task = Literal["inpainting", "translation", "discriminator"]
ValueRange = Literal["unit", "signed", "imagenet"]
"""Range of a network's input and output: 0..1, -1..1, or ImageNet-normalized."""
Learning = Literal["gradients", "exemplars"]
"""How a network is trained: by gradient descent, or by selecting its exemplars."""


class Arguments(BaseModel):
    """Constructor arguments of a network, as stored in a checkpoint's card.

    A card is untrusted: every number in a subclass has bounds, so that no card can request a network that does not fit
    in memory.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")


class Network(nn.Module):
    """Base class of every network in the registry.

    Attributes
    ----------
    multiple, minimum
        Height and width of the input must be multiples of `multiple` and at least `minimum`.
    exact
        Whether its decisions depend on small differences, so that it must not run in half precision.
    uses_previous
        Whether its forward pass accepts `previous`, the output for the previous frame, and `coherence`, 0 to 1, how
        strongly the output follows that frame.
    detail_share
        Fraction of its fills' fine detail that it copies in evaluation mode (see `copied_detail`).
    """

    multiple: int = 1
    minimum: int = 1
    exact: bool = False
    uses_previous: bool = False
    detail_share: float = 0.0

    def without_copied_detail(self) -> Network:
        """A network with the same weights (shared, not copied) that copies no detail; itself if it never does."""
        if self.detail_share == 0.0:
            return self
        plain = copy.copy(self)
        plain.detail_share = 0.0
        return plain

    def initialize(self, generator: torch.Generator) -> None:
        """Set every parameter and buffer, using only randomness from `generator`."""
        raise NotImplementedError


@dataclass(frozen=True)
class Architecture:
    """Everything the rest of the project needs to know about an architecture.

    Attributes
    ----------
    name
        Key in the registry; written into checkpoints.
    network, arguments
        The class, and the class of its constructor arguments.
    task
        The task of its models.
    value_range
        Range of its input and output, unless it refines a smooth fill (see `value_range_of`).
    small
        Arguments of a network of a few thousand weights, for tests.
    refining_heads
        Values of the argument `head` with which a network refines a smooth fill: it starts from an interpolation of the
        known pixels, normalizes its own input and ignores the fill color.
    learns
        How it is trained.
    """

    name: str
    network: type[Network]
    arguments: type[Arguments]
    task: Task
    value_range: ValueRange = "unit"
    small: Mapping[str, Any] = field(default_factory=dict)
    refining_heads: tuple[str, ...] = ()
    learns: Learning = "gradients"

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
        """Value range of a network with these complete arguments."""
        return "unit" if self.refines(arguments) else self.value_range

    def input_channels(self, arguments: Mapping[str, Any]) -> int:
        """Input channels of a network with these complete arguments."""
        return int(arguments.get("input_channels", 3))
