"""`python -m training.run`: train a model on a folder of pictures; with no argument, the embedded demo.

usage: python -m training.run [--config RECIPE] [--data DIR] [--out DIR] [--steps N] [--resume auto|none|RUN]
                              [--any.config.field VALUE ...]

  --config RECIPE   a recipe's name or a .yaml file (default: the config.yaml of a resumed run, otherwise demo)
  --data DIR        folder of pictures (default: the recipe's)
  --out DIR         run folder (default: runs/NAME)
  --steps N         total steps, including those before a resume
  --resume auto     resume the run in the run folder, if there is one
  --resume none     start a new run, in the next free folder if the run folder is taken
  --resume RUN      resume the run in the folder RUN
                    (default: resume the run in the run folder if it was interrupted, otherwise start a new one)
  --pass-gib N      GiB that one pass of the model may take (default: 16)
  --optimizer.learning_rate 0.0005, --data.size 96, ...: every field of the configuration

exit codes: 0 done, 2 bad input (one line on standard error), 130 interrupted and saved
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inpaint_core.checkpoints.weights import set_pass_limit
from inpaint_core.commands.notes import allow_undecodable_names
from inpaint_core.files.atomic import unwritten

from .allocation import keep_freed_memory
from .command_line import BAD_INPUT, DONE, FAILED, INTERRUPTED, OneLineParser, StopSignals, end, option
from .config import (
    ConfigError,
    ReconstructionConfig,
    TrainConfig,
    any_objective,
    parse_config,
    read_recipe,
    recipe_names,
)
from .layers import layered
from .runs.folder import Resume, RunFolder

if TYPE_CHECKING:
    from .engine.session import TrainResult

COMMAND = "training.run"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    from .callbacks.progress_bar import ProgressBar
    from .engine.session import StoppedError, run_training
    from .errors import TrainingError, with_named_fields
    from .placement import process_group

    allow_undecodable_names()
    stop = StopSignals()
    try:
        config, out, resume = read_command_line(sys.argv[1:] if arguments is None else arguments)
        with process_group(), stop.installed():
            result = run_training(
                config, out=out, resume=resume, callbacks=[ProgressBar()], should_stop=stop, report=report
            )
    except ValueError as error:
        return end(COMMAND, BAD_INPUT, error)
    except StoppedError as error:
        return end(COMMAND, INTERRUPTED, error)
    except TrainingError as error:
        return end(COMMAND, FAILED, with_named_fields(str(error), option))
    except OSError as error:
        return end(
            COMMAND, FAILED, f"{unwritten(error)}; everything saved before is intact; repeat the command to continue"
        )
    folder = result.path.parent
    if result.interrupted:
        command = f"python -m training.run --resume {shlex.quote(str(folder))}"
        return end(COMMAND, INTERRUPTED, f"interrupted after step {result.steps} and saved; continue with: {command}")
    return DONE


def report(result: TrainResult) -> None:
    """Print the result and how to use it."""
    if result.interrupted:
        return
    folder = result.path.parent
    run = RunFolder(folder)
    print(f"\ntrained for {result.steps} steps; everything is in {folder}")
    names = {
        run.model: "the best model so far",
        run.loss_plot: "losses",
        run.samples: "contact sheets of held-out pictures",
    }
    names |= {run.metrics: "losses of every step", run.report: "report on the folder of pictures"}
    for path, what in names.items():
        print(f"  {path.name:<20} {what}")
    for line in result.objective.score.lines(result.metrics, result.baselines):
        print(line)
    purpose, command = result.objective.usage
    print(f"{purpose} with:")
    print(f"  {command.format(model=shlex.quote(str(run.model)))}")
    for filled in sorted(folder.glob(f"{run.filled.stem}.*")):
        print(f"the repaired training picture: {filled}")
    sys.stdout.flush()


def read_command_line(arguments: Sequence[str]) -> tuple[TrainConfig, Path, Resume]:
    """Parse the command line into the configuration, the run folder, and what to do with an existing run.

    Raises
    ------
    ConfigError
        Unknown options, values out of bounds, no such recipe.
    """
    parser = OneLineParser(prog="training.run", add_help=False, allow_abbrev=False)
    for name in ("--config", "--data", "--out", "--steps", "--resume"):
        parser.add_argument(name)
    parser.add_argument("--pass-gib", type=float)
    parser.add_argument("-h", "--help", action="store_true")
    known, rest = parser.parse_known_args(arguments)
    if known.help:
        print(__doc__)
        print(f"recipes: {', '.join(recipe_names())}")
        raise SystemExit(DONE)
    if known.pass_gib is not None:
        set_pass_limit(known.pass_gib)
    resume: Resume = known.resume if known.resume in ("auto", "none") else "unfinished"
    if known.resume not in (None, "auto", "none"):
        resume = Path(known.resume)
    values = _base(known.config, known.out, resume)
    named: dict[str, Any] = {}
    if known.data is not None:
        named["data"] = {"folder": known.data}
    if known.steps is not None:
        named["steps"] = known.steps
    config = parse_config(layered(values, named, _given(rest)))
    if known.out is not None:
        out = Path(known.out)
    else:
        out = resume if isinstance(resume, Path) else Path("runs") / config.name
    return config, out, resume


def _base(recipe: str | None, out: str | None, resume: Resume) -> dict[str, Any]:
    if recipe is not None:
        return read_recipe(recipe)
    folder = resume if isinstance(resume, Path) else Path(out) if out is not None and resume == "auto" else None
    if folder is not None and RunFolder(folder).config.is_file():
        return read_recipe(RunFolder(folder).config)
    return read_recipe("demo")


def _given(arguments: Sequence[str]) -> dict[str, Any]:
    """Only the fields set by options."""
    if not arguments:
        return {}
    # Imported late: only this needs it, and importing it is slow.
    from pydantic_settings import BaseSettings, CliSettingsSource, SettingsConfigDict, SettingsError

    class Settings(TrainConfig, BaseSettings):
        """The configuration as options."""

        model_config = SettingsConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

        # The command line offers the options of all objectives, so it needs all types.
        objective: any_objective() = ReconstructionConfig()  # type: ignore[valid-type]

    try:
        source: CliSettingsSource[Any] = CliSettingsSource(
            Settings, cli_parse_args=list(arguments), cli_exit_on_error=False, cli_prog_name=COMMAND
        )
        return dict(source())
    except SettingsError as error:
        raise ConfigError(" ".join(str(error).split())) from None


if __name__ == "__main__":
    keep_freed_memory()
    sys.exit(main())
