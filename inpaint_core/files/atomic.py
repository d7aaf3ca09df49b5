"""Files that are whole or absent: written beside their place, flushed to the disk and renamed."""

from __future__ import annotations

import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# Short, so that a name which is as long as the file system takes can be written, too.
UNFINISHED = re.compile(r"\.[0-9a-f]{8}\.part(\.\w+)?", re.ASCII)
"""Names of what `atomic_path` has not finished; a killed process leaves them behind."""


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path in the same folder; rename it to `path` on success, remove it on any failure.

    The yielded path ends in the same suffix as `path`, so that writers that go by the extension work. At no moment does
    `path` hold a partial file, also not after a power cut: the file is fsynced before the rename, the folder after it.

    Raises
    ------
    OSError
        The folder does not exist or cannot be written, the disk is full; `path` then still holds what it held.
    """
    target = Path(path)
    temporary = target.with_name(f".{secrets.token_hex(4)}.part{target.suffix}")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
    if os.name == "posix":
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def remove_unfinished(folder: Path, older_than: float = 0.0) -> None:
    """Remove what killed processes left unfinished in a folder.

    Parameters
    ----------
    older_than
        Seconds since it was last written to; above 0 where other processes may be writing into the folder.
    """
    for path in folder.iterdir():
        if UNFINISHED.fullmatch(path.name):
            with suppress(FileNotFoundError):  # another process has finished it meanwhile
                if time.time() - path.stat().st_mtime >= older_than:
                    path.unlink()


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a UTF-8 text file atomically; what is no UTF-8 (in a file name) is written as JSON writes it."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")
