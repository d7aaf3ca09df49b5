"""Registry of objectives by configuration class: adding an objective takes one file and one line here."""

from __future__ import annotations

from typing import Any

from inpaint_core.checkpoints.card import ModelCard
from inpaint_core.models.architecture import Network

from ..config import (
    OBJECTIVE_CONFIGS,
    CompositeConfig,
    ExemplarsConfig,
    GlcicConfig,
    ObjectiveConfig,
    Pix2PixConfig,
    ReconstructionConfig,
    TrainConfig,
    add_objective_config,
)
from ..placement import Placement
from .composite import Composite
from .exemplars import Exemplars
from .glcic import Glcic
from .objective import Objective
from .pix2pix import Pix2Pix
from .reconstruction import Reconstruction

OBJECTIVES: dict[type[ObjectiveConfig], type[Any]] = {}


def register(config: type[ObjectiveConfig], objective: type[Any]) -> None:
    """Make an objective available to recipes, the command line and the Train node.

    Parameters
    ----------
    config
        Its settings. The default of its field `name` is the name used in recipes; its class variables describe what the
        objective is for.
    objective
        A class that implements `Objective`, constructed with `(settings, config, card, network, placement)`.
    """
    OBJECTIVES[config] = objective
    add_objective_config(config)


register(ReconstructionConfig, Reconstruction)
register(CompositeConfig, Composite)
register(GlcicConfig, Glcic)
register(Pix2PixConfig, Pix2Pix)
register(ExemplarsConfig, Exemplars)

_missing = set(OBJECTIVE_CONFIGS.values()) - OBJECTIVES.keys()
if _missing:
    raise ImportError(f"no objective is registered for {', '.join(sorted(config.__name__ for config in _missing))}")


def objective_class(config: TrainConfig) -> type[Objective]:
    """The class that trains this configuration."""
    return OBJECTIVES[type(config.objective)]


def build_objective(config: TrainConfig, card: ModelCard, network: Network, placement: Placement) -> Objective:
    """Build the configured objective around a new or preloaded network.

    Raises
    ------
    ConfigError
        Settings that do not match the network.
    """
    return OBJECTIVES[type(config.objective)](config.objective, config, card, network, placement)
