"""Families of random masks on a node: their widgets, and drawing a mask; both are derived from the registry."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from comfy_api.v0_0_2 import io
from torch import Tensor

from inpaint_core.masks import GENERATORS, generate
from inpaint_core.masks.generators.controls import Control
from inpaint_core.masks.generators.registry import find_generator

from . import host

NO_FOLDER = "(none in input or output)"


def families() -> list[io.DynamicCombo.Option]:
    """Every family with its settings."""
    return [
        io.DynamicCombo.Option(name, [_widget(control) for control in generator.controls])
        for name, generator in GENERATORS.items()
    ]


def _widget(control: Control) -> io.Input:
    shown: dict[str, Any] = {"default": control.default, "tooltip": control.tooltip}
    if control.kind is Path:
        return io.Combo.Input(control.name, options=host.picture_folders() or [NO_FOLDER], tooltip=control.tooltip)
    if control.kind is str:
        return io.Combo.Input(control.name, options=list(control.choices), **shown)
    if control.kind is bool:
        return io.Boolean.Input(control.name, **shown)
    numeric = io.Int if control.kind is int else io.Float
    return numeric.Input(control.name, min=control.minimum, max=control.maximum, step=control.step, **shown)


def draw(
    family: dict[str, Any],
    augmentation: dict[str, float],
    size: tuple[int, int],
    hole_ratio: tuple[float, float] | None,
    margin: float | None,
    seed: Sequence[int],
    image: Tensor | None,
) -> Tensor:
    """One mask `[1,1,H,W]` of the family selected on the node, with `augmentation` applied.

    Raises
    ------
    ValueError
        As `inpaint_core.masks.generate`, or a folder that is not allowed.
    """
    settings = dict(family)
    name = settings.pop("generator")
    generator = find_generator(name)
    for control in generator.controls:
        if control.kind is Path and control.name in settings:
            settings[control.name] = host.picture_folder(settings[control.name])
    options = generator.options_from_controls(settings) | augmentation
    return generate(name, size, hole_ratio, margin, seed, image, **options)
