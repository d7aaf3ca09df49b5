"""The processes that torchrun started, and their shares of a folder: each takes every n-th picture."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TypeVar

import torch

Item = TypeVar("Item")


def process_count() -> int:
    """Number of torchrun's processes; 1 without torchrun.

    Raises
    ------
    ValueError
        As `rank`.
    """
    return _number("WORLD_SIZE", 1)


def rank() -> int:
    """Number of this process among them, from 0.

    Raises
    ------
    ValueError
        The environment variables that torchrun sets are not numbers.
    """
    return _number("RANK", 0)


def choose_gpu() -> None:
    """With several processes, let `cuda` mean another GPU of this machine in each."""
    if process_count() > 1 and torch.cuda.is_available():
        torch.cuda.set_device(_number("LOCAL_RANK", 0) % torch.cuda.device_count())


def share_of(items: Sequence[Item]) -> Sequence[Item]:
    """The items of this process, in order; every item belongs to exactly one process."""
    return items[rank() :: process_count()]


def refuse_several(what: str) -> None:
    """Refuse work that cannot be divided.

    Raises
    ------
    ValueError
        There are several processes.
    """
    if process_count() > 1:
        raise ValueError(
            f"{what} cannot be divided among {process_count()} processes: run the command without torchrun"
        )


def _number(variable: str, otherwise: int) -> int:
    text = os.getenv(variable, str(otherwise))
    if not text.isascii() or not text.isdecimal():
        raise ValueError(f"the environment variable {variable} is {text[:20]!r}; torchrun sets it to a whole number")
    return int(text)
