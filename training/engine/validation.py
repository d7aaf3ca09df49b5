"""Looks at the held-out pictures: what is measured, which model is kept, and when nothing gets better any more."""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import Enum, auto

from ..events import Event, Message, Validated
from ..objectives.objective import Objective
from .model_file import ModelFile
from .progress import Progress


class Look(Enum):
    """What a look at the held-out pictures means for the training."""

    GO_ON = auto()
    ENOUGH = auto()  # nothing has got better for long
    CUT_SHORT = auto()  # asked to stop; the look is still to be made


class Validator:
    """Measures the objective and keeps its best model.

    Parameters
    ----------
    objective
        What is trained.
    progress
        Updated: best measurement, looks since, step of the latest look.
    file
        Where the best model goes.
    patience
        Looks without anything better after which it is enough; None: never.
    measure
        Mean measurements, the deciding one first; None when it was asked to stop before the last one.
    emit
        Told what was measured and written.
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

    def look(self, step: int) -> Look:
        """Measure after a step, and write the model if it is the best so far."""
        metrics = self._measure()
        if metrics is None:
            return Look.CUT_SHORT
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
        # After all of that is settled: whatever a watcher raises, the look has been made.
        self._emit(Validated(step, metrics, better))
        if written is not None:
            self._emit(written)
        if warning is not None:
            self._emit(Message(warning, "warning"))
        if not progress.exhausted(self._patience):
            return Look.GO_ON
        self._emit(
            Message(f"stopped at step {step}: nothing better in {self._patience} looks at the held-out pictures")
        )
        return Look.ENOUGH
