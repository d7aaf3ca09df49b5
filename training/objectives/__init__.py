"""Ways of training, one file each."""

from __future__ import annotations

from torch import nn

from inpaint_core.model_card import ModelCard

from ..config import TrainConfig
from ..placement import Placement
from .objective import Objective
from .reconstruction import Reconstruction


def build_objective(config: TrainConfig, card: ModelCard, network: nn.Module, placement: Placement) -> Objective:
    """The configured way of training around a fresh or preloaded network."""
    return Reconstruction(config.objective, config, card, network, placement)
