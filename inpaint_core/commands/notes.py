"""What a command says about files beside its results: one line each on standard error, with the file's name, once."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable
from pathlib import Path

from tqdm import tqdm

from ..text import MAX_MESSAGE_LENGTH, one_line


class Notes:
    """Says every sentence about a file once, however often the file is used."""

    def __init__(self) -> None:
        self._said: set[tuple[str, str]] = set()

    def say(self, path: Path, sentences: Iterable[str]) -> None:
        """Print each sentence behind the file's name."""
        for sentence in sentences:
            if (str(path), sentence) not in self._said:
                self._said.add((str(path), sentence))
                tqdm.write(one_line(f"note: {path}: {sentence}", MAX_MESSAGE_LENGTH), file=sys.stderr)


def print_any_name() -> None:
    """Let names be printed that are no UTF-8, which a file system may hold: such bytes are shown as numbers."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def blamed(path: Path, error: BaseException) -> str:
    """An error's message on one line that names the file at fault."""
    message = one_line(str(error) or type(error).__name__, MAX_MESSAGE_LENGTH)
    return message if one_line(path.name) in message else one_line(f"{path}: {message}", MAX_MESSAGE_LENGTH)
