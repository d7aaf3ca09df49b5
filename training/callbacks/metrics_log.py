"""`metrics.jsonl`: one JSON object per step."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from inpaint_core.files.atomic import write_text

from ..events import Event, RolledBack, StepDone, Validated


def read_metrics(path: Path) -> Iterator[dict[str, Any]]:
    """The complete objects of a file; a line cut off by a crash is skipped."""
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
    """The minimized loss of every step in a file."""
    return [record["loss"] for record in read_metrics(path) if "loss" in record]


def logged_loss(value: float) -> float:
    """A loss as stored in the file."""
    return float(f"{value:.6g}")


def logged_score(value: float) -> float:
    """A measurement as stored in the file."""
    return round(value, 4)


class MetricsLog:
    """Writes a line for each step, and rewrites it in place with what was measured after the step.

    When a run is resumed, lines after its step are removed first. Lines that cannot be written are kept and written
    with the next one.

    Parameters
    ----------
    path
        The file.
    step
        Steps already done.
    unwritten
        The value of `unwritten` when the state of that step was saved.

    Raises
    ------
    OSError
        The file cannot be written.
    """

    def __init__(self, path: Path, step: int, unwritten: Sequence[Mapping[str, Any]] = ()) -> None:
        self._path = path
        self._file: IO[bytes] | None = None
        # Lines from `_place` on: the last one may still change; earlier ones are here only if they have not been
        # written.
        self._tail: list[dict[str, Any]] = [dict(record) for record in unwritten]
        self._place = self._end = 0
        self._written = False
        self._cut: int | None = step
        self.finish()

    def __call__(self, event: Event) -> None:
        match event:
            case StepDone():
                record = {
                    "step": event.step,
                    **{name: logged_loss(value) for name, value in event.losses.items()},
                    "learning_rate": event.learning_rate,
                    "images_per_second": round(event.images_per_second, 2),
                }
                if self._written:
                    self._place, self._tail = self._end, []
                self._tail.append(record)
            case Validated() if self._tail and self._tail[-1]["step"] == event.step:
                self._tail[-1] |= {f"held_out_{name}": logged_score(value) for name, value in event.metrics.items()}
            case RolledBack():
                self._cut = event.step
                self._tail = [record for record in self._tail if record["step"] <= event.step]
            case _:
                return
        self._written = False
        self.finish()

    def unwritten(self) -> list[dict[str, Any]]:
        """See `LogWriter.unwritten`: lines."""
        return [] if self._written else [dict(record) for record in self._tail]

    def finish(self) -> None:
        """See `LogWriter.finish`."""
        if self._cut is not None:
            self._rewrite(self._cut)
            self._cut = None
        elif not self._written:
            self._write()
        self._written = True

    def close(self) -> None:
        """The object must not be called after this."""
        if self._file is not None:
            self._file.close()

    def _write(self) -> None:
        assert self._file is not None
        data = memoryview("".join(json.dumps(record) + "\n" for record in self._tail).encode())
        self._end = self._place + len(data)
        self._file.seek(self._place)
        while data:
            data = data[self._file.write(data) :]

    def _rewrite(self, step: int) -> None:
        """Rewrite the file without the steps after this one."""
        records = {record["step"]: record for record in read_metrics(self._path) if record["step"] <= step}
        records |= {record["step"]: record for record in self._tail}
        kept = [record for _, record in sorted(records.items())]
        lines = [json.dumps(record) + "\n" for record in kept]
        write_text(self._path, "".join(lines))
        self.close()
        self._tail = kept[-1:]
        # Bytes: json.dumps gives ASCII.
        self._place, self._end = sum(len(line) for line in lines[:-1]), sum(len(line) for line in lines)
        # Unbuffered, so that a failed write is not silently retried at another position.
        self._file = self._path.open("r+b", buffering=0)
