"""Pairing batches: a single picture is combined with every mask of a batch, and vice versa."""

from __future__ import annotations

from torch import Tensor


def common_count(first: int, second: int, names: tuple[str, str]) -> int:
    """Number of pairs that two batches form: their common length, or the length of the longer one if the other has a
    single item.

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
            f"{first} {names[0]} and {second} {names[1]} do not match: use equal counts, or only one of either"
        )
    return max(first, second)


def paired(first: Tensor, second: Tensor, names: tuple[str, str]) -> tuple[Tensor, Tensor]:
    """Repeat a batch of one to the other's length, as a view; see `common_count`."""
    count = common_count(len(first), len(second), names)
    return first.expand(count, *first.shape[1:]), second.expand(count, *second.shape[1:])
