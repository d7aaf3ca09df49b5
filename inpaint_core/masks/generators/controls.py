"""Options of a mask family as controls for a user interface: name, type, bounds, default, tooltip."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo


@dataclass(frozen=True)
class Control:
    """One option as a control; attributes not given are taken from the option itself.

    Attributes
    ----------
    option
        The field of the family's options that the control sets.
    name
        The control's name; published names never change.
    tooltip
        What it does, in one or two sentences.
    kind
        `int`, `float`, `bool`, `str` (one of `choices`) or `Path` (a folder).
    default, minimum, maximum, step
        For numbers; `default` also for switches and choices (None: the first choice).
    choices
        The choices, and the option's value for each.
    read
        Converts the control's value to the option's.
    """

    option: str
    name: str = ""
    tooltip: str = ""
    kind: type | None = None
    default: Any = None
    minimum: float | None = None
    maximum: float | None = None
    step: float | None = None
    choices: Mapping[str, object] = field(default_factory=dict)
    read: Callable[[Any], object] | None = None

    def completed(self, options: type[BaseModel]) -> Control:
        """The same control, completed from the option's field.

        Raises
        ------
        TypeError
            The descriptor is invalid: there is no such option, or no control can represent it.
        """
        if self.option not in options.model_fields:
            raise TypeError(f"{options.__name__} has no option {self.option!r}")
        info = options.model_fields[self.option]
        annotation = plain_annotation(info)
        choices, kind, default = self.choices, self.kind, self.default
        if not choices and get_origin(annotation) is Literal:
            choices = {str(value): value for value in get_args(annotation)}
        if choices:
            kind = str
        kind = kind or annotation
        if kind not in (int, float, bool, str, Path) or (kind is str and not choices):
            raise TypeError(f"{options.__name__}.{self.option} needs a kind, or choices, to be shown as a control")
        if default is None and not info.is_required() and self.read is None:
            default = info.default
        if choices:
            labels = [label for label, value in choices.items() if value == default or label == default]
            default = labels[0] if labels and labels[0] != next(iter(choices)) else None
        low, high = _bounds(info)
        return replace(
            self,
            name=self.name or self.option,
            tooltip=self.tooltip or info.description or "",
            kind=kind,
            default=default,
            minimum=low if self.minimum is None else self.minimum,
            maximum=high if self.maximum is None else self.maximum,
            choices=choices,
        )

    def option_value(self, value: Any) -> object:
        """The option's value for a value of the control."""
        if self.choices:
            if value not in self.choices:
                raise ValueError(f"{self.name} cannot be {value!r}: choose one of {', '.join(self.choices)}")
            return self.choices[value]
        return value if self.read is None else self.read(value)


def plain_annotation(info: FieldInfo) -> Any:
    """A field's type without the None for "not given"."""
    kind: Any = info.annotation
    parts = [part for part in get_args(kind) if part is not NoneType]
    return parts[0] if NoneType in get_args(kind) else kind


def _bounds(info: FieldInfo) -> tuple[float | None, float | None]:
    """Inclusive bounds; an exclusive bound cannot be represented, so the descriptor must specify the first valid
    value."""
    ends = {name: getattr(item, name) for item in info.metadata for name in ("ge", "le") if hasattr(item, name)}
    return ends.get("ge"), ends.get("le")
