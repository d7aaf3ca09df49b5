"""Base class of the models for all tasks: a network, and the card that describes its input."""

from __future__ import annotations

import copy
from itertools import chain
from typing import TypeVar

import torch

from ..models.architecture import Network
from .card import ModelCard

Model = TypeVar("Model", bound="DescribedModel")


class DescribedModel:
    """A network and its card.

    Parameters
    ----------
    card
        Describes how the network's input is prepared.
    network
        Its training or evaluation mode is not changed.
    """

    def __init__(self, card: ModelCard, network: Network) -> None:
        self.card = card
        self.network = network

    @property
    def device(self) -> torch.device:
        """Device of the weights, or of the buffers of a network without weights."""
        return next(chain(self.network.parameters(), self.network.buffers())).device

    def to(self: Model, device: torch.device | str) -> Model:
        """Move the weights; returns the model itself."""
        self.network.to(device)
        return self

    def clone(self: Model) -> Model:
        """An independent copy, for fine-tuning a model that is still in use elsewhere."""
        with torch.inference_mode(False):
            return type(self)(self.card, copy.deepcopy(self.network))
