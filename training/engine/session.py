"""A whole training, from a configuration and a folder to a model: what commands and nodes call."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from inpaint_core.checkpoints.files import load_model, save_model

from ..callbacks.guarded import Guarded
from ..callbacks.loss_plot import LossPlot
from ..callbacks.metrics_log import MetricsLog, read_losses
from ..callbacks.sample_sheets import SampleSheets
from ..callbacks.tensorboard import TensorBoard
from ..callbacks.weights_and_biases import WeightsAndBiases
from ..config import Tracker, TrainConfig
from ..dataset.samples import Batch, Samples, prefetch
from ..dataset.scan import Dataset, load_dataset
from ..dataset.single_picture import read_single_picture, single_picture
from ..errors import DivergedError
from ..events import (
    Callback,
    CheckpointSaved,
    Event,
    Finished,
    Message,
    Preview,
    RolledBack,
    Scanning,
    Started,
    Validated,
)
from ..objectives import build_objective, objective_class
from ..objectives.objective import Model, Objective
from ..placement import place
from ..runs.folder import Resume, RunFolder, check_writable, choose_folder, identity, write_config, write_json
from ..runs.lock import hold_lock
from ..runs.state import load_newest_state, save_state
from .loop import Clock, train
from .measurement import fixed_batches, holes, measure
from .network import build_network, ignored_settings, make_card


class StoppedError(RuntimeError):
    """The training was asked to stop before its first step; nothing was written."""


@dataclass(frozen=True)
class TrainResult:
    """What came out.

    Attributes
    ----------
    model
        The best model so far, read back from `path`.
    losses
        The minimised loss of every step since the run began.
    samples
        The latest contact sheet, float32 `[3,H,W]` in 0..1.
    path
        The model's file; its folder is the run.
    steps
        Steps done in all.
    interrupted
        Stopped on request before the last step; the state is saved.
    metrics
        Measurements of `model` on the held-out pictures.
    baselines
        Scores of methods that need no training, on the same crops; empty when the run was interrupted.
    """

    model: Model
    losses: list[float]
    samples: Tensor
    path: Path
    steps: int
    interrupted: bool
    metrics: dict[str, float]
    baselines: dict[str, float]


def run_training(
    config: TrainConfig,
    *,
    out: Path,
    resume: Resume = "auto",
    callbacks: Sequence[Callback] = (),
    should_stop: Callable[[], bool] = lambda: False,
    picture: tuple[Tensor, Tensor] | None = None,
    dataset: Dataset | None = None,
) -> TrainResult:
    """Train, and write everything into a run folder.

    May be called under `torch.inference_mode()`. The global random state of Python, numpy and torch is left as it is.

    Parameters
    ----------
    config
        What to train on what.
    out
        The run folder; with `resume` "unfinished" and "none" a sibling with a number may be taken instead.
    resume
        See `training.runs.folder.Resume`.
    callbacks
        Called with every event of `training.events`, in the calling thread, after the run folder's own writers.
    should_stop
        Asked before every step; when true the state is saved and what was learnt is returned.
    picture
        Train on this picture instead of a folder: image `[1,3,H,W]` in 0..1 and mask `[1,1,H,W]`, 1 = to be repaired,
        which is never looked at. For objective reconstruction.
    dataset
        Pictures that have been looked at and divided already, instead of a folder.

    Returns
    -------
    TrainResult
        With the best model so far.

    Raises
    ------
    ConfigError, DatasetError, RunError, LockedError, CheckpointError
        All are ValueErrors with one line: nothing has been trained, and nothing half-written is left.
    StoppedError
        Stopped before the first step of a new run.
    TrainingError
        Losses stay non-finite, a discriminator wins for good, or memory does not suffice; the state is saved.
    OSError
        The state or the model could not be written at the end.
    BaseException
        Whatever a callback raises, after the state was saved.
    """
    with torch.inference_mode(False), torch.enable_grad():
        data = config.data
        if picture is not None:
            dataset = single_picture(*picture, data)
        elif data.picture is not None and data.picture_mask is not None:
            dataset = read_single_picture(Path(data.picture), Path(data.picture_mask), data)
        return _Session(config, out, resume, callbacks, should_stop, dataset).run()


class _Session:
    """One training; the loop's `Keeper`. Of several processes the first one writes, the others only compute."""

    def __init__(
        self,
        config: TrainConfig,
        out: Path,
        resume: Resume,
        callbacks: Sequence[Callback],
        should_stop: Callable[[], bool],
        dataset: Dataset | None,
    ) -> None:
        self._config = config
        self._placement = place(config.device)
        self._callbacks = list(callbacks) if self._placement.first else []
        self._should_stop = should_stop
        check_writable(out)
        arguments, network, initial = build_network(config)
        self._dataset = dataset or load_dataset(config.data, self._scanned)
        self._identity = identity(config, arguments)
        self._folder = self._choose_folder(out, resume)
        state = self._folder.state
        saved_card = None if state is None else state.values["card"]
        self._card = make_card(config, arguments, self._dataset, initial, saved_card)
        self._ignored = ignored_settings(config, self._card)
        self._objective: Objective = build_objective(config, self._card, network, self._placement)
        self._measured, self._shown = fixed_batches(self._dataset, config, self._placement.device)
        self._sheet = torch.zeros(3, 0, 0)
        self._progress: dict[str, Any] = {"samples": 0, "best": None, "stale": 0, "skipped": 0, "looked": 0}
        self._saved_step = -1
        self._failed_save: OSError | None = None
        self._samples: Samples | None = None
        self._clock = Clock()

    def run(self) -> TrainResult:
        if not self._placement.first:
            return self._help()
        folder = self._folder
        folder.make()
        with hold_lock(folder.lock), ExitStack() as stack:
            start = self._restore()
            write_config(folder, self._config)
            write_json(folder.report, self._dataset.report())
            self._watch(start, stack)
            self._placement.wait()
            self._announce(start)
            if start == 0:
                self.save(0)
            step, interrupted = self._train(start)
            if step != self._saved_step:
                self.save(step)
            self._keep_model(step)
            if self._failed_save is not None:
                raise self._failed_save
            if self._sheet.numel() == 0:
                self.preview(step)
            result = self._conclude(step, interrupted)
            self._placement.wait()
            return result

    def _help(self) -> TrainResult:
        """What all processes but the first one do."""
        start = self._restore()
        self._placement.wait()
        step, interrupted = self._train(start)
        self._placement.wait()
        model = load_model(self._folder.model)
        metrics = dict(model.card.metrics)
        losses = read_losses(self._folder.metrics)
        return TrainResult(model, losses, self._sheet, self._folder.model, step, interrupted, metrics, {})

    def emit(self, event: Event) -> None:
        """Tell all callbacks, in order."""
        for callback in self._callbacks:
            callback(event)

    def preview(self, step: int) -> None:
        """Make a contact sheet."""
        if not self._placement.first:
            return
        rows = self._objective.preview(self._shown).float().cpu()
        count, columns, channels, height, width = rows.shape
        self._sheet = rows.permute(2, 0, 3, 1, 4).reshape(channels, count * height, columns * width).clamp(0.0, 1.0)
        self.emit(Preview(step, self._sheet, self._objective.columns))

    def validate(self, step: int) -> bool:
        """Measure on the held-out pictures and keep the model when it is the best so far."""
        if not self._measured or not self._placement.first:
            return False
        metrics = measure(self._objective, self._measured, self._should_stop)
        if metrics is None:
            return False
        self._progress["looked"] = step
        score = next(iter(metrics.values()))
        best = self._progress["best"]
        warning = self._objective.warning(metrics)
        better = best is None or (warning is None if self._objective.keeps_latest else score > best)
        if better and math.isfinite(score):
            self._progress |= {"best": score, "stale": 0}
            self._export(step, metrics)
        else:
            self._progress["stale"] += 1
        self.emit(Validated(step, metrics, better))
        if warning is not None:
            self.emit(Message(warning, "warning"))
        patience = self._config.validation.patience
        if patience is None or self._progress["stale"] < patience:
            return False
        self.emit(Message(f"stopped at step {step}: nothing better in {patience} looks at the held-out pictures"))
        return True

    def save(self, step: int) -> None:
        """Write a state for resuming; when the disk is full the earlier ones stay and the training goes on."""
        if not self._placement.first:
            return
        values = {
            "run": self._run,
            "identity": self._identity,
            "fingerprint": self._dataset.fingerprint,
            "card": self._card.model_dump_json(),
            "progress": self._progress,
            "objective": self._objective.state_dict(),
        }
        try:
            path = save_state(self._folder.states, step, values, self._run)
        except OSError as error:
            self._failed_save = error
            self.emit(
                Message(f"the state of step {step} could not be saved ({error}); earlier ones are intact", "warning")
            )
            return
        self._failed_save = None
        self._saved_step = step
        self.emit(CheckpointSaved(step, path, "state"))
        if step > 0 and not self._folder.model.exists():
            self._export(step, {})

    def skipped(self, step: int, batch: Batch, reason: str) -> None:
        """Say that a batch was passed over, and which pictures it was made of."""
        self._progress["skipped"] += 1
        files = ", ".join(sorted(set(batch.files)))
        self.emit(Message(f"step {step} skipped: {reason}; pictures: {files}", "warning"))

    def roll_back(self) -> int:
        """Go back to the newest saved state, but on to other samples."""
        state = load_newest_state(self._folder.states)
        if state is None:
            raise DivergedError("losses are not finite, and no state was saved to go back to; lower the learning rate")
        self._objective.load_state_dict(state.values["objective"])
        kept = {name: self._progress[name] for name in ("samples", "skipped")}
        self._progress = {**state.values["progress"], **kept}
        self.emit(RolledBack(state.step))
        self.emit(Message(f"back to the state of step {state.step}, with other pictures from here on", "warning"))
        return state.step

    @property
    def _run(self) -> str:
        return self._folder.run

    def _choose_folder(self, out: Path, resume: Resume) -> RunFolder:
        fingerprint = self._dataset.fingerprint

        def choose() -> tuple[Path, str, Path | None, str]:
            folder = choose_folder(out, resume, self._config, self._identity, fingerprint)
            return folder.path, folder.run, None if folder.state is None else folder.state.folder, folder.remark

        if self._placement.processes == 1:
            return choose_folder(out, resume, self._config, self._identity, fingerprint)
        path, run, states, remark = self._placement.agree(choose)
        return RunFolder(path, None if states is None else load_newest_state(states), remark, run)

    def _scanned(self, done: int, total: int) -> None:
        if self._should_stop():
            raise StoppedError("stopped while the pictures were being looked at; nothing was written")
        self.emit(Scanning(done, total))

    def _restore(self) -> int:
        state = self._folder.state
        if state is None:
            return 0
        self._objective.load_state_dict(state.values["objective"])
        self._progress |= state.values["progress"]
        self._saved_step = state.step if self._folder.resumed_here else -1
        return state.step

    def _watch(self, start: int, stack: ExitStack) -> None:
        """Put the run folder's own writers and the trackers in front of the callbacks."""
        folder, given = self._folder, self._callbacks

        def report(message: Message) -> None:
            for callback in given:
                callback(message)

        log = MetricsLog(folder.metrics, start)
        stack.callback(log.close)
        own: dict[str, Callback] = {"metrics.jsonl": log, "loss.png": LossPlot(folder.loss_plot, folder.metrics)}
        own |= {"samples": SampleSheets(folder.samples)}
        watchers = [Guarded(callback, name, (OSError,), report) for name, callback in own.items()]
        for tracker in self._config.trackers:
            try:
                watchers.append(Guarded(self._start(tracker, start), tracker, (Exception,), report))
            except Exception as error:
                # Third-party code, started and called outside anything that could be cancelled.
                report(Message(f"{tracker} is left out: {error}", "warning"))
        self._callbacks = [*watchers, *given]

    def _start(self, tracker: Tracker, start: int) -> Callback:
        match tracker:
            case "tensorboard":
                return TensorBoard(self._folder.path / "tensorboard", start)
            case "wandb":
                return WeightsAndBiases(self._folder.path, self._config, self._run)

    def _announce(self, start: int) -> None:
        if self._folder.remark:
            rate = self._objective.learning_rate(start)
            more = f", learning rate {rate:.3g}" if start else ""
            self.emit(Message(self._folder.remark + more))
        for sentence in (*self._dataset.remarks(), *self._ignored):
            self.emit(Message(sentence, "warning"))
        device = str(self._placement.device)
        self.emit(Started(start, self._config.steps, len(self._dataset.train), len(self._dataset.held_out), device))

    def _train(self, start: int) -> tuple[int, bool]:
        config, placement = self._config, self._placement
        if start >= config.steps:
            self.emit(Message(f"all {config.steps} steps are already done; to train longer, raise `steps`"))
            return start, False
        # What a stop has cut short is made up for, or the best model would be another one than without the stop.
        missed = start % config.validation.every == 0 and self._progress["looked"] < start
        if missed and placement.any(self.validate(start)):
            return start, False
        samples = Samples(self._dataset.train, config.data, holes(config), seed=config.seed, device=placement.device)
        self._samples = samples
        per_step = config.batch_size * placement.processes
        offset = config.batch_size * placement.rank
        with prefetch(samples, self._progress["samples"], per_step, offset, config.batch_size) as batches:
            return train(
                self._objective,
                self._counted(batches, per_step),
                config,
                placement,
                start=start,
                keeper=self,
                should_stop=self._should_stop,
                clock=self._clock,
            )

    def _counted(self, batches: Iterator[Batch], per_step: int) -> Iterator[Batch]:
        for batch in batches:
            self._progress["samples"] += per_step
            yield batch

    def _keep_model(self, step: int) -> None:
        """With nothing held out the latest model is the one to keep."""
        if not self._measured or not self._folder.model.exists():
            self._export(step, {})

    def _export(self, step: int, metrics: dict[str, float]) -> None:
        try:
            save_model(self._objective.export(step, metrics), self._folder.model)
        except OSError as error:
            self._failed_save = error
            self.emit(Message(f"the model of step {step} could not be saved ({error})", "warning"))
            return
        self.emit(CheckpointSaved(step, self._folder.model, "model"))

    def _conclude(self, step: int, interrupted: bool) -> TrainResult:
        # Success is only what can be opened again.
        model = load_model(self._folder.model)
        metrics = dict(model.card.metrics)
        baselines: dict[str, float] = {}
        if self._measured and not interrupted:
            baselines = objective_class(self._config).baselines(self._config, self._dataset, self._measured)
        clock, dataset = self._clock, self._dataset
        summary = {
            "name": self._config.name,
            "run": self._run,
            "steps": step,
            "interrupted": interrupted,
            "best_step": model.card.steps,
            "metrics": metrics,
            "baselines": baselines,
            "pictures": len(dataset.train),
            "held_out": len(dataset.held_out),
            "left_out": len(dataset.left_out),
            "failed_while_training": {} if self._samples is None else self._samples.failures,
            "skipped_steps": self._progress["skipped"],
            "device": str(self._placement.device),
            "processes": self._placement.processes,
            "parameters": sum(parameter.numel() for parameter in model.network.parameters()),
            **clock.report(self._config.batch_size * self._placement.processes),
        }
        write_json(self._folder.summary, summary)
        self.emit(Finished(step, interrupted, metrics))
        losses = read_losses(self._folder.metrics)
        return TrainResult(model, losses, self._sheet, self._folder.model, step, interrupted, metrics, baselines)
