"""The stored parts of a training picture, all of the same size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Pixels:
    """A training picture, or a batch of them with a leading batch dimension.

    Attributes
    ----------
    picture
        uint8 `[3,H,W]`, RGB.
    given
        The input of a pair, uint8 `[3,H,W]`.
    unknown
        uint8 `[1,H,W]`, 255 where the picture is unknown; None if all of it is known.
    """

    picture: Tensor
    given: Tensor | None = None
    unknown: Tensor | None = None

    @property
    def height(self) -> int:
        """In pixels; the same for all parts."""
        return self.picture.shape[-2]

    @property
    def width(self) -> int:
        """In pixels; the same for all parts."""
        return self.picture.shape[-1]

    @property
    def size_in_bytes(self) -> int:
        """Size of all parts in bytes."""
        return sum(part.numel() for part in self._parts())

    def map(self, function: Callable[[Tensor], Tensor]) -> Pixels:
        """The same parts, each transformed by `function`."""
        given, unknown = (None if part is None else function(part) for part in (self.given, self.unknown))
        return Pixels(function(self.picture), given, unknown)

    def window(self, top: int, left: int, height: int, width: int) -> Pixels:
        """A view of a rectangle of all parts."""
        return self.map(lambda part: part[..., top : top + height, left : left + width])

    def to_bytes(self) -> bytes:
        """All parts concatenated, as input of a checksum."""
        return b"".join(part.cpu().numpy().tobytes() for part in self._parts())

    def _parts(self) -> list[Tensor]:
        return [part for part in (self.picture, self.given, self.unknown) if part is not None]


def stack(many: Sequence[Pixels]) -> Pixels:
    """A batch of pictures of one size; those without `unknown` are known everywhere.

    Raises
    ------
    ValueError
        Some are pairs and some are not.
    """
    given = [one.given for one in many if one.given is not None]
    if given and len(given) != len(many):
        raise ValueError(f"{len(given)} of {len(many)} pictures are pairs; a batch needs all or none")
    unknown = None
    if any(one.unknown is not None for one in many):
        unknown = torch.stack(
            [torch.zeros_like(one.picture[:1]) if one.unknown is None else one.unknown for one in many]
        )
    return Pixels(torch.stack([one.picture for one in many]), torch.stack(given) if given else None, unknown)
