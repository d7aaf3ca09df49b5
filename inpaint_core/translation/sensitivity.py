"""Does a translation network look at its input? A score that falls to 0 for a network that has become a slideshow."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

COLLAPSED = 0.1
"""Below this score the output hardly depends on the input. Learning-to-See networks reach about 1, those that paint
label maps 0.2 and more, those that ignore their input 0."""

SHIFT = 1 / 16  # of the width: 16 pixels of 256
SMALLEST_MOVE = 1e-6


@dataclass(frozen=True)
class Sensitivity:
    """How far the output moves for each unit that the input moves, as mean absolute differences over all pixels.

    Attributes
    ----------
    shifted
        For an input shifted by a sixteenth of its width.
    inverted
        For black and white exchanged.
    replaced
        For another picture's input.
    """

    shifted: float
    inverted: float
    replaced: float

    @classmethod
    def from_metrics(cls, metrics: Mapping[str, float]) -> Sensitivity | None:
        """What a training measured, as it stands in a card's metrics; None where it did not."""
        names = ("sensitivity_shifted", "sensitivity_inverted", "sensitivity_replaced")
        if not all(name in metrics for name in names):
            return None
        return cls(*(metrics[name] for name in names))

    def metrics(self) -> dict[str, float]:
        """The three numbers by the names that `from_metrics` reads."""
        return {f"sensitivity_{name}": value for name, value in dataclasses.asdict(self).items()}

    @property
    def score(self) -> float:
        """The smallest of the three: a network that ignores any of these changes does not follow forms."""
        return min(self.shifted, self.inverted, self.replaced)

    @property
    def collapsed(self) -> bool:
        """Whether the network has become a slideshow."""
        return self.score < COLLAPSED

    def advice(self) -> str:
        """One sentence for the person who trains: what happened and what to change."""
        return (
            "your model has become a slideshow: its output hardly follows its input "
            f"(sensitivity {self.score:.3f}, below {COLLAPSED}). If the training has only begun, let it go on. "
            "Otherwise go back to an earlier checkpoint, or start anew with more and more varied pictures (close-ups "
            "and wide views, light and dark), a larger weight of L1 against the adversarial loss, or a lower learning "
            "rate"
        )


@torch.no_grad()
def measure_sensitivity(translate: Callable[[Tensor], Tensor], inputs: Tensor) -> Sensitivity:
    """Probe a network.

    Parameters
    ----------
    translate
        From `[B,C,H,W]` in 0..1 to `[B,3,H,W]` in 0..1; deterministic.
    inputs
        `[B,C,H,W]` in 0..1, as the network is fed, of at least two different pictures.

    Returns
    -------
    Sensitivity
        Each number is (movement of the output) / (movement of the input): 0 for a network that ignores its input, near
        1 for one that keeps brightness where it is.

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
            name: _distance(translate(other), output) / max(_distance(other, inputs), SMALLEST_MOVE)
            for name, other in changed.items()
        }
    )


def _shift(inputs: Tensor) -> Tensor:
    """Shift to the right, the border repeated."""
    pixels = max(1, round(inputs.shape[-1] * SHIFT))
    return torch.cat([inputs[..., :1].expand(-1, -1, -1, pixels), inputs[..., :-pixels]], -1)


def _distance(first: Tensor, second: Tensor) -> float:
    return float((first - second).abs().mean())
