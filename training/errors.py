"""What can go wrong in the middle of a training, as errors with one sentence for the person who trains."""

from __future__ import annotations


class TrainingError(RuntimeError):
    """The training cannot go on; the state of the last good step is saved."""


class CollapsedError(TrainingError):
    """Generator and discriminator are out of balance beyond repair."""


class DivergedError(TrainingError):
    """Losses or gradients stay NaN or infinite."""


class OutOfMemoryError(TrainingError):
    """Not even a single picture fits into the device's memory."""
