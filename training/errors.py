"""Errors of the trainer, each with one sentence for the user."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from inpaint_core.text import one_line

MAX_MESSAGE_LENGTH = 4000  # characters of a message


class SettingError(ValueError):
    """Settings cannot be used.

    Parameters
    ----------
    sentence
        What is wrong, and what to do; other fields that it mentions stand in backticks.
    field
        Dotted name of the field that it is about (`optimizer.learning_rate`), None if it is about no single one. The
        command line and the Train node show their own name for it.
    """

    def __init__(self, sentence: str, field: str | None = None) -> None:
        self.problems: list[tuple[str | None, str]] = [(field, sentence)]
        super().__init__(self.named(str))

    @classmethod
    def several(cls, problems: Sequence[tuple[str | None, str]]) -> SettingError:
        """One error for problems `(field, sentence)` that were found together."""
        error = cls("")
        error.problems = list(problems)
        error.args = (error.named(str),)
        return error

    def named(self, name: Callable[[str], str]) -> str:
        """All problems in one line, with `name(field)` for the name of each field."""
        sentences = (
            worded(sentence if field is None else f"`{field}`: {sentence}", name) for field, sentence in self.problems
        )
        return one_line("; ".join(sentences), MAX_MESSAGE_LENGTH)


def worded(text: str, name: Callable[[str], str]) -> str:
    """A sentence of the trainer in which fields, which stand in backticks, are called by `name(field)`."""
    return re.sub(r"`([a-z][a-z0-9_.]*)`", lambda match: name(match[1]), text)


class TrainingError(RuntimeError):
    """The training cannot go on; the state of the last good step is saved."""


class CollapsedError(TrainingError):
    """Generator and discriminator are out of balance beyond repair."""


class DivergedError(TrainingError):
    """Losses or gradients stay NaN or infinite."""


class OutOfMemoryError(TrainingError):
    """Not even a single picture fits into the device's memory."""
