"""Sums of loss terms over the parts of a batch and over processes."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from ..placement import Placement
from .optimization import NonFiniteError


class Tally:
    """Loss terms of one step, accumulated part by part and read only once, because reading synchronizes the device."""

    def __init__(self, placement: Placement) -> None:
        self._placement = placement
        self._sums: dict[str, Tensor] = {}

    def add(self, terms: Mapping[str, Tensor], share: float) -> None:
        """Add the terms of a part, which makes up the fraction `share` of the batch."""
        for name, value in terms.items():
            weighted = value.detach().float() * share
            self._sums[name] = self._sums[name] + weighted if name in self._sums else weighted

    def read(self) -> dict[str, float]:
        """Averages over the batch and over all processes.

        Raises
        ------
        NonFiniteError
            A term is NaN or infinite, in any process.
        """
        values = self._placement.mean(torch.stack(list(self._sums.values()))).tolist()
        terms = dict(zip(self._sums, values, strict=True))
        for name, value in terms.items():
            if not math.isfinite(value):
                raise NonFiniteError(f"loss term {name!r} is {value}")
        return terms
