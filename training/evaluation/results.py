"""Scores of one method, pair by pair, on disk, so that a killed evaluation can be resumed."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import SettingError

SYNC_SECONDS = 5.0


class ResultsError(SettingError):
    """The results on disk are from another evaluation; the message is one line that explains what to do."""


class Results:
    """`<name>.jsonl`: a first line that identifies what was measured, then one line of scores per pair.

    With features, their rows (one per pair, float32) are in `<name>.features`. Lines are synced to disk every
    `SYNC_SECONDS`. Partial data left by a kill or a power cut is truncated to a multiple of `batch` pairs, because a
    network's last bits may differ in batches of another size.

    Parameters
    ----------
    folder
        Must exist.
    name
        Name of the method.
    identity
        Everything that results depend on: model, settings.
    count, batch
        Total pairs, and how many are measured at once.
    feature_count
        Length of a feature row, 0 without features.

    Raises
    ------
    ResultsError
        The file exists and contains the results of something else.
    OSError
        The folder cannot be written.
    """

    def __init__(
        self, folder: Path, name: str, identity: Mapping[str, Any], count: int, batch: int, feature_count: int = 0
    ) -> None:
        self.name = name
        self._identity = dict(identity)
        self._path = folder / f"{name}.jsonl"
        self._features_path = folder / f"{name}.features"
        self._row_bytes = 4 * feature_count
        self._synced = time.monotonic()
        self.done = self._recover(count, batch)
        """Number of measured pairs."""
        self._lines = self._path.open("ab")
        self._rows = self._features_path.open("ab") if feature_count else None

    def append(self, scores: Sequence[Mapping[str, float]], features: Tensor | None = None) -> None:
        """Add the scores of the next pairs and their features `[N,D]`, if any."""
        if self._rows is not None and features is not None:
            # Features first, because a line marks its pair as complete.
            self._rows.write(features.float().cpu().contiguous().numpy().tobytes())
            self._rows.flush()
        text = "".join(
            json.dumps({"pair": number, **values}) + "\n" for number, values in enumerate(scores, start=self.done)
        )
        self._lines.write(text.encode())
        self._lines.flush()
        self.done += len(scores)
        if time.monotonic() - self._synced >= SYNC_SECONDS:
            self._sync()

    def __enter__(self) -> Results:
        return self

    def __exit__(self, *_: object) -> None:
        self._sync()
        for file in (self._lines, self._rows):
            if file is not None:
                file.close()

    def scores(self) -> Iterator[dict[str, float]]:
        """The scores of every pair, in order."""
        with self._path.open("rb") as file:
            next(file)
            for line in file:
                yield json.loads(line)

    def features(self, feature_count: int) -> Tensor:
        """All rows of features, `[N,D]`."""
        rows = np.fromfile(self._features_path, np.float32)
        return torch.from_numpy(rows.reshape(-1, feature_count))

    def _sync(self) -> None:
        for file in (self._rows, self._lines):
            if file is not None:
                os.fsync(file.fileno())
        self._synced = time.monotonic()

    def _recover(self, count: int, batch: int) -> int:
        header = json.dumps(self._identity).encode() + b"\n"
        ends: list[int] = []
        with self._path.open("a+b") as file:
            file.seek(0)
            first = file.readline()
            if not first.endswith(b"\n"):
                file.truncate(0)
                file.write(header)
            elif first != header:
                raise ResultsError(
                    f"{self._path}: these results are from another model or other settings; choose another `out`, or "
                    f"set `resume` to none to start over"
                )
            for line in file:
                if not _is_scores(line, len(ends)):
                    break
                ends.append(file.tell())
        done = len(ends)
        if self._row_bytes:
            rows = self._features_path.stat().st_size if self._features_path.exists() else 0
            done = min(done, rows // self._row_bytes)
        if done < count:
            done -= done % batch
        _cut(self._path, ends[done - 1] if done else len(header))
        if self._row_bytes and self._features_path.exists():
            _cut(self._features_path, done * self._row_bytes)
        return done


def _cut(path: Path, size: int) -> None:
    if path.stat().st_size != size:
        os.truncate(path, size)


def _is_scores(line: bytes, number: int) -> bool:
    try:
        return line.endswith(b"\n") and json.loads(line).get("pair") == number
    except (ValueError, AttributeError):
        return False
