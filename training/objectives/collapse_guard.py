"""A guard for the balance between generator and discriminator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..config import GuardConfig
from ..errors import CollapsedError


class CollapseGuard:
    """Restrain a discriminator that is too strong for the generator to learn from.

    If the averaged loss of the discriminator stays below a threshold, its training is paused; if it happens again, the
    pause is repeated with half the learning rate; after too many pauses, training ends.
    """

    def __init__(self, config: GuardConfig) -> None:
        self._config = config
        self._average: float | None = None
        self._low = 0
        self._paused_until = -1
        self._interventions = 0
        self._failed = ""

    @property
    def rate(self) -> float:
        """Factor of the discriminator's learning rate."""
        return 0.5 ** max(self._interventions - 1, 0)

    def learns(self, step: int) -> bool:
        """Whether the discriminator is trained in this step.

        Raises
        ------
        CollapsedError
            The maximum number of pauses was reached without success.
        """
        if self._failed:
            raise CollapsedError(self._failed)
        return step >= self._paused_until

    def watch(self, step: int, loss: float) -> str | None:
        """Record the discriminator's loss in step `step`; returns a message if its training is paused."""
        decay = self._config.smoothing
        self._average = loss if self._average is None else decay * self._average + (1.0 - decay) * loss
        if step < self._paused_until:
            return None
        self._low = self._low + 1 if self._average < self._config.threshold else 0
        if self._low < self._config.patience:
            return None
        if self._interventions >= self._config.interventions:
            # Raised at the start of the next step, when this one is complete and can be saved.
            self._failed = (
                f"stopped at step {step}: the discriminator separates real from fake (loss {self._average:.2g}) "
                f"although its training was paused {self._interventions} times, so the generator no longer learns "
                "from it; train the generator longer first, or give the discriminator a lower learning rate or fewer "
                "channels"
            )
            return None
        self._interventions += 1
        self._low = 0
        self._paused_until = step + 1 + self._config.pause
        slower = f", its learning rate is {self.rate:g} of the configured one" if self._interventions > 1 else ""
        return (
            f"step {step}: the discriminator's loss is near zero ({self._average:.2g}); it pauses for "
            f"{self._config.pause} steps{slower}"
        )

    def state_dict(self) -> dict[str, Any]:
        """The state to save."""
        return {
            "average": self._average,
            "low": self._low,
            "paused_until": self._paused_until,
            "interventions": self._interventions,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore a saved state."""
        self._average, self._low = state["average"], state["low"]
        self._paused_until, self._interventions = state["paused_until"], state["interventions"]
