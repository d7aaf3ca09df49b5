"""What a training remembers from step to step, beside what its objective does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any


@dataclass
class Progress:
    """Counts that are saved with every state.

    Attributes
    ----------
    samples
        Samples drawn, by all processes together.
    best
        Best measurement on the held-out pictures so far; None before the first one.
    stale
        Looks at the held-out pictures since then.
    skipped
        Steps in which nothing could be learned.
    looked, shown
        Steps of the latest look at the held-out pictures and of the latest contact sheet that were completed.
    """

    samples: int = 0
    best: float | None = None
    stale: int = 0
    skipped: int = 0
    looked: int = 0
    shown: int = 0

    def as_dict(self) -> dict[str, Any]:
        """For a state."""
        return vars(self).copy()

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Take over what a state knows; what it does not know stays."""
        for field in fields(self):
            if field.name in saved:
                setattr(self, field.name, saved[field.name])

    def exhausted(self, patience: int | None) -> bool:
        """Whether so many looks brought nothing better that the training should end."""
        return patience is not None and self.stale >= patience
