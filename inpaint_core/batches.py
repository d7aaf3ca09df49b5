"""Pairing batches: one picture goes with many masks and vice versa."""

from __future__ import annotations

from torch import Tensor


def common_count(first: int, second: int, names: tuple[str, str]) -> int:
    """How many pairs two batches make: their common length, or the longer one's where the other holds a single item.

    Parameters
    ----------
    first, second
        Lengths of the batches.
    names
        What they hold, in the plural, for the error message.

    Raises
    ------
    ValueError
        The lengths differ and neither is 1.
    """
    if first != second and 1 not in (first, second):
        raise ValueError(
            f"{first} {names[0]} and {second} {names[1]} do not match: give equal counts, or a single one of either"
        )
    return max(first, second)


def paired(first: Tensor, second: Tensor, names: tuple[str, str]) -> tuple[Tensor, Tensor]:
    """Repeat a batch of one to the other's length, as a view; see `common_count`."""
    count = common_count(len(first), len(second), names)
    return first.expand(count, *first.shape[1:]), second.expand(count, *second.shape[1:])
