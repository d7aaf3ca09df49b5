"""`metrics.jsonl`: one JSON object per step."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from inpaint_core.files.atomic import write_text

from ..events import Event, Finished, RolledBack, StepDone, Validated


def read_metrics(path: Path) -> Iterator[dict[str, Any]]:
    """The whole objects of a file; a line that was cut off by a crash is passed over."""
    if not path.exists():
        return
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                record = json.loads(line)
            except json.JSONDecodeError:
                continue
            if isinstance(record, dict) and isinstance(record.get("step"), int):
                yield record


def read_losses(path: Path) -> list[float]:
    """The minimised loss of every step in a file."""
    return [record["loss"] for record in read_metrics(path) if "loss" in record]


class MetricsLog:
    """Appends; what lies behind the step that a run is resumed from is removed first.

    A line is written with its step and again, in its place, with what was measured after the step: a state that is
    saved later never knows of more steps than the file does.

    Parameters
    ----------
    path
        The file.
    step
        Steps already done.
    """

    def __init__(self, path: Path, step: int) -> None:
        self._path = path
        self._last: dict[str, Any] = {}
        self._place = 0
        self._file = self._open(step)

    def __call__(self, event: Event) -> None:
        match event:
            case StepDone():
                self._place = self._file.tell()
                self._last = {
                    "step": event.step,
                    **{name: float(f"{value:.6g}") for name, value in event.losses.items()},
                    "learning_rate": event.learning_rate,
                    "images_per_second": round(event.images_per_second, 2),
                }
                self._write()
            case Validated() if self._last.get("step") == event.step:
                self._last |= {f"held_out_{name}": round(value, 4) for name, value in event.metrics.items()}
                self._file.seek(self._place)
                self._write()
            case RolledBack():
                self.close()
                self._file = self._open(event.step)
            case Finished():
                self.close()
            case _:
                pass

    def close(self) -> None:
        """The object must not be called any more."""
        self._file.close()

    def _open(self, step: int) -> IO[bytes]:
        kept = [record for record in read_metrics(self._path) if record["step"] <= step]
        lines = [json.dumps(record) + "\n" for record in kept]
        write_text(self._path, "".join(lines))
        self._last = kept[-1] if kept else {}
        self._place = sum(len(line) for line in lines[:-1])  # bytes: json.dumps gives ASCII
        # Not for appending: the last line may be written again, longer.
        file = self._path.open("r+b")
        file.seek(0, os.SEEK_END)
        return file

    def _write(self) -> None:
        self._file.write(json.dumps(self._last).encode() + b"\n")
        self._file.flush()
