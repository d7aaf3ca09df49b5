"""Pyramids of pictures with holes, each level half the size of the previous one."""

from __future__ import annotations

from dataclasses import dataclass
from types import EllipsisType

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Picture:
    """A picture at one level.

    Attributes
    ----------
    values
        `[C,H,W]`, 0 where unknown.
    known
        Bool `[H,W]`.
    usable
        Bool `[H,W]`: known pixels that may be copied.
    """

    values: Tensor
    known: Tensor
    usable: Tensor

    def cropped(self, inside: tuple[EllipsisType, slice, slice]) -> Picture:
        """A part of the picture."""
        return Picture(self.values[inside], self.known[inside], self.usable[inside])

    def halved(self) -> Picture:
        """The picture at half its size; sides are rounded up.

        A reduced pixel is known if any pixel under its kernel is, and is the weighted mean of those: holes shrink from
        level to level until nothing is missing. The area that must not be copied grows instead, so that none of it
        leaks into reduced pixels.
        """
        values, known = halve(self.values, self.known)
        _, forbidden = halve(self.values[:1], self.known & ~self.usable)
        return Picture(values, known, known & ~forbidden)


def halve(values: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """Half of `[C,H,W]`, of which bool `[H,W]` is known: values (0 where unknown) and which of them are known."""
    line = values.new_tensor([1.0, 5.0, 10.0, 10.0, 5.0, 1.0])  # binomial, as in Burt & Adelson 1983
    kernel = (line[:, None] * line / line.sum().square())[None, None]
    weight = known[None, None].to(values.dtype)
    height, width = known.shape
    pad = (2, 2 + width % 2, 2, 2 + height % 2)
    share = F.conv2d(F.pad(weight, pad), kernel, stride=2)
    total = F.conv2d(F.pad(values[:, None] * weight, pad), kernel, stride=2)
    some = share > 1e-5  # the smallest weight of a single pixel is 1 / 1024
    return torch.where(some, total / share.clamp(min=1e-5), 0.0)[:, 0], some[0, 0]


def doubled(values: Tensor, like: Picture) -> Tensor:
    """`[C,h,w]` at the next larger size, with known pixels put in."""
    height, width = like.known.shape
    large = F.interpolate(values[None], scale_factor=2, mode="bilinear", align_corners=False)[0]
    return torch.where(like.known, like.values, large[:, :height, :width])
