"""What a public layout is: how it is recognized, and where each of its weights goes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from ..checkpoints.card import ModelCard
from ..checkpoints.files import CheckpointError

NORM_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


class Mapping:
    """Moves weights from a public layout's names to ours, and remembers what it did.

    Parameters
    ----------
    weights
        The public checkpoint, by its own names.
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
        """Take a weight over, changed by a function.

        Raises
        ------
        CheckpointError
            If there is no such weight.
        """
        if theirs not in self.weights:
            raise CheckpointError(f"weight {theirs!r} is missing, so the file is incomplete or of another version")
        self.tensors[ours] = change(self.weights[theirs])
        self.moved[theirs] = ours

    def move_layer(self, theirs: str, ours: str, change: Callable[[Tensor], Tensor] = Tensor.clone) -> None:
        """Take over a convolution: its weight, changed by a function, and its bias if it has one."""
        self.move(f"{theirs}.weight", f"{ours}.weight", change)
        if f"{theirs}.bias" in self.weights:
            self.move(f"{theirs}.bias", f"{ours}.bias")

    def move_batch_norm(self, theirs: str, ours: str) -> None:
        """Take over a batch normalization with its statistics; files from before PyTorch 0.4.1 do not count batches."""
        for name in ("weight", "bias", "running_mean", "running_var"):
            self.move(f"{theirs}.{name}", f"{ours}.{name}")
        counter = f"{theirs}.num_batches_tracked"
        if counter in self.weights:
            self.move(counter, f"{ours}.num_batches_tracked")
        else:
            self.tensors[f"{ours}.num_batches_tracked"] = self.weights[f"{theirs}.weight"].new_zeros(()).long()

    def drop(self, theirs: str, reason: str) -> None:
        """Leave a weight behind on purpose."""
        if theirs in self.weights:
            self.dropped[theirs] = reason

    def shape(self, theirs: str) -> tuple[int, ...]:
        """Shape of a public weight of four dimensions.

        Raises
        ------
        CheckpointError
            If there is no such weight, or it is no convolution's.
        """
        if theirs not in self.weights:
            raise CheckpointError(f"weight {theirs!r} is missing, so the file is incomplete or of another version")
        shape = tuple(self.weights[theirs].shape)
        if len(shape) != 4:
            raise CheckpointError(f"weight {theirs!r} has shape {list(shape)}, a convolution's was expected")
        return shape

    def left_over(self) -> list[str]:
        """Names of the public weights that were neither moved nor dropped."""
        return sorted(self.weights.keys() - self.moved.keys() - self.dropped.keys())


@dataclass(frozen=True)
class Layout:
    """A family of public checkpoints that is converted.

    Attributes
    ----------
    name
        What the report calls it.
    recognizes
        Tells from the weights' names whether a file is of this family.
    plan
        Fills a `Mapping` and describes the network in a card. May raise ValueError.
    """

    name: str
    recognizes: Callable[[set[str]], bool]
    plan: Callable[[Mapping], ModelCard]


@dataclass(frozen=True)
class Refusal:
    """A family of public checkpoints that is recognized but not converted.

    Attributes
    ----------
    name
        What the message calls it.
    recognizes
        As in `Layout`.
    advice
        What to do instead.
    """

    name: str
    recognizes: Callable[[set[str]], bool]
    advice: str
