"""Layered settings: a recipe, a sweep's levels, the command line, a node's widgets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .config import FORMER_FIELDS, FORMER_NAMES, ModelConfig, OptimizerConfig, ReconstructionConfig

Values = Mapping[str, Any]

OPTIMIZER_DEFAULTS: dict[str, dict[str, float]] = {
    "adam": {"learning_rate": 1e-3},
    "adamw": {"learning_rate": 1e-3, "weight_decay": 0.01},
    "sgd": {"learning_rate": 0.1, "beta1": 0.9},
    "rmsprop": {"learning_rate": 1e-3, "beta1": 0.0, "beta2": 0.99},
    "adagrad": {"learning_rate": 0.01},
    "adadelta": {"learning_rate": 1.0, "beta2": 0.9},
}
"""Defaults of each optimizer when a layer selects it in place of another one."""
OWN_TO_OPTIMIZER = ("learning_rate", "beta1", "beta2", "weight_decay")
"""Fields whose good values depend on the optimizer, unlike the schedule, clipping and averaging."""


def layered(base: Values, *layers: Values) -> dict[str, Any]:
    """Merge settings, section by section and argument by argument.

    If a layer selects another architecture, objective or optimizer, the values for the previous one are dropped, and
    the defaults of the new one apply. Everything that the layer itself sets is kept.

    Parameters
    ----------
    base
        Values of a configuration, as in a recipe; not changed.
    *layers
        Changes; later layers take precedence.

    Returns
    -------
    dict
        Values for `parse_config`, which checks them.

    Examples
    --------
    >>> layered({"model": {"arguments": {"depth": 3}}}, {"model": {"architecture": "glcic", "arguments": {"width": 8}}})
    {'model': {'arguments': {'width': 8}, 'architecture': 'glcic'}}
    """
    result = _current(base)
    for layer in layers:
        for key, change in _current(layer).items():
            known = result.get(key)
            if not isinstance(change, Mapping):
                result[key] = change
                continue
            known = known if isinstance(known, Mapping) else {}
            result[key] = layered(_kept(key, known, change), change)
    return result


def _current(values: Values) -> dict[str, Any]:
    return {FORMER_FIELDS.get(key, key): value for key, value in values.items()}


def _kept(section: str, known: Values, change: Values) -> Values:
    """The values of a section that remain after a change to it."""
    if section == "objective" and _changes(known, change, "name", ReconstructionConfig.model_fields["name"].default):
        return {}
    if section == "model" and _changes(known, change, "architecture", ModelConfig.model_fields["architecture"].default):
        # Weights of another architecture cannot be used either.
        return {key: value for key, value in known.items() if key not in ("arguments", "init_from")}
    if section == "optimizer" and _changes(known, change, "name", OptimizerConfig.model_fields["name"].default):
        kept = {key: value for key, value in known.items() if key not in OWN_TO_OPTIMIZER}
        return kept | OPTIMIZER_DEFAULTS.get(str(change["name"]), {})
    return known


def _changes(known: Values, change: Values, key: str, default: str) -> bool:
    if key not in change:
        return False
    before, after = known.get(key, default), change[key]
    return FORMER_NAMES.get(before, before) != FORMER_NAMES.get(after, after)
