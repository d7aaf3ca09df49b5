"""Record of the files that a preparation has written, so that it never replaces or removes others."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from threading import Lock

from inpaint_core.files.atomic import atomic_path, remove_unfinished, write_text

from ..dataset.selection import SPLITS

LEDGER = ".prepared.jsonl"
OUR_NAME = re.compile(rf"({'|'.join(SPLITS)})/[\w.-]+-[0-9a-f]{{12}}(_\d+_\d+)?\.(jpg|png)", re.ASCII)


class Ledger:
    """Records which files were written here, by name and content, so that no other file is replaced or removed.

    A line is written before each file, so that the record is complete whenever the process is killed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / LEDGER
        self._known: dict[str, set[str]] = {}
        self._current: dict[str, str] = {}
        self._one = Lock()
        for name, digest in self._read():
            self._known.setdefault(name, set()).add(digest)
        # A line cut off by a crash must not absorb the next one.
        self._save((name, digest) for name, digests in self._known.items() for digest in sorted(digests))
        self._file = self._path.open("a", encoding="utf-8")

    def is_foreign(self, name: str) -> bool:
        """Whether there is a file of this name that was not written here, or was changed since."""
        found = self._digest(name)
        return found is not None and found not in self._known.get(name, ())

    def remove_all_but(self, wanted: set[str]) -> None:
        """Remove files of earlier runs that are no longer needed, and their unfinished files."""
        for split in SPLITS:
            remove_unfinished(self._folder / split)
        for name in sorted(set(self._known) - wanted):
            if self._digest(name) in self._known[name]:
                (self._folder / name).unlink(missing_ok=True)

    def write(self, name: str, content: bytes) -> None:
        """Write a file unless it exists; thread-safe."""
        digest = hashlib.sha256(content).hexdigest()
        self._current[name] = digest
        if self._digest(name) == digest:
            return
        with self._one:
            self._file.write(json.dumps([name, digest]) + "\n")
            self._file.flush()
        with atomic_path(self._folder / name) as temporary:
            temporary.write_bytes(content)

    def finish(self) -> None:
        """Forget all files except those written by this object."""
        self._file.close()
        self._save(sorted(self._current.items()))

    def _read(self) -> Iterator[tuple[str, str]]:
        if not self._path.exists():
            return
        for line in self._path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                name, digest = json.loads(line)
            except (ValueError, TypeError):
                continue
            # Only names in this command's format: a damaged ledger must not point outside the folder.
            if isinstance(name, str) and isinstance(digest, str) and OUR_NAME.fullmatch(name):
                yield name, digest

    def _save(self, lines: Iterable[tuple[str, str]]) -> None:
        write_text(self._path, "".join(json.dumps(list(line)) + "\n" for line in lines))

    def _digest(self, name: str) -> str | None:
        try:
            return hashlib.sha256((self._folder / name).read_bytes()).hexdigest()
        except FileNotFoundError:
            return None
