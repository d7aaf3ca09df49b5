"""Code shared by the commands of this package: exit codes, a parser with one-line errors, and error output."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

from inpaint_core.files.atomic import unwritten
from inpaint_core.text import MAX_MESSAGE_LENGTH, one_line

from .errors import SettingError

DONE, FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130
OPTIONS = {"data.folder": "--data", "config": "--config"}
"""Options whose names differ from the field they set."""


class OneLineParser(argparse.ArgumentParser):
    """Raises a SettingError for a wrong command line instead of printing the usage."""

    def error(self, message: str) -> NoReturn:
        raise SettingError(message)


class StopSignals:
    """The first Ctrl-C or SIGTERM requests a stop after the current step; the second ends the process at once."""

    def __init__(self) -> None:
        self.received: int | None = None

    def __call__(self) -> bool:
        """Whether a stop was requested."""
        return self.received is not None

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Handle the signals inside the block."""
        previous = {number: signal.signal(number, self._receive) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None:
            os._exit(INTERRUPTED)
        self.received = number


def is_first_process() -> bool:
    """Whether this is the one of torchrun's processes that prints messages."""
    return os.getenv("RANK", "0") == "0"


def end(command: str, code: int, problem: str | Exception) -> int:
    """Print on one line of standard error how a command ended.

    Parameters
    ----------
    command
        Its name, such as `training.run`.
    code
        Its exit code, which is returned.
    problem
        A message, or an error; the fields named by a SettingError are shown as options.
    """
    sentence = str(problem)
    if isinstance(problem, SettingError):
        sentence = problem.named(option)
    elif isinstance(problem, OSError):
        sentence = unwritten(problem)
    if is_first_process():
        # Standard error may itself be a file on the full disk; the exit code still reports the failure.
        with suppress(OSError):
            print(one_line(f"{command}: {sentence}", MAX_MESSAGE_LENGTH), file=sys.stderr)
    return code


def option(field: str) -> str:
    """The command-line option for a field of the configuration."""
    return OPTIONS.get(field, f"--{field}")
