"""Saving the states of a training run and returning to them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from inpaint_core.files.atomic import unwritten

from ..errors import DivergedError
from ..events import CheckpointSaved, Event, Message, RolledBack
from ..objectives.objective import Objective
from ..runs.folder import RunFolder
from ..runs.state import load_newest_state, prune_states, save_state
from .model_file import ModelFile
from .progress import Progress

ATTEMPTS = 3  # the step will not come again, so temporary failures are retried immediately


class States:
    """Writes the states of one run.

    A state is only written once the best model it refers to is on disk, and includes everything that the logs could not
    write, so that nothing is missing after a resume.

    Parameters
    ----------
    folder
        The run.
    objective, progress
        The objects to save.
    file
        File of the best model.
    facts
        Further values stored in every state.
    unwritten_logs
        Returns what the run's logs still have to write.
    emit
        Called with events about what was saved and what could not be.

    Attributes
    ----------
    saved
        Step of the newest state of this training run in the folder; -1 if there is none.
    """

    def __init__(
        self,
        folder: RunFolder,
        objective: Objective,
        progress: Progress,
        file: ModelFile,
        facts: dict[str, Any],
        unwritten_logs: Callable[[], dict[str, Any]],
        emit: Callable[[Event], None],
    ) -> None:
        self.saved = -1
        self._folder = folder
        self._objective = objective
        self._progress = progress
        self._file = file
        self._facts = facts
        self._unwritten_logs = unwritten_logs
        self._emit = emit
        self._failure: OSError | None = None

    def save(self, step: int) -> None:
        """Write a state; if that fails, the earlier ones are kept and training continues."""
        if step > 0 and not self._file.exists:
            self._emit(self._file.write(step, self._objective.export(step, {})))
        values, path = self._values(), None
        for _ in range(ATTEMPTS):
            try:
                path = self._write(step, values)
                break
            except OSError as error:
                self._failure = error
        if path is None:
            assert self._failure is not None
            self._emit(
                Message(
                    f"the state of step {step} could not be saved ({unwritten(self._failure)}); training continues, "
                    f"and earlier states are intact",
                    "warning",
                )
            )
            return
        self._failure, self.saved = None, step
        try:
            prune_states(self._folder.states, self._folder.run)
        except OSError as error:
            self._emit(Message(f"an older state could not be removed ({unwritten(error)})", "warning"))
        self._emit(CheckpointSaved(step, path, "state"))

    def finish(self, step: int) -> None:
        """Make sure that the model and the last step's state are on disk, and remove old states.

        Raises
        ------
        OSError
            They could not be written.
        """
        if step != self.saved or self._file.failure is not None:
            self.save(step)
        if self._failure is not None:
            raise self._failure
        prune_states(self._folder.states, self._folder.run)

    def roll_back(self) -> int:
        """Return to the newest saved state, but continue with other samples; returns its step."""
        state = load_newest_state(self._folder.states)
        if state is None:
            raise DivergedError(
                "losses are not finite, and there is no saved state to return to; lower `optimizer.learning_rate`"
            )
        self._objective.load_state_dict(state.values["objective"])
        samples, skipped = self._progress.samples, self._progress.skipped
        self._progress.restore(state.values["progress"])
        self._progress.samples, self._progress.skipped = samples, skipped
        self._emit(RolledBack(state.step))
        self._emit(Message(f"returned to the state of step {state.step}; continuing with other pictures", "warning"))
        return state.step

    def _write(self, step: int, values: dict[str, Any]) -> Path:
        """Write the model, if that is still pending, and then the state; returns its file."""
        message = self._file.retry()
        if self._file.failure is not None:
            raise self._file.failure
        try:
            return save_state(self._folder.states, step, values, self._folder.run)
        finally:
            if message is not None:
                self._emit(message)

    def _values(self) -> dict[str, Any]:
        return {
            **self._facts,
            "progress": self._progress.as_dict(),
            "unwritten": self._unwritten_logs(),
            "objective": self._objective.state_dict(),
        }
