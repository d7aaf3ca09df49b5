"""One trainer per run folder: a lock that the operating system lifts when its holder dies, however it dies."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from ..errors import SettingError


class LockedError(SettingError):
    """Another process is at work in this folder."""


@contextmanager
def hold_lock(path: Path, work: str = "training") -> Iterator[None]:
    """Hold a lock file; it stays behind, holding nothing, when it is let go.

    Parameters
    ----------
    path
        The file.
    work
        What its holder does, for the sentence that others get.

    Raises
    ------
    LockedError
        Somebody holds it; the sentence names the process.
    OSError
        The file cannot be made.
    """
    # Kept when it exists: removing a lock file lets two processes hold two files of one name.
    file = path.open("a+", encoding="utf-8")
    try:
        try:
            _lock(file)
        except OSError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise LockedError(
                f"{path.parent}: another {work} (process {holder}) is at work here; choose another `out`"
            ) from None
        file.seek(0)
        file.truncate()
        file.write(str(os.getpid()))
        file.flush()
        yield
    finally:
        file.close()


if sys.platform == "win32":
    import msvcrt

    def _lock(file: IO[str]) -> None:
        # A byte far behind the text, because Windows locks forbid reading what they cover.
        file.seek(2**20)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(file: IO[str]) -> None:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
