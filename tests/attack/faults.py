"""Run a command of the project, and tamper with one of its system calls."""

from __future__ import annotations

import hashlib
import importlib
import json
import multiprocessing
import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .tracing import Answer, Call, Tracer, hand_over_writes

SECONDS = 120
UNCOMPARED = re.compile(r"/state/\d+\.json$|scatter\.png$")  # they contain the run's random name, and times
TIMINGS = re.compile(r"second|images_per|share_of_time|duration|\brun\b|date|created|mtime|peak|time")

_CONTEXT = multiprocessing.get_context("forkserver")
# Anything not imported here is imported by every process, which takes seconds; their main module needs pytest.
_CONTEXT.set_forkserver_preload(
    [
        *("training.run", "training.evaluate", "training.sweep", "training.prepare", "training.engine.session"),
        *("inpaint_core.__main__", "inpaint_core.commands.inpaint", "cv2"),
        *("torch._dynamo", "skimage.restoration", "scipy.ndimage", "tifffile", "pytest"),
    ]
)


@dataclass(frozen=True)
class Outcome:
    """How a command ended: its exit code (negative for a signal) and its output on both streams."""

    code: int
    said: str

    @property
    def traceback(self) -> bool:
        return "Traceback (most recent call last)" in self.said


def _child(line: Sequence[str], log: str, traced: bool, ready: Any, go: Any) -> None:
    os.setsid()
    stream = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(stream, 1)
    os.dup2(stream, 2)
    module, *arguments = line
    command = importlib.import_module(module).main
    ready.send(os.getpid())
    go.recv()
    if traced:
        hand_over_writes()
    sys.exit(command(arguments))


def run(
    line: Sequence[str], log: Path, answer: Callable[[Call], Answer] | None = None, watched: Path | None = None
) -> Outcome:
    """Run `[module, argument, ...]` in a fresh process.

    Parameters
    ----------
    line
        A module with a `main(arguments) -> int`, and its arguments.
    log
        File for both output streams.
    answer, watched
        Called before each system call that changes something in this folder: see `Tracer`.
    """
    ready, tell_ready = _CONTEXT.Pipe(duplex=False)
    wait_go, go = _CONTEXT.Pipe(duplex=False)
    traced = answer is not None
    process = _CONTEXT.Process(target=_child, args=(list(line), str(log), traced, tell_ready, wait_go))
    process.start()
    pid = ready.recv()
    if answer is None:
        go.send(True)
        process.join(SECONDS)
    else:
        tracer = Tracer(pid, str(watched), answer)
        go.send(True)
        tracer.follow(SECONDS)
        process.join(SECONDS)
    if process.is_alive():
        process.kill()
        process.join()
        raise AssertionError(f"{line} hung: {log.read_text(errors='replace')[-2000:]}")
    assert process.exitcode is not None
    return Outcome(process.exitcode, log.read_text(errors="replace") if log.is_file() else "")


def contents(folder: Path) -> dict[str, str]:
    """Digest of every file in a folder, with times and random names removed from JSON."""
    found = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = str(path.relative_to(folder))
        if UNCOMPARED.search(name):
            found[name] = "there"
        elif path.suffix in (".json", ".jsonl"):
            values = [_timeless(json.loads(row)) for row in _rows(path)]
            found[name] = json.dumps(values, sort_keys=True)
        elif path.suffix in (".safetensors", ".png", ".jpg", ".csv"):
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        else:
            found[name] = "there"
    return found


def _rows(path: Path) -> list[str]:
    text = path.read_text()
    return text.splitlines() if path.suffix == ".jsonl" else [text]


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _timeless(item) for key, item in value.items() if not TIMINGS.search(key)}
    return [_timeless(item) for item in value] if isinstance(value, list) else value
