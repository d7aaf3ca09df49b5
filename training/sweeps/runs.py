"""The runs of a sweep: each is claimed by one process, trained, and measured on the same crops."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from inpaint_core.checkpoints.files import CheckpointError, load_model
from inpaint_core.checkpoints.inpainting_model import InpaintingModel
from inpaint_core.eight_bit import round_to_8_bits
from inpaint_core.inpainting.classical import ClassicalFill
from inpaint_core.inpainting.inpaint import Completer
from inpaint_core.metrics import MAX_PSNR, mean_over, mean_squared_error, psnr

from ..config import ConfigError, DataConfig, TrainConfig, load_recipe
from ..dataset.samples import Batch, Samples
from ..dataset.scan import Dataset, DatasetError, Record, load_dataset, split_by_content
from ..engine.measurement import FIXED_SEED
from ..engine.session import StoppedError, run_training
from ..objectives.inpainting import BASELINES
from ..runs.folder import ASIDE, RunError, RunFolder, write_json
from ..runs.lock import LockedError, hold_lock
from .config import Combination, Sweep

RESULT = "result.json"
METRICS = ("hole_psnr", "hole_l1", "hole_mse")
MEASURED_TOGETHER = 16
POLL_SECONDS = 0.5
# Fields that may differ between configurations of the same run; a sweep stores the steps separately.
SAME_RUN: dict[str, Any] = {**ASIDE, "trackers": True}


@dataclass(frozen=True)
class Outcome:
    """The result of a run.

    Attributes
    ----------
    outcome
        `failed` if it diverged, collapsed or did not fit in memory.
    steps
        Number of steps requested.
    metrics
        Means over the test crops: PSNR in dB, absolute and squared difference, all in the hole; empty if it failed.
    reason
        Why it failed.
    best_step
        Step of the model: the best on the validation pictures.
    parameters, seconds
        Size of the network, and duration of the training.
    """

    outcome: Literal["done", "failed"]
    steps: int
    metrics: dict[str, float]
    reason: str = ""
    best_step: int = 0
    parameters: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Pictures:
    """A folder split in three: `dataset` has the pictures for training and for choosing the best step."""

    dataset: Dataset
    test: list[Record]


class Bench:
    """Pictures and test crops of a sweep, scanned once.

    Raises
    ------
    ConfigError, DatasetError
        No pictures, or too few to split.
    """

    def __init__(self, sweep: Sweep) -> None:
        self._share = sweep.config.test.share
        self._samples = sweep.config.test.samples
        self._base = sweep.base
        self._pictures: dict[str, Pictures] = {}
        pictures = self.pictures(sweep.base.data, sweep.base.data.held_out)
        masks = sweep.base.masks
        samples = Samples(
            pictures.test, sweep.base.data, masks, seed=FIXED_SEED, device=torch.device("cpu"), augment=False
        )
        self.batches = [
            samples.batch(start, min(MEASURED_TOGETHER, self._samples - start))
            for start in range(0, self._samples, MEASURED_TOGETHER)
        ]
        self.test_pictures = len(pictures.test)
        self.training_pictures = len(pictures.dataset.train)
        self.validation_pictures = len(pictures.dataset.held_out)
        self.folder = pictures.dataset.folder

    def pictures(self, data: DataConfig, validation: float) -> Pictures:
        """The pictures as read by a training run; the test pictures are the same for all."""
        key = data.model_dump_json()
        if key not in self._pictures:
            whole = load_dataset(data)
            everything = [*whole.train, *whole.held_out]
            share = self._share + validation
            if share >= 1.0 or validation == 0.0:
                raise ConfigError(
                    f"data.held_out is {validation} and test.share is {self._share}: both must be above 0, and their "
                    f"sum below 1"
                )
            train, held_out = split_by_content(everything, share)
            chosen, test = split_by_content(held_out, self._share)
            if not chosen or not test:
                raise DatasetError(f"{whole.folder}: {len(everything)} usable pictures cannot be split in three")
            divided = replace(whole, train=train, held_out=chosen)
            self._pictures[key] = Pictures(divided, test)
        return self._pictures[key]

    def measure(self, model: Completer) -> dict[str, float]:
        """Means of `METRICS` over the test crops, of the output rounded to 8 bits as in a file."""
        found: dict[str, list[Tensor]] = {name: [] for name in METRICS}
        for batch in self.batches:
            output = fill(model, batch)
            found["hole_psnr"].append(psnr(output, batch.image, batch.mask).clamp(max=MAX_PSNR))
            found["hole_l1"].append(mean_over((output - batch.image).abs(), batch.mask))
            found["hole_mse"].append(mean_squared_error(output, batch.image, batch.mask))
        return {name: torch.cat(values).mean().item() for name, values in found.items()}

    def baselines(self) -> dict[str, dict[str, float]]:
        """Scores of fills without training."""
        return {name: self.measure(ClassicalFill(name)) for name in BASELINES}

    def identity(self, config: TrainConfig) -> str:
        """A digest of everything that a result depends on, except the number of steps."""
        pictures = self.pictures(config.data, config.data.held_out)
        base = self._base
        parts = [config.model_dump_json(exclude=SAME_RUN), base.masks.model_dump_json()]
        parts += [base.data.model_dump_json(exclude=ASIDE["data"]), str(self._share), str(self._samples)]
        parts += [pictures.dataset.fingerprint, *sorted(record.digest for record in pictures.test)]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def fill(model: Completer, batch: Batch) -> Tensor:
    """Complete a batch and round to 8 bits."""
    return round_to_8_bits(model.complete(batch.image, batch.mask))


def load_filler(path: Path) -> InpaintingModel:
    """Open a run's model.

    Raises
    ------
    CheckpointError
        It cannot be loaded, or is not an inpainting model.
    """
    model = load_model(path)
    if not isinstance(model, InpaintingModel):
        raise CheckpointError(f"{path}: not an inpainting model")
    return model


class Runs:
    """The run folders of a sweep in `out/runs`.

    Parameters
    ----------
    sweep
        The sweep.
    out
        The sweep's folder.
    bench
        Its pictures.
    """

    def __init__(self, sweep: Sweep, out: Path, bench: Bench) -> None:
        self._sweep = sweep
        self._out = out
        self._bench = bench
        self._identities = {run.name: bench.identity(run.config) for run in sweep.runs}

    def folder(self, run: Combination) -> Path:
        """Run folder of a combination."""
        return self._out / "runs" / run.name

    def check(self) -> None:
        """Reject a folder with runs of another sweep.

        Raises
        ------
        ConfigError
            A run there has other settings, other pictures, or more steps.
        """
        for run in self._sweep.runs:
            folder = self.folder(run)
            values = _read_result(folder)
            if values is not None and values["identity"] != self._identities[run.name]:
                raise ConfigError(f"{folder}: was run with other settings or pictures; choose another `out`")
            if RunFolder(folder).config.exists():
                known = load_recipe(RunFolder(folder).config)
                if known.model_dump(exclude=SAME_RUN) != run.config.model_dump(exclude=SAME_RUN):
                    raise ConfigError(f"{folder}: was trained with other settings; choose another `out`")
            steps = 0 if values is None else values["steps"]
            if steps > run.config.steps:
                raise ConfigError(
                    f"{folder}: was trained for {steps} steps, more than the requested {run.config.steps}; choose "
                    f"another `out`"
                )

    def outcome(self, run: Combination) -> Outcome | None:
        """The result of a run; None if it is not complete."""
        values = _read_result(self.folder(run))
        if values is None or values["steps"] != run.config.steps or values["identity"] != self._identities[run.name]:
            return None
        return Outcome(**{key: value for key, value in values.items() if key != "identity"})

    def work(
        self,
        should_stop: Callable[[], bool],
        done: Callable[[Combination, Outcome], None],
        wait: bool,
    ) -> None:
        """Do the remaining runs, together with other processes that work on the same folder.

        Every run is claimed with a lock that the operating system releases when its holder dies; runs of a killed
        process are resumed by another one.

        Parameters
        ----------
        should_stop
            Called before every step; stop if it returns true.
        done
            Called for every run that this process completes.
        wait
            Wait until all runs are complete, and take over abandoned ones; otherwise return when all are claimed.

        Raises
        ------
        StoppedError
            Stopped on request; unfinished runs are saved.
        RunError, OSError
            The disk is full, or a folder cannot be written.
        """
        claims = self._out / "claims"
        claims.mkdir(parents=True, exist_ok=True)
        left = [run for run in self._sweep.runs if self.outcome(run) is None]
        while left:
            claimed = False
            for run in left:
                if should_stop():
                    raise StoppedError("stopped")
                try:
                    with hold_lock(claims / f"{run.name}.lock", "process"):
                        if self.outcome(run) is None:
                            claimed = True
                            done(run, self._run(run, should_stop))
                except LockedError:
                    continue
            left = [run for run in left if self.outcome(run) is None]
            if left and not claimed:
                if not wait:
                    return
                time.sleep(POLL_SECONDS)

    def _run(self, run: Combination, should_stop: Callable[[], bool]) -> Outcome:
        outcome = self._train(run, should_stop)
        values = {**vars(outcome), "identity": self._identities[run.name]}
        write_json(self.folder(run) / RESULT, values)
        return outcome

    def _train(self, run: Combination, should_stop: Callable[[], bool]) -> Outcome:
        config, folder = run.config, RunFolder(self.folder(run))
        try:
            if not _is_complete(folder, config):
                # The result of a shorter run must not be mistaken for the end of this one.
                folder.summary.unlink(missing_ok=True)
                dataset = self._bench.pictures(config.data, config.data.held_out).dataset
                result = run_training(config, out=folder.path, resume="auto", should_stop=should_stop, dataset=dataset)
                if result.interrupted:
                    raise StoppedError("stopped")
            metrics = self._bench.measure(load_filler(folder.model))
        except (StoppedError, LockedError, RunError):
            raise  # says nothing about the combination: a full disk, for example
        except (RuntimeError, ValueError, ArithmeticError) as error:
            # If a combination fails for any reason, the others are still useful.
            folder.path.mkdir(parents=True, exist_ok=True)
            return Outcome("failed", config.steps, {}, " ".join(str(error).split()) or type(error).__name__)
        summary = json.loads(folder.summary.read_text(encoding="utf-8"))
        return Outcome(
            "done", config.steps, metrics, "", summary["best_step"], summary["parameters"], summary["seconds"]
        )


def _is_complete(folder: RunFolder, config: TrainConfig) -> bool:
    """Whether the training has ended, possibly by early stopping."""
    try:
        summary = json.loads(folder.summary.read_text(encoding="utf-8"))
        wanted = load_recipe(folder.config).steps == config.steps
        return wanted and not summary["interrupted"] and folder.model.is_file()
    except (OSError, ValueError, LookupError, TypeError):
        return False


def _read_result(folder: Path) -> dict[str, Any] | None:
    try:
        values = json.loads((folder / RESULT).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        values = None
    if not isinstance(values, Mapping) or not {"identity", "steps", "outcome", "metrics"} <= set(values):
        raise ConfigError(f"{folder / RESULT}: not a result of a sweep; move it, or choose another `out`")
    return dict(values)
