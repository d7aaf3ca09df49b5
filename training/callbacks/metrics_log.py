"""`metrics.jsonl`: one JSON object per step."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from inpaint_core.atomic import write_text

from ..events import CheckpointSaved, Event, Finished, RolledBack, StepDone, Validated


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

    Parameters
    ----------
    path
        The file.
    step
        Steps already done.
    """

    def __init__(self, path: Path, step: int) -> None:
        self._path = path
        self._waiting: dict[str, Any] | None = None
        self._open(step)

    def __call__(self, event: Event) -> None:
        match event:
            case StepDone():
                self._write()
                self._waiting = {
                    "step": event.step,
                    **{name: float(f"{value:.6g}") for name, value in event.losses.items()},
                    "learning_rate": event.learning_rate,
                    "images_per_second": round(event.images_per_second, 2),
                }
            case Validated():
                self._add({f"held_out_{name}": round(value, 4) for name, value in event.metrics.items()}, event.step)
            case CheckpointSaved(kind="state"):
                self._write()
            case RolledBack():
                self.close()
                self._open(event.step)
            case Finished():
                self.close()
            case _:
                pass

    def close(self) -> None:
        """Write what is waiting; the object must not be called any more."""
        if not self._file.closed:
            self._write()
            self._file.close()

    def _add(self, values: dict[str, float], step: int) -> None:
        if self._waiting is not None and self._waiting["step"] == step:
            self._waiting |= values
        elif self._waiting is None:
            # A run that was stopped before it had looked at the held-out pictures does so when it is resumed.
            self._file.close()
            self._open(step, values)

    def _open(self, step: int, more: dict[str, float] | None = None) -> None:
        kept = [record for record in read_metrics(self._path) if record["step"] <= step]
        if more is not None and kept and kept[-1]["step"] == step:
            kept[-1] |= more
        write_text(self._path, "".join(json.dumps(record) + "\n" for record in kept))
        self._file = self._path.open("a", encoding="utf-8")

    def _write(self) -> None:
        if self._waiting is not None:
            self._file.write(json.dumps(self._waiting) + "\n")
            self._file.flush()
            self._waiting = None
