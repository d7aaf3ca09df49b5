"""`python -m training.sweep`: train every combination of models, losses, optimizers, ... and compare them fairly.

usage: python -m training.sweep --config SWEEP --out DIR [--data DIR] [--processes N] [--resume auto|none] [--steps N]

  --config SWEEP    a .yaml file, or the bundled sweep: landscape
  --out DIR         receives results.json, report.md, curves.png, bars.png, pictures.png and a run folder for each run
  --data DIR        folder of pictures (default: the sweep's)
  --processes N     number of runs at a time (default 1); with torchrun, the runs are divided among its processes
  --resume auto     skip complete runs, resume unfinished ones (default)
  --resume none     fail if the folder already contains a sweep
  --steps N         steps of every run; increasing it resumes all runs

A sweep is a YAML mapping: `base` (fields of a training run, on top of a `recipe`), `axes` (with their levels and the
fields that each level sets), `seeds`, and `test` (the fraction of the pictures that all models are finally measured on,
and the number of crops). A run that fails is recorded with its reason, and the others continue.

exit codes: 0 done, 1 disk error, 2 bad input (one line on standard error), 130 interrupted and saved
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import TYPE_CHECKING

from inpaint_core.files.atomic import unwritten

from .command_line import BAD_INPUT, DONE, FAILED, INTERRUPTED, OneLineParser, StopSignals, end
from .config import ConfigError
from .runs.folder import check_outside, check_writable

if TYPE_CHECKING:
    from .sweeps.config import Combination
    from .sweeps.runs import Outcome, Runs

MAX_PROCESSES = 256


@dataclass(frozen=True)
class Request:
    """A parsed command line; can be pickled."""

    values: dict[str, object]
    out: Path
    data: str | None = None
    steps: int | None = None
    processes: int = 1
    fresh: bool = False


def run_sweep(request: Request, should_stop: Callable[[], bool] = lambda: False) -> list[str]:
    """Complete a sweep, alone or with other processes, and write its report.

    Parameters
    ----------
    request
        The parsed command line.
    should_stop
        Called before every step of every run; stop if it returns true.

    Returns
    -------
    list of str
        Messages on which level of each axis is best; empty in all but the first of torchrun's processes.

    Raises
    ------
    ConfigError, DatasetError, RunError
        All are ValueErrors with a one-line message; nothing has been trained.
    StoppedError
        Stopped on request; unfinished runs are saved.
    OSError
        The disk is full or a disk error occurred.
    """
    from .placement import place, process_group
    from .sweeps.config import make_sweep
    from .sweeps.report import write_report
    from .sweeps.runs import Bench, Runs

    sweep = make_sweep(request.values, request.data, request.steps)
    if sweep.base.data.folder is not None:
        check_outside(request.out, Path(sweep.base.data.folder), sweep.base.data.recursive)
    # The first of torchrun's processes checks whether the sweep is possible at all; after that, each trains
    # independently.
    with process_group():
        placement = place("cpu")
        placement.agree(lambda: _check(request, placement.processes > 1))
        bench = Bench(sweep)
        runs = Runs(sweep, request.out, bench)
        placement.agree(runs.check)
    first = placement.first
    request.out.mkdir(parents=True, exist_ok=True)
    if first:
        complete = sum(runs.outcome(run) is not None for run in sweep.runs)
        print(
            f"{len(sweep.runs)} runs, {complete} of them already complete; everything is in {request.out}", flush=True
        )

    def done(run: Combination, outcome: Outcome) -> None:
        _say(runs, sweep.runs, run, outcome)

    with ExitStack() as stack:
        if request.processes > 1:
            stack.enter_context(_helpers(request))
        runs.work(should_stop, done, wait=first)
    return write_report(sweep, request.out, runs, bench) if first else []


def _check(request: Request, together: bool) -> None:
    """Reject impossible requests before anything is written."""
    from .sweeps.report import RESULTS, RESULTS_FORMAT

    out = request.out
    check_writable(out)
    if together and request.processes > 1:
        raise ConfigError("--processes: torchrun has already started the processes")
    if request.fresh and (out / "runs").exists():
        raise ConfigError(
            f"{out}: there is already a sweep here; choose another `out`, or set `resume` to auto to continue it"
        )
    if (out / RESULTS).exists():
        try:
            ours = json.loads((out / RESULTS).read_text(encoding="utf-8"))["format"] == RESULTS_FORMAT
        except (OSError, ValueError, LookupError, TypeError):
            ours = False
        if not ours:
            raise ConfigError(f"{out / RESULTS}: not from a sweep; choose another `out`")


@contextmanager
def _helpers(request: Request) -> Iterator[None]:
    """Run all other processes for the duration of the block; if it fails, they save and end."""
    _limit_threads(request.processes)
    context = multiprocessing.get_context("spawn")
    leave = context.Event()
    helpers = [context.Process(target=_help, args=(request, leave)) for _ in range(request.processes - 1)]
    try:
        for helper in helpers:
            helper.start()
        yield
    except BaseException:
        leave.set()
        raise
    finally:
        for helper in helpers:
            if helper.pid is not None:
                helper.join()


def _help(request: Request, leave: Event) -> None:
    """The work of a worker process: complete runs until none is left or its parent process has ended."""
    from .engine.session import StoppedError
    from .sweeps.config import make_sweep
    from .sweeps.runs import Bench, Runs

    _limit_threads(request.processes)
    parent, stop = multiprocessing.parent_process(), StopSignals()

    def should_stop() -> bool:
        return stop() or leave.is_set() or (parent is not None and not parent.is_alive())

    sweep = make_sweep(request.values, request.data, request.steps)
    try:
        with stop.installed():
            runs = Runs(sweep, request.out, Bench(sweep))
            runs.work(should_stop, lambda run, outcome: _say(runs, sweep.runs, run, outcome), wait=False)
    except StoppedError:
        pass
    except (ValueError, OSError) as error:
        # Its remaining runs are taken over by the others.
        end(COMMAND, FAILED, f"a process ends: {error}")


def _say(runs: Runs, every: Sequence[Combination], run: Combination, outcome: Outcome) -> None:
    complete = sum(runs.outcome(other) is not None for other in every)
    said = f"failed: {outcome.reason}" if outcome.outcome == "failed" else f"{outcome.metrics['hole_psnr']:.2f} dB"
    print(f"{complete} of {len(every)}: {run.name}: {said}", flush=True)


def _limit_threads(processes: int) -> None:
    """Limit each process's threads: with more threads than CPUs, the runs would slow each other down."""
    if os.getenv("OMP_NUM_THREADS") is None:
        import torch

        torch.set_num_threads(max(1, (os.cpu_count() or 1) // processes))


def read_command_line(arguments: Sequence[str]) -> Request:
    """Parse the command line.

    Raises
    ------
    ConfigError
        Unknown options, values out of bounds, no such sweep.
    """
    from .sweeps.config import read_sweep

    parser = OneLineParser(prog="training.sweep", add_help=False, allow_abbrev=False)
    for option in ("--config", "--out", "--data"):
        parser.add_argument(option)
    parser.add_argument("--processes", type=_whole, default=1)
    parser.add_argument("--steps", type=_whole)
    parser.add_argument("--resume", choices=("auto", "none"), default="auto")
    parser.add_argument("-h", "--help", action="store_true")
    known = parser.parse_args(arguments)
    if known.help:
        print(__doc__)
        raise SystemExit(DONE)
    for option in ("config", "out"):
        if getattr(known, option) is None:
            raise ConfigError(f"--{option} is missing")
    if known.processes > MAX_PROCESSES:
        raise ConfigError(f"--processes {known.processes}: at most {MAX_PROCESSES}")
    values = read_sweep(known.config)
    return Request(values, Path(known.out), known.data, known.steps, known.processes, known.resume == "none")


def _whole(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not an integer of at least 1")
    return int(text)


COMMAND = "training.sweep"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    from .engine.session import StoppedError

    stop = StopSignals()
    try:
        request = read_command_line(sys.argv[1:] if arguments is None else arguments)
        with stop.installed():
            answers = run_sweep(request, stop)
    except ValueError as error:
        return end(COMMAND, BAD_INPUT, error)
    except StoppedError:
        return end(COMMAND, INTERRUPTED, "interrupted and saved; repeat the command to continue")
    except OSError as error:
        return end(
            COMMAND, FAILED, f"{unwritten(error)}; everything saved before is intact; repeat the command to continue"
        )
    for sentence in answers:
        print(sentence)
    if answers:
        print(f"tables and pictures: {request.out / 'report.md'}")
    return DONE


if __name__ == "__main__":
    sys.exit(main())
