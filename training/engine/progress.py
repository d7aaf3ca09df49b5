"""State of a training run between steps, apart from its objective."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any


@dataclass
class Progress:
    """Counters saved with every state.

    Attributes
    ----------
    samples
        Samples drawn, by all processes together.
    best
        Best validation score so far; None before the first one.
    stale
        Validations since then.
    skipped
        Number of skipped steps.
    looked, shown
        Steps of the latest completed validation and contact sheet.
    """

    samples: int = 0
    best: float | None = None
    stale: int = 0
    skipped: int = 0
    looked: int = 0
    shown: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Values for a state."""
        return vars(self).copy()

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Restore from a state; values missing from it are unchanged."""
        for field in fields(self):
            if field.name in saved:
                setattr(self, field.name, saved[field.name])

    def exhausted(self, patience: int | None) -> bool:
        """Whether training should end because validation has not improved for long enough."""
        return patience is not None and self.stale >= patience
