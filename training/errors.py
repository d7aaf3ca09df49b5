"""Errors of the trainer, each with a one-line message to the user."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from inpaint_core.text import MAX_MESSAGE_LENGTH, one_line


class SettingError(ValueError):
    """Settings are invalid.

    Parameters
    ----------
    sentence
        What is wrong and what to do; other fields that it mentions are in backticks.
    field
        Dotted name of the field that the error is about (`optimizer.learning_rate`), None if there is no single one.
        The command line and the Train node replace it with their own names.
    """

    def __init__(self, sentence: str, field: str | None = None) -> None:
        self.problems: list[tuple[str | None, str]] = [(field, sentence)]
        super().__init__(self.named(str))

    @classmethod
    def several(cls, problems: Sequence[tuple[str | None, str]]) -> SettingError:
        """One error for several problems `(field, sentence)`."""
        error = cls("")
        error.problems = list(problems)
        error.args = (error.named(str),)
        return error

    def named(self, name: Callable[[str], str]) -> str:
        """All problems in one line, with each field named by `name(field)`."""
        sentences = (
            with_named_fields(sentence if field is None else f"`{field}`: {sentence}", name)
            for field, sentence in self.problems
        )
        return one_line("; ".join(sentences), MAX_MESSAGE_LENGTH)


def with_named_fields(text: str, name: Callable[[str], str]) -> str:
    """A message with the fields in backticks replaced by `name(field)`."""
    return re.sub(r"`([a-z][a-z0-9_.]*)`", lambda match: name(match[1]), text)


class TrainingError(RuntimeError):
    """Training cannot continue; the state of the last good step is saved."""


class CollapsedError(TrainingError):
    """The generator and the discriminator are out of balance, and pausing did not help."""


class DivergedError(TrainingError):
    """Losses or gradients stay NaN or infinite."""


class OutOfMemoryError(TrainingError):
    """Not even a single picture fits in the device's memory."""
