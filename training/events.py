"""Events emitted by a training run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from torch import Tensor


@dataclass(frozen=True)
class Scanning:
    """Sent while the folder of pictures is scanned, before anything else: `done` of `total` files."""

    done: int
    total: int


@dataclass(frozen=True)
class Started:
    """Sent once, before the first step; `step` is above 0 if the run was resumed, `run` is its folder's name."""

    step: int
    steps: int
    pictures: int
    held_out: int
    device: str
    run: str = ""


@dataclass(frozen=True)
class StepDone:
    """Sent after every step.

    Attributes
    ----------
    step, steps
        Number of the step just done (from 1) and the total number.
    losses
        Every term by name, weighted and averaged over the batch; `"loss"` is what was minimized.
    learning_rate
        The optimizer's learning rate in this step.
    images_per_second, seconds_left
        Averages over the latest steps; `seconds_left` is the time to the last step.
    """

    step: int
    steps: int
    losses: Mapping[str, float]
    learning_rate: float
    images_per_second: float
    seconds_left: float


@dataclass(frozen=True)
class Validated:
    """Sent after a validation; `best` is true if it was the best so far."""

    step: int
    metrics: Mapping[str, float]
    best: bool


@dataclass(frozen=True)
class Preview:
    """A contact sheet, float32 `[3,H,W]` in 0..1: one row per picture, columns named by `columns`."""

    step: int
    image: Tensor
    columns: tuple[str, ...]


@dataclass(frozen=True)
class CheckpointSaved:
    """A complete state for resuming (`kind` "state") or a model file (`kind` "model") has been written."""

    step: int
    path: Path
    kind: Literal["state", "model"]


@dataclass(frozen=True)
class RolledBack:
    """Training returned to the state of `step`; later steps are repeated with other samples."""

    step: int


@dataclass(frozen=True)
class Message:
    """A message to the user."""

    text: str
    level: Literal["info", "warning"] = "info"


@dataclass(frozen=True)
class Finished:
    """Sent last, even if the run was interrupted (then `interrupted` is true and the state is saved)."""

    step: int
    interrupted: bool
    metrics: Mapping[str, float] = field(default_factory=dict)


Event = Scanning | Started | StepDone | Validated | Preview | CheckpointSaved | RolledBack | Message | Finished
Callback = Callable[[Event], None]
"""Receives events in order, in the training thread. An exception ends the run: the state is saved first, then the
exception propagates."""
