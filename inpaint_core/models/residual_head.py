"""A residual head for inpainting networks: the hole is filled smoothly from its boundary, and the network predicts a
correction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pydantic import Field
from torch import Tensor

from .architecture import Arguments
from .copied_detail import with_copied_detail
from .pull_push import pull_push

MIN_DEVIATION = 0.01  # standard deviation below which a picture counts as flat, so that 8-bit noise is not amplified


@dataclass(frozen=True)
class SmoothStart:
    """A picture with its hole filled and normalized for a network, and the inverse transform.

    Attributes
    ----------
    image
        `[B,3,H,W]`: mean 0 and standard deviation 1 over the known pixels, with the hole filled smoothly.
    mean, deviation
        `[B,3,1,1]` and `[B,1,1,1]`: the mean and standard deviation that were removed.
    """

    image: Tensor
    mean: Tensor
    deviation: Tensor

    def corrected(self, correction: Tensor) -> Tensor:
        """The picture with a correction `[B,3,H,W]` added, in its original value range."""
        return (self.image + correction) * self.deviation + self.mean


class RefiningArguments(Arguments):
    """Arguments of every network that can refine a smooth fill."""

    detail_share: float = Field(0.75, ge=0.0, le=1.0)
    """With the head `"detailed"`: fraction of the fine detail that is copied; the rest is the network's own."""


def smooth_start(image: Tensor, mask: Tensor) -> SmoothStart:
    """Fill the hole of `[B,3,H,W]` (0..1) where `[B,1,H,W]` is 1, and normalize by the known pixels.

    A network that adds a correction to this starts out as good as a diffusion fill, handles dark, pale and flat
    pictures alike, and does not have to learn the surrounding colors. The contents of the hole must be finite and are
    ignored; if nothing is known, the picture is mid-gray.
    """
    mean, deviation = _known_statistics(image, mask)
    return SmoothStart(pull_push((image - mean) / deviation, mask), mean, deviation)


REFINING_HEADS = ("residual", "detailed")
"""Values of an architecture's argument `head` with which it refines a smooth fill."""


def correct_smooth_fill(
    correction: Callable[[Tensor, Tensor], Tensor], image: Tensor, mask: Tensor, detail_share: float = 0.0
) -> Tensor:
    """The smooth fill of `[B,3,H,W]` plus the output of `correction` for it and the mask, with this fraction of its
    detail copied."""
    start = smooth_start(image, mask)
    corrected = correction(start.image, mask)
    if detail_share > 0.0:
        corrected = with_copied_detail(start.image, start.image + corrected, mask, detail_share) - start.image
    return start.corrected(corrected)


def _known_statistics(image: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Mean `[B,3,1,1]` and standard deviation `[B,1,1,1]` of each picture's known pixels; 0.5 and MIN_DEVIATION if none
    are known."""
    known = 1.0 - mask
    count = known.sum((1, 2, 3), keepdim=True)
    mean = 0.5 + ((image - 0.5) * known).sum((2, 3), keepdim=True) / count.clamp(min=1.0)
    variance = (((image - mean) * known) ** 2).sum((1, 2, 3), keepdim=True) / (3.0 * count).clamp(min=1.0)
    return mean, (variance + MIN_DEVIATION**2).sqrt()
