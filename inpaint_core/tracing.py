"""Arithmetic on picture sizes that also works while torch traces a graph for pictures of any size.

While tracing, sides are tensors whose values must not enter Python: `round`, `max` or `if` would fix them in the graph.
"""

from __future__ import annotations

from typing import Any

import torch


def is_tracing() -> bool:
    """Whether torch is recording a graph, for example for export."""
    return torch.jit.is_tracing()


def real(side: Any) -> Any:
    """A side as a double-precision number, so that results equal those of Python."""
    return torch.as_tensor(side).double() if is_tracing() else side


def rounded(value: Any) -> Any:
    """The nearest integer; ties are rounded to even."""
    return torch.as_tensor(value).round().long() if is_tracing() else round(value)


def smallest(*values: Any) -> Any:
    """The minimum."""
    return _stacked(values).min() if is_tracing() else min(values)


def largest(*values: Any) -> Any:
    """The maximum."""
    return _stacked(values).max() if is_tracing() else max(values)


def _stacked(values: tuple[Any, ...]) -> torch.Tensor:
    tensors = [torch.as_tensor(value) for value in values]
    kind = torch.float64 if any(tensor.is_floating_point() for tensor in tensors) else torch.int64
    return torch.stack([tensor.to(kind) for tensor in tensors])
