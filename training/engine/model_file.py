"""The run's `model.safetensors`: the best model so far, kept until it is written."""

from __future__ import annotations

import copy
from pathlib import Path

from inpaint_core.checkpoints.files import save_model
from inpaint_core.files.atomic import unwritten

from ..events import CheckpointSaved, Message
from ..objectives.objective import Model


class ModelFile:
    """Writes models; a model that cannot be written is kept in memory, and the write is retried at the next
    opportunity.

    Attributes
    ----------
    path
        The file.
    failure
        Why the current model could not be written; None if it was.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.failure: OSError | None = None
        self._waiting: tuple[int, Model] | None = None

    @property
    def exists(self) -> bool:
        """Whether a model has been written, or is waiting to be."""
        return self._waiting is not None or self.path.exists()

    def write(self, step: int, model: Model) -> CheckpointSaved | Message:
        """Replace the file with the model of a step; returns the event to emit.

        The model may share its weights with the training run.
        """
        try:
            save_model(model, self.path)
        except OSError as error:
            self.failure = error
            if self._waiting is None or self._waiting[1] is not model:
                self._waiting = step, copy.deepcopy(model)
            return Message(
                f"the model of step {step} could not be saved ({unwritten(error)}); the previous file is unchanged, "
                "and saving will be retried",
                "warning",
            )
        self._waiting = self.failure = None
        return CheckpointSaved(step, self.path, "model")

    def retry(self) -> CheckpointSaved | Message | None:
        """Retry a failed write; None if there is nothing to write."""
        return None if self._waiting is None else self.write(*self._waiting)
