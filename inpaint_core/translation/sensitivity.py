"""How strongly a translation network reacts to its input: a score that falls to 0 under mode collapse."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

COLLAPSED = 0.1
"""Below this score, the output hardly depends on the input. Learning to See networks reach about 1, label-to-photo
networks 0.2 or more, and networks that ignore their input get 0."""

SHIFT = 1 / 16  # of the width: 16 pixels of 256
MIN_CHANGE = 1e-6


@dataclass(frozen=True)
class Sensitivity:
    """Change of the output per unit of change of the input, both as mean absolute differences over all pixels.

    Attributes
    ----------
    shifted
        When the input is shifted by a sixteenth of its width.
    inverted
        When black and white are swapped.
    replaced
        When the input is replaced by another picture's.
    """

    shifted: float
    inverted: float
    replaced: float

    @classmethod
    def from_metrics(cls, metrics: Mapping[str, float]) -> Sensitivity | None:
        """Read the scores from a card's metrics; None if they were not measured."""
        names = ("sensitivity_shifted", "sensitivity_inverted", "sensitivity_replaced")
        if not all(name in metrics for name in names):
            return None
        return cls(*(metrics[name] for name in names))

    def metrics(self) -> dict[str, float]:
        """The three scores under the names that `from_metrics` reads."""
        return {f"sensitivity_{name}": value for name, value in dataclasses.asdict(self).items()}

    @property
    def score(self) -> float:
        """The minimum of the three: a network that ignores any of these changes does not follow shapes."""
        return min(self.shifted, self.inverted, self.replaced)

    @property
    def collapsed(self) -> bool:
        """Whether the output hardly depends on the input (mode collapse)."""
        return self.score < COLLAPSED

    def advice(self) -> str:
        """A one-line message to the user on what happened and what to change."""
        return (
            f"mode collapse: the output hardly depends on the input (sensitivity {self.score:.3f}, below "
            f"{COLLAPSED}). If training has only just begun, let it continue. Otherwise return to an earlier "
            "checkpoint, or start again with more varied pictures (close-ups and wide views, light and dark), a "
            "larger L1 weight relative to the adversarial loss, or a lower learning rate"
        )


@torch.no_grad()
def measure_sensitivity(translate: Callable[[Tensor], Tensor], inputs: Tensor) -> Sensitivity:
    """Measure how strongly a network reacts to changes of its input.

    Parameters
    ----------
    translate
        From `[B,C,H,W]` in 0..1 to `[B,3,H,W]` in 0..1; deterministic.
    inputs
        `[B,C,H,W]` in 0..1, prepared for the network, of at least two different pictures.

    Returns
    -------
    Sensitivity
        Each score is (change of the output) / (change of the input): 0 for a network that ignores its input, near 1 for
        one that preserves brightness.

    Raises
    ------
    ValueError
        Fewer than two inputs.
    """
    if len(inputs) < 2:
        raise ValueError("sensitivity needs at least two inputs")
    output = translate(inputs)
    changed = {
        "shifted": _shift(inputs),
        "inverted": 1.0 - inputs,
        "replaced": inputs.roll(1, 0),
    }
    return Sensitivity(
        **{
            name: _distance(translate(other), output) / max(_distance(other, inputs), MIN_CHANGE)
            for name, other in changed.items()
        }
    )


def _shift(inputs: Tensor) -> Tensor:
    """Shift to the right, replicating the border."""
    pixels = max(1, round(inputs.shape[-1] * SHIFT))
    return torch.cat([inputs[..., :1].expand(-1, -1, -1, pixels), inputs[..., :-pixels]], -1)


def _distance(first: Tensor, second: Tensor) -> float:
    return float((first - second).abs().mean())
