"""Files that are complete or absent: written under a temporary name, flushed to disk and renamed."""

from __future__ import annotations

import os
import re
import secrets
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

UNFINISHED = re.compile(r"\.(.+\.)?[0-9a-f]{8}\.part(\.\w+)?", re.ASCII)
"""Names of the temporary files of `atomic_path`; a killed process leaves them behind."""
ABANDONED_SECONDS = 3600.0  # where files cannot be locked, one not written to for this long counts as abandoned

_searched: set[str] = set()


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path in the same folder; rename it to `path` on success, remove it on any failure.

    The yielded path has the suffix of `path`, so that writers that depend on the extension work. `path` never holds a
    partial file, not even after a power cut: the file is fsynced before the rename, the folder after it. Temporary
    files left in the folder by killed processes are removed.

    Raises
    ------
    OSError
        The folder does not exist or cannot be written, the disk is full, or nothing was written; the error names
        `path`, which is unchanged.
    """
    target = Path(path)
    folder = str(target.parent.absolute())
    if folder not in _searched:
        _searched.add(folder)
        remove_unfinished(target.parent)
    # Short, so that even files with the longest allowed names can be written.
    temporary = target.with_name(f".{secrets.token_hex(4)}.part{target.suffix}")
    try:
        with _claimed(temporary):
            yield temporary
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
                written = os.fstat(file.fileno())
            if written.st_size == 0 and written.st_mtime == 0:
                raise FileNotFoundError(2, "nothing was written", str(target))
            os.replace(temporary, target)
    except BaseException as error:
        # A file that cannot be removed now is removed by a later call; the first error is the one to report.
        try:
            temporary.unlink(missing_ok=True)
        except OSError:
            _searched.discard(folder)
        if isinstance(error, OSError) and error.errno is not None and error.filename in (None, str(temporary)):
            raise OSError(error.errno, error.strerror, str(target)) from error
        raise
    if os.name == "posix":
        descriptor = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(target)) from error
        finally:
            os.close(descriptor)


def remove_unfinished(folder: Path) -> None:
    """Remove temporary files left in a folder by killed processes; files still being written are kept."""
    if not folder.is_dir():
        return
    for path in folder.iterdir():
        if UNFINISHED.fullmatch(path.name):
            # Another process may have finished it, and a file that cannot be removed does no harm.
            with suppress(OSError):
                _remove_abandoned(path)


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a UTF-8 text file atomically; characters that are not valid UTF-8 (from a file name) are escaped."""
    write_bytes(path, text.encode("utf-8", errors="backslashreplace"))


def unwritten(error: OSError) -> str:
    """Which file could not be written or read, and why, without the system's error number."""
    reason = error.strerror or str(error) or type(error).__name__
    return reason if error.filename is None else f"{error.filename}: {reason}"


if sys.platform == "win32":

    @contextmanager
    def _claimed(path: Path) -> Iterator[None]:
        # A lock would block the writer itself.
        yield

    def _remove_abandoned(path: Path) -> None:
        if time.time() - path.stat().st_mtime > ABANDONED_SECONDS:
            path.unlink()

else:
    import fcntl

    @contextmanager
    def _claimed(path: Path) -> Iterator[None]:
        """Create the file, and hold a lock on it that ends with the process."""
        while True:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
            with suppress(OSError):  # file systems without locks
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            if path.exists():
                break
            os.close(descriptor)  # another process removed it as abandoned before it was locked
        try:
            os.utime(path, (0, 0))  # distinguishes an empty file that was written from one that was not
            yield
        finally:
            os.close(descriptor)

    def _remove_abandoned(path: Path) -> None:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
        finally:
            os.close(descriptor)
