"""`python -m training.run`: train a model on a folder of pictures; with no argument, the embedded demo.

usage: python -m training.run [--config RECIPE] [--data DIR] [--out DIR] [--steps N] [--resume auto|none|RUN]
                              [--any.config.field VALUE ...]

  --config RECIPE   a recipe's name or a .yaml file (default: the config.yaml of a run that is resumed, otherwise demo)
  --data DIR        folder of pictures (default: what the recipe says)
  --out DIR         run folder (default: runs/NAME)
  --steps N         steps in all, those before a resume included
  --resume auto     go on with the run in the run folder, if there is one
  --resume none     start a new run, in the next free folder if the run folder is taken
  --resume RUN      go on with the run in the folder RUN
                    (default: go on if the run in the run folder was interrupted, otherwise start a new one)
  --optimizer.learning_rate 0.0005, --data.size 96, ...: every field of the configuration

exit codes: 0 done, 2 bad input (one line on standard error), 130 interrupted and saved
"""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

from inpaint_core.checkpoints.inpainting_model import InpaintingModel
from inpaint_core.commands.notes import print_any_name
from inpaint_core.models.registry import describe

from .allocation import keep_freed_memory
from .config import ConfigError, TrainConfig, parse_config, read_recipe, recipe_names
from .runs.folder import Resume, RunFolder

if TYPE_CHECKING:
    from .engine.session import TrainResult

DONE, BAD_INPUT, FAILED, INTERRUPTED = 0, 2, 1, 130


class OneLineParser(argparse.ArgumentParser):
    """Says what is wrong with a command line in one sentence, as a ConfigError."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError(message)


class StopSignals:
    """The first Ctrl-C or SIGTERM asks for a stop after the step; the second one ends the process at once."""

    def __init__(self) -> None:
        self.received: int | None = None

    def __call__(self) -> bool:
        """Whether a stop was asked for."""
        return self.received is not None

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Listen for as long as the block lasts."""
        previous = {number: signal.signal(number, self._receive) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None:
            os._exit(INTERRUPTED)
        self.received = number


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    from .callbacks.progress_bar import ProgressBar
    from .dataset.single_picture import repair
    from .engine.session import StoppedError, run_training
    from .errors import TrainingError
    from .placement import process_group

    print_any_name()
    stop = StopSignals()
    try:
        config, out, resume = read_command_line(sys.argv[1:] if arguments is None else arguments)
        with process_group(), stop.installed():
            result = run_training(config, out=out, resume=resume, callbacks=[ProgressBar()], should_stop=stop)
    except ValueError as error:
        return _end(BAD_INPUT, str(error))
    except StoppedError as error:
        return _end(INTERRUPTED, str(error))
    except TrainingError as error:
        return _end(FAILED, str(error))
    except OSError as error:
        return _end(FAILED, f"{error}; the latest saved state is intact")
    folder = result.path.parent
    if result.interrupted:
        command = f"python -m training.run --resume {shlex.quote(str(folder))}"
        return _end(INTERRUPTED, f"interrupted after step {result.steps} and saved; go on with: {command}")
    if _is_first_process():
        report(result, folder)
        data = config.data
        if data.picture is not None and data.picture_mask is not None and isinstance(result.model, InpaintingModel):
            filled = folder / "filled.png"
            filled = repair(result.model, Path(data.picture), Path(data.picture_mask), filled, data.max_pixels)
            print(f"{Path(data.picture).name}, repaired with it: {filled}")
    return DONE


def _end(code: int, sentence: str) -> int:
    if _is_first_process():
        print(f"training.run: {sentence}", file=sys.stderr)
    return code


def _is_first_process() -> bool:
    """Of those that torchrun has started, one speaks."""
    return os.environ.get("RANK", "0") == "0"


def report(result: TrainResult, folder: Path) -> None:
    """Say what came out and how to use it."""
    run, metrics, baselines = RunFolder(folder), result.metrics, result.baselines
    translates = result.model.card.task == "translation"
    print(f"\ntrained for {result.steps} steps; everything is in {folder}")
    names = {
        run.model: "the best model so far",
        run.loss_plot: "losses",
        run.samples: "contact sheets of held-out pictures",
    }
    names |= {run.metrics: "one line per step", run.report: "what was found in the folder of pictures"}
    for path, what in names.items():
        print(f"  {path.name:<20} {what}")
    if baselines and translates:
        print("mean absolute difference from held-out pictures, in 0..1 (lower is better):")
        print(f"  this model {metrics['l1']:.4f}, the mean training picture {baselines['mean_picture_l1']:.4f}")
    elif baselines:
        print("PSNR in the holes of held-out pictures, in dB (higher is better):")
        rows = {"this model": metrics["hole_psnr"], "Telea": baselines["telea"], "mean fill": baselines["mean"]}
        for name, value in rows.items():
            print(f"  {name:<20} {value:6.2f}")
    model = shlex.quote(str(run.model))
    if translates:
        print("translate a picture or a video with:")
        print(f"  python -m inpaint_core translate --model {model} --input PICTURE.jpg --out TRANSLATED.png")
        return
    print("fill the holes of a picture (white in the mask = hole) with:")
    print(f"  python -m inpaint_core inpaint --model {model} --image PICTURE.jpg --mask MASK.png --out FILLED.png")


def read_command_line(arguments: Sequence[str]) -> tuple[TrainConfig, Path, Resume]:
    """Configuration, run folder and what to do with a run that is there already.

    Raises
    ------
    ConfigError
        Unknown options, values out of bounds, no such recipe.
    """
    parser = OneLineParser(prog="training.run", add_help=False, allow_abbrev=False)
    for option in ("--config", "--data", "--out", "--steps", "--resume"):
        parser.add_argument(option)
    parser.add_argument("-h", "--help", action="store_true")
    known, rest = parser.parse_known_args(arguments)
    if known.help:
        print(__doc__)
        print(f"recipes: {', '.join(recipe_names())}")
        raise SystemExit(DONE)
    resume: Resume = known.resume if known.resume in ("auto", "none") else "unfinished"
    if known.resume not in (None, "auto", "none"):
        resume = Path(known.resume)
    values = _base(known.config, known.out, resume)
    data = values.setdefault("data", {})
    if known.data is not None and isinstance(data, dict):
        data["folder"] = known.data
    if known.steps is not None:
        values["steps"] = known.steps
    config = _override(values, rest)
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


def _override(values: dict[str, Any], arguments: Sequence[str]) -> TrainConfig:
    if not arguments:
        return parse_config(values)
    # Imported late: only this needs it, and it is not cheap.
    from pydantic import ValidationError
    from pydantic_settings import (
        BaseSettings,
        CliSettingsSource,
        PydanticBaseSettingsSource,
        SettingsConfigDict,
        SettingsError,
    )

    class Settings(TrainConfig, BaseSettings):
        """The configuration with the command line on top of the recipe."""

        model_config = SettingsConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

        @classmethod
        def settings_customise_sources(  # type: ignore[override]
            cls, settings_cls: type[BaseSettings], init_settings: PydanticBaseSettingsSource, **_: object
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            command_line: CliSettingsSource[Any] = CliSettingsSource(
                settings_cls, cli_parse_args=list(arguments), cli_exit_on_error=False, cli_prog_name="training.run"
            )
            return command_line, init_settings

    try:
        settings = Settings(**values)
    except ValidationError as error:
        raise ConfigError(f"configuration: {describe(error)}") from None
    except SettingsError as error:
        raise ConfigError(" ".join(str(error).split())) from None
    return parse_config(settings.model_dump())


if __name__ == "__main__":
    keep_freed_memory()
    sys.exit(main())
