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


AT_WORK = " at work"


@contextmanager
def hold_lock(path: Path, work: str = "training") -> Iterator[None]:
    """Hold a lock file; it stays behind, and it is empty when the block has come to its end.

    Emptying it is the last thing that is written: a process that was killed before leaves its mark, see `was_cut_off`.

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
            holder = file.read().removesuffix(AT_WORK) or "unknown"
            raise LockedError(
                f"{path.parent}: another {work} (process {holder}) is at work here; choose another `out`"
            ) from None
        file.seek(0)
        file.truncate()
        file.write(f"{os.getpid()}{AT_WORK}")
        file.flush()
        yield
        file.truncate(0)
    finally:
        file.close()


def was_cut_off(path: Path) -> bool:
    """Whether the last process that held a lock file did not come to the end of its work."""
    try:
        return path.read_text(encoding="utf-8").endswith(AT_WORK)
    except (OSError, UnicodeDecodeError):
        return False


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
