"""Errors of the trainer, each with one sentence for the user."""

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
        Dotted name of the field it is about (`optimizer.learning_rate`), None if there is no single one. The command
        line and the Train node show their own name for it.
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
            worded(sentence if field is None else f"`{field}`: {sentence}", name) for field, sentence in self.problems
        )
        return one_line("; ".join(sentences), MAX_MESSAGE_LENGTH)


def worded(text: str, name: Callable[[str], str]) -> str:
    """A sentence with the fields in backticks replaced by `name(field)`."""
    return re.sub(r"`([a-z][a-z0-9_.]*)`", lambda match: name(match[1]), text)


class TrainingError(RuntimeError):
    """Training cannot continue; the state of the last good step is saved."""


class CollapsedError(TrainingError):
    """Generator and discriminator are irreparably out of balance."""


class DivergedError(TrainingError):
    """Losses or gradients stay NaN or infinite."""


class OutOfMemoryError(TrainingError):
    """Not even a single picture fits into the device's memory."""
