"""Environment of the tests and of the commands that they start."""

from __future__ import annotations

import multiprocessing
import os
import runpy
import signal
import sys
from collections.abc import Callable, Sequence
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess

import pytest

# With `pytest -n`, every process computes on one thread: more would wait for each other.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ["OMP_NUM_THREADS"] = "1"  # read when torch is imported, here and in the commands that tests start

# Commands keep their compiled modules: to compile them again costs a fifth of the time.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# What commands and trainings import; forked processes have it already.
PRELOADED = ["torch._dynamo", "inpaint_core.commands.inpaint", "training.engine.session"]
PRELOADED += ["training.preparation.cutting"]


@pytest.fixture(scope="session")
def fork_server() -> BaseContext:
    """Starts processes that do not need to import torch."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context


def _run(module: str) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job starts with it ignored
    runpy.run_module(module, run_name="__main__", alter_sys=True)


@pytest.fixture
def start(fork_server: BaseContext, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Sequence[object]], BaseProcess]:
    """Starts `python -m module *arguments`, only faster."""

    def start_command(module: str, arguments: Sequence[object]) -> BaseProcess:
        process = fork_server.Process(target=_run, args=(module,))
        monkeypatch.setattr(sys, "argv", [module, *map(str, arguments)])  # sent to the process
        process.start()
        return process

    return start_command
