"""Run a command of the project with a fault injected into one of its system calls."""

from __future__ import annotations

import hashlib
import importlib
import json
import multiprocessing
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WRITING = "write,pwrite64,writev,ftruncate,fsync,fdatasync,rename,renameat,renameat2,link,linkat,unlink,unlinkat"
SECONDS = 120
UNCOMPARED = re.compile(r"/state/\d+\.json$|scatter\.png$")  # they contain the run's random name, and times
TIMINGS = re.compile(r"second|images_per|share_of_time|duration|\brun\b|date|created|mtime|peak|time")

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    [
        *("training.run", "training.evaluate", "training.sweep", "training.prepare", "training.engine.session"),
        *("inpaint_core.__main__", "inpaint_core.commands.inpaint", "cv2"),
    ]
)


def available() -> bool:
    """Whether faults can be injected on this machine: strace must be allowed to attach to another process."""
    if sys.platform != "linux" or shutil.which("strace") is None:
        return False
    victim = subprocess.Popen(["sleep", "5"])
    probe = subprocess.Popen(["strace", "-p", str(victim.pid)], stderr=subprocess.PIPE, text=True)
    assert probe.stderr is not None
    attached = "attached" in probe.stderr.readline()
    victim.kill()
    victim.wait()
    probe.wait()
    return attached


@dataclass(frozen=True)
class Outcome:
    """How a command ended: its exit code (negative for a signal) and its output on both streams."""

    code: int
    said: str

    @property
    def traceback(self) -> bool:
        return "Traceback (most recent call last)" in self.said


def _child(line: Sequence[str], log: str, ready: Any, go: Any) -> None:
    os.setsid()
    stream = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(stream, 1)
    os.dup2(stream, 2)
    ready.send(os.getpid())
    go.recv()
    module, *arguments = line
    sys.exit(importlib.import_module(module).main(arguments))


def run(line: Sequence[str], log: Path, inject: str | None = None) -> Outcome:
    """Run `[module, argument, ...]` in a fresh process.

    Parameters
    ----------
    line
        A module with a `main(arguments) -> int`, and its arguments.
    log
        File for both output streams.
    inject
        The fault in strace's syntax, after the system calls: `signal=KILL:when=7`, `error=ENOSPC:when=3+`.
    """
    ready, tell_ready = _CONTEXT.Pipe(duplex=False)
    wait_go, go = _CONTEXT.Pipe(duplex=False)
    process = _CONTEXT.Process(target=_child, args=(list(line), str(log), tell_ready, wait_go))
    process.start()
    pid = ready.recv()
    tracer = None
    if inject is not None:
        options = ["-f", "-qq", "-o", "/dev/null", "-e", f"trace={WRITING}", "-e", f"inject={WRITING}:{inject}"]
        tracer = subprocess.Popen(["strace", *options, "-p", str(pid)], stderr=subprocess.DEVNULL)
        while f"TracerPid:\t{tracer.pid}" not in Path(f"/proc/{pid}/status").read_text():
            if tracer.poll() is not None:
                raise RuntimeError("strace could not attach")
    go.send(True)
    process.join(SECONDS)
    if process.is_alive():
        process.kill()
        process.join()
        raise AssertionError(f"{line} hung with {inject}: {log.read_text(errors='replace')[-2000:]}")
    if tracer is not None:
        tracer.wait()
    assert process.exitcode is not None
    return Outcome(process.exitcode, log.read_text(errors="replace"))


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
