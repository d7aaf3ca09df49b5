"""The descriptor of a family of masks: everything that commands, nodes and the trainer need to know."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from pydantic import ValidationError
from torch import Tensor

from ...validation import describe
from .controls import Control
from .request import Canvas, Options, Request


@dataclass(frozen=True)
class Example:
    """Options for an example mask: a tile of the contact sheet, a case for the tests.

    Attributes
    ----------
    label
        How it differs from the family's other examples; empty for the defaults.
    options
        Fields of the family's options.
    """

    label: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Generator:
    """A family of masks.

    Attributes
    ----------
    name
        Its name in recipes, commands and workflows.
    summary
        What it draws, in a few words that complete "Draw masks: ...".
    options
        Its options class; the fields' descriptions explain the options wherever they are shown.
    draw
        `draw(request, options, rng)` draws one mask.
    examples
        Shown on the contact sheet, in this order.
    controls
        The options that a node offers, in the order of its widgets; the order never changes once published.
    max_hole_ratio
        The largest fraction of a picture that holes can cover.
    touches_edge
        Whether its holes always lie along the picture's edge, so that they cannot keep a distance from it.
    divide
        For a family that follows the picture: `divide(image, options)` gives the picture's superpixels, int `[H,W]`,
        that its holes are made of. None: the masks do not depend on the picture.
    """

    name: str
    summary: str
    options: type[Options]
    draw: Callable[[Request, Any, np.random.Generator], Canvas]
    examples: tuple[Example, ...] = (Example(),)
    controls: tuple[Control, ...] = ()
    max_hole_ratio: float = 1.0
    touches_edge: bool = False
    divide: Callable[[Tensor, Any], Tensor] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "controls", tuple(control.completed(self.options) for control in self.controls))

    @property
    def required(self) -> frozenset[str]:
        """The options without a default."""
        return frozenset(name for name, info in self.options.model_fields.items() if info.is_required())

    def parse(self, values: Mapping[str, object]) -> Options:
        """Check options given by name.

        Raises
        ------
        ValueError
            An unknown option or a value out of range; the message is one line.
        """
        try:
            return self.options.model_validate(values)
        except ValidationError as error:
            raise ValueError(f"mask {self.name!r}: {describe(error)}") from None

    def options_from_controls(self, values: Mapping[str, object]) -> dict[str, object]:
        """Options by name, from the values of the controls by the controls' names.

        Raises
        ------
        ValueError
            No such control, or no such choice.
        """
        controls = {control.name: control for control in self.controls}
        unknown = sorted(set(values) - set(controls))
        if unknown:
            raise ValueError(f"mask {self.name!r} has no control {', '.join(unknown)}")
        return {controls[name].option: controls[name].option_value(value) for name, value in values.items()}
