"""Public checkpoint layouts: how they are recognized, and where each weight goes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from ..checkpoints.card import ModelCard
from ..checkpoints.files import CheckpointError

NORM_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


class Mapping:
    """Moves weights from a public layout's names to ours, and records every step.

    Parameters
    ----------
    weights
        The public checkpoint, by its original names.
    """

    def __init__(self, weights: dict[str, Tensor]) -> None:
        self.weights = weights
        self.tensors: dict[str, Tensor] = {}
        """Our weights, by our names."""
        self.moved: dict[str, str] = {}
        """Their name -> our name."""
        self.dropped: dict[str, str] = {}
        """Their name -> why it is not needed."""
        self.notes: list[str] = []
        """What was assumed or changed, for the report."""

    def move(self, theirs: str, ours: str, change: Callable[[Tensor], Tensor] = Tensor.clone) -> None:
        """Move a weight, transformed by a function.

        Raises
        ------
        CheckpointError
            There is no such weight.
        """
        if theirs not in self.weights:
            raise CheckpointError(f"weight {theirs!r} is missing: the file is incomplete or from another version")
        self.tensors[ours] = change(self.weights[theirs])
        self.moved[theirs] = ours

    def move_layer(self, theirs: str, ours: str, change: Callable[[Tensor], Tensor] = Tensor.clone) -> None:
        """Move a convolution: its weight, transformed by a function, and its bias if it has one."""
        self.move(f"{theirs}.weight", f"{ours}.weight", change)
        if f"{theirs}.bias" in self.weights:
            self.move(f"{theirs}.bias", f"{ours}.bias")

    def move_batch_norm(self, theirs: str, ours: str) -> None:
        """Move a batch normalization with its statistics; files written before PyTorch 0.4.1 have no batch counter."""
        for name in ("weight", "bias", "running_mean", "running_var"):
            self.move(f"{theirs}.{name}", f"{ours}.{name}")
        counter = f"{theirs}.num_batches_tracked"
        if counter in self.weights:
            self.move(counter, f"{ours}.num_batches_tracked")
        else:
            self.tensors[f"{ours}.num_batches_tracked"] = self.weights[f"{theirs}.weight"].new_zeros(()).long()

    def drop(self, theirs: str, reason: str) -> None:
        """Drop a weight deliberately."""
        if theirs in self.weights:
            self.dropped[theirs] = reason

    def shape(self, theirs: str) -> tuple[int, ...]:
        """Shape of a four-dimensional public weight.

        Raises
        ------
        CheckpointError
            There is no such weight, or it does not belong to a convolution.
        """
        if theirs not in self.weights:
            raise CheckpointError(f"weight {theirs!r} is missing: the file is incomplete or from another version")
        shape = tuple(self.weights[theirs].shape)
        if len(shape) != 4:
            raise CheckpointError(
                f"weight {theirs!r} has shape {list(shape)}, but a convolution's weight has four dimensions"
            )
        return shape

    def left_over(self) -> list[str]:
        """Names of the public weights that were neither moved nor dropped."""
        return sorted(self.weights.keys() - self.moved.keys() - self.dropped.keys())


@dataclass(frozen=True)
class Layout:
    """A family of public checkpoints that can be converted.

    Attributes
    ----------
    name
        Name in the report.
    recognizes
        Whether a file belongs to this family, based on the names of its weights.
    plan
        Fills a `Mapping` and describes the network in a card. May raise ValueError.
    """

    name: str
    recognizes: Callable[[set[str]], bool]
    plan: Callable[[Mapping], ModelCard]


@dataclass(frozen=True)
class UnsupportedLayout:
    """A family of public checkpoints that is recognized but not converted.

    Attributes
    ----------
    name
        Name in the message.
    recognizes
        As in `Layout`.
    advice
        What to do instead.
    """

    name: str
    recognizes: Callable[[set[str]], bool]
    advice: str
