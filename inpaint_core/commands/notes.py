"""Notes about files, each printed once, on one line of standard error with the file's name."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable
from pathlib import Path

from tqdm import tqdm

from ..files.atomic import unwritten
from ..text import MAX_MESSAGE_LENGTH, one_line


class Notes:
    """Prints every note about a file once, however often the file is used."""

    def __init__(self) -> None:
        self._said: set[tuple[str, str]] = set()

    def say(self, path: Path, sentences: Iterable[str]) -> None:
        """Print each note after the file's name."""
        for sentence in sentences:
            if (str(path), sentence) not in self._said:
                self._said.add((str(path), sentence))
                say(f"{path}: {sentence}")


def say(sentence: str) -> None:
    """Print a note on one line of standard error, above a progress bar."""
    tqdm.write(one_line(f"note: {sentence}", MAX_MESSAGE_LENGTH), file=sys.stderr)


def allow_undecodable_names() -> None:
    """Allow printing file names that are not valid UTF-8: such bytes are shown as numbers."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def blamed(path: Path, error: BaseException) -> str:
    """An error's message on one line that names the faulty file."""
    said = unwritten(error) if isinstance(error, OSError) else str(error)
    message = one_line(said or type(error).__name__, MAX_MESSAGE_LENGTH)
    return message if one_line(path.name) in message else one_line(f"{path}: {message}", MAX_MESSAGE_LENGTH)
