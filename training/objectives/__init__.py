"""Ways of training, one file each."""

from __future__ import annotations

from inpaint_core.checkpoints.card import ModelCard
from inpaint_core.models.architecture import Network

from ..config import GlcicConfig, PartialConvConfig, Pix2PixConfig, TrainConfig
from ..placement import Placement
from .glcic import Glcic
from .objective import Objective
from .partial_conv import PartialConv
from .pix2pix import Pix2Pix
from .reconstruction import Reconstruction


def build_objective(config: TrainConfig, card: ModelCard, network: Network, placement: Placement) -> Objective:
    """The configured way of training around a fresh or preloaded network."""
    if isinstance(config.objective, Pix2PixConfig):
        return Pix2Pix(config.objective, config, card, network, placement)
    if isinstance(config.objective, PartialConvConfig):
        return PartialConv(config.objective, config, card, network, placement)
    if isinstance(config.objective, GlcicConfig):
        return Glcic(config.objective, config, card, network, placement)
    return Reconstruction(config.objective, config, card, network, placement)
