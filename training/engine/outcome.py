"""The result of a training run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from ..objectives.objective import Model, Objective
from ..runs.folder import RunFolder, write_json


class StoppedError(RuntimeError):
    """Training was stopped before its first step; nothing was written."""


@dataclass(frozen=True)
class TrainResult:
    """The result of a training run.

    Attributes
    ----------
    model
        The best model so far, read back from `path`.
    losses
        The minimized loss of every step since the run began.
    samples
        The latest contact sheet, float32 `[3,H,W]` in 0..1.
    path
        The model's file; its folder is the run.
    steps
        Total steps done.
    interrupted
        Whether it was stopped on request before the last step; the state is saved.
    metrics
        Measurements of `model` on the held-out pictures.
    baselines
        Scores of methods that need no training, on the same crops; empty if the run was interrupted.
    objective
        The objective class that trained the model; it can summarize the result and describe the model's use.
    """

    model: Model
    losses: list[float]
    samples: Tensor
    path: Path
    steps: int
    interrupted: bool
    metrics: dict[str, float]
    baselines: dict[str, float]
    objective: type[Objective]


def write_summary(
    folder: RunFolder,
    name: str,
    step: int,
    interrupted: bool,
    model: Model,
    baselines: Mapping[str, float],
    figures: Mapping[str, object],
) -> None:
    """Write `summary.json`, the last file of a run: if it exists, everything else is complete.

    Parameters
    ----------
    name
        Name of the training run.
    step, interrupted
        Total steps done; whether it was stopped before the last one, or before the validation after it.
    model
        The best model so far.
    baselines
        Scores of methods that need no training.
    figures
        Further figures.

    Raises
    ------
    OSError
        It cannot be written.
    """
    summary = {
        "name": name,
        "run": folder.run,
        "steps": step,
        "interrupted": interrupted,
        "best_step": model.card.steps,
        "metrics": dict(model.card.metrics),
        "baselines": dict(baselines),
        "parameters": sum(parameter.numel() for parameter in model.network.parameters()),
        **figures,
    }
    write_json(folder.summary, summary)
