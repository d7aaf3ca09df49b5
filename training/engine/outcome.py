"""What comes out of a training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from ..objectives.objective import Model, Objective
from ..runs.folder import RunFolder, write_json


class StoppedError(RuntimeError):
    """The training was asked to stop before its first step; nothing was written."""


@dataclass(frozen=True)
class TrainResult:
    """What came out.

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
        Steps done in all.
    interrupted
        Stopped on request before the last step; the state is saved.
    metrics
        Measurements of `model` on the held-out pictures.
    baselines
        Scores of methods that need no training, on the same crops; empty when the run was interrupted.
    objective
        The class that trained it; says how to sum the result up and what the model is for.
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
    """Write `summary.json`: the last file of a run, so that where it says so, everything else is there.

    Parameters
    ----------
    name
        What the training is called.
    step, interrupted
        Steps done in all; stopped before the last one, or before the look that follows it.
    model
        The best model so far.
    baselines
        Scores of methods that need no training.
    figures
        What else is worth knowing.

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
