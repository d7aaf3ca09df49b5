"""Validation on the held-out pictures: measurements, keeping the best model, and early stopping."""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import Enum, auto

from ..events import Event, Message, Validated
from ..objectives.objective import Objective
from .model_file import ModelFile
from .progress import Progress


class Verdict(Enum):
    """The outcome of a validation."""

    CONTINUE = auto()
    STOP = auto()  # no improvement for a long time
    INTERRUPTED = auto()  # a stop was requested; this validation is still pending


class Validator:
    """Measures the objective and keeps its best model.

    Parameters
    ----------
    objective
        The objective.
    progress
        Updated: best score, validations since, step of the latest validation.
    file
        File of the best model.
    patience
        Validations without improvement before training stops; None: never.
    measure
        Returns mean measurements, the deciding one first; None if a stop was requested before the last one.
    emit
        Called with events about what was measured and written.
    """

    def __init__(
        self,
        objective: Objective,
        progress: Progress,
        file: ModelFile,
        patience: int | None,
        measure: Callable[[], dict[str, float] | None],
        emit: Callable[[Event], None],
    ) -> None:
        self._objective = objective
        self._progress = progress
        self._file = file
        self._patience = patience
        self._measure = measure
        self._emit = emit

    def validate(self, step: int) -> Verdict:
        """Measure after a step, and write the model if it is the best so far."""
        metrics = self._measure()
        if metrics is None:
            return Verdict.INTERRUPTED
        progress = self._progress
        score = next(iter(metrics.values()))
        warning = self._objective.warning(metrics)
        better = progress.best is None or (warning is None if self._objective.keeps_latest else score > progress.best)
        written: Event | None = None
        if better and math.isfinite(score):
            written = self._file.write(step, self._objective.export(step, metrics))
            progress.best, progress.stale = score, 0
        else:
            progress.stale += 1
        progress.looked = step
        # Emitted after everything is recorded, so that the validation counts even if a callback raises an exception.
        self._emit(Validated(step, metrics, better))
        if written is not None:
            self._emit(written)
        if warning is not None:
            self._emit(Message(warning, "warning"))
        if not progress.exhausted(self._patience):
            return Verdict.CONTINUE
        self._emit(Message(f"stopped at step {step}: no improvement in {self._patience} validations"))
        return Verdict.STOP
