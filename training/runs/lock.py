"""One trainer per run folder: a lock that the operating system releases whenever its holder dies."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from ..errors import SettingError


class LockedError(SettingError):
    """Another process is using this folder."""


AT_WORK = " at work"


@contextmanager
def hold_lock(path: Path, work: str = "training") -> Iterator[None]:
    """Hold a lock file; the file remains, but is empty if the block has completed.

    Emptying the file is the last write, so a process killed before that leaves a trace; see `was_interrupted`.

    Parameters
    ----------
    path
        The file.
    work
        The holder's work, for the error message of others.

    Raises
    ------
    LockedError
        Another process holds it; the message names the process.
    OSError
        The file cannot be created.
    """
    # Never removed: otherwise two processes could each lock a file of this name.
    file = path.open("a+", encoding="utf-8")
    try:
        try:
            _lock(file)
        except OSError:
            file.seek(0)
            holder = file.read().removesuffix(AT_WORK) or "unknown"
            raise LockedError(
                f"{path.parent}: another {work} (process {holder}) is running here; choose another `out`"
            ) from None
        file.seek(0)
        file.truncate()
        file.write(f"{os.getpid()}{AT_WORK}")
        file.flush()
        yield
        file.truncate(0)
    finally:
        file.close()


def was_interrupted(path: Path) -> bool:
    """Whether the last holder of a lock file did not finish its work."""
    try:
        return path.read_text(encoding="utf-8").endswith(AT_WORK)
    except (OSError, UnicodeDecodeError):
        return False


if sys.platform == "win32":
    import msvcrt

    def _lock(file: IO[str]) -> None:
        # A byte far beyond the text, because Windows locks prevent reading the locked range.
        file.seek(2**20)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(file: IO[str]) -> None:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
