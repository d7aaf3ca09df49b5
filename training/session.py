"""A whole training, from a configuration and a folder to a model: what commands and nodes call."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import ValidationError
from torch import Tensor

from inpaint_core.checkpoints import load_model, save_model
from inpaint_core.model_card import ModelCard
from inpaint_core.models.architecture import Network
from inpaint_core.models.registry import build_model, describe, find_architecture

from .callbacks.loss_plot import LossPlot
from .callbacks.metrics_log import MetricsLog, read_losses
from .callbacks.sample_sheets import SampleSheets
from .config import ConfigError, TrainConfig
from .data import load_dataset
from .events import Callback, CheckpointSaved, Event, Finished, Message, Preview, Scanning, Started, Validated
from .lock import hold_lock
from .loop import Clock, train
from .measurement import fixed_batches, holes, input_settings, measure, measure_baselines, translates
from .objectives import build_objective
from .objectives.objective import Model, Objective
from .placement import Placement, choose_device
from .randomness import torch_generator
from .run_folder import Resume, check_writable, choose_folder, identity, write_config, write_json
from .samples import Batch, Samples, prefetch
from .state import save_state


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
        What `training.measurement.measure_baselines` says of the same crops; empty when the run was interrupted.
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
        See `training.run_folder.Resume`.
    callbacks
        Called with every event of `training.events`, in the calling thread, after the run folder's own writers.
    should_stop
        Asked before every step; when true the state is saved and what was learnt is returned.

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
    OSError
        The state or the model could not be written at the end.
    BaseException
        Whatever a callback raises, after the state was saved.
    """
    with torch.inference_mode(False), torch.enable_grad():
        return _Session(config, out, resume, callbacks, should_stop).run()


class _Session:
    """One training; the loop's `Keeper`."""

    def __init__(
        self,
        config: TrainConfig,
        out: Path,
        resume: Resume,
        callbacks: Sequence[Callback],
        should_stop: Callable[[], bool],
    ) -> None:
        self._config = config
        self._callbacks = list(callbacks)
        self._should_stop = should_stop
        check_writable(out)
        self._placement = Placement(choose_device(config.device))
        arguments, network, initial = _build_network(config)
        self._dataset = load_dataset(config.data, self._scanned)
        self._identity = identity(config, arguments)
        self._folder = choose_folder(out, resume, config, self._identity, self._dataset.fingerprint)
        self._run = self._folder.identifier
        card = self._make_card(arguments, initial)
        self._objective: Objective = build_objective(config, card, network, self._placement)
        self._measured, self._shown = fixed_batches(self._dataset, config, self._placement.device)
        self._sheet = torch.zeros(3, 0, 0)
        self._progress: dict[str, Any] = {"samples": 0, "best": None, "stale": 0}
        self._saved_step = -1
        self._clock = Clock()

    def run(self) -> TrainResult:
        folder = self._folder
        folder.make()
        with hold_lock(folder.lock), ExitStack() as stack:
            start = self._restore()
            write_config(folder, self._config)
            write_json(folder.report, self._dataset.report())
            log = MetricsLog(folder.metrics, start)
            stack.callback(log.close)
            plot = LossPlot(folder.loss_plot, folder.metrics)
            self._callbacks = [log, plot, SampleSheets(folder.samples), *self._callbacks]
            self._announce(start)
            step, interrupted = self._train(start)
            if step != self._saved_step:
                self.save(step)
            self._keep_model(step)
            if self._sheet.numel() == 0:
                self.preview(step)
            return self._conclude(step, interrupted)

    def emit(self, event: Event) -> None:
        """Tell all callbacks, in order."""
        for callback in self._callbacks:
            callback(event)

    def preview(self, step: int) -> None:
        """Make a contact sheet."""
        rows = self._objective.preview(self._shown).float().cpu()
        count, columns, channels, height, width = rows.shape
        self._sheet = rows.permute(2, 0, 3, 1, 4).reshape(channels, count * height, columns * width).clamp(0.0, 1.0)
        self.emit(Preview(step, self._sheet, self._objective.columns))

    def validate(self, step: int) -> bool:
        """Measure on the held-out pictures and keep the model when it is the best so far."""
        if not self._measured:
            return False
        metrics = measure(self._objective, self._measured)
        score = next(iter(metrics.values()))
        best = self._progress["best"]
        warning = self._objective.warning(metrics)
        better = best is None or (warning is None if self._objective.keeps_latest else score > best)
        if better:
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
        """Write a state for resuming."""
        values = {
            "run": self._run,
            "identity": self._identity,
            "fingerprint": self._dataset.fingerprint,
            "progress": self._progress,
            "objective": self._objective.state_dict(),
        }
        path = save_state(self._folder.states, step, values, self._run)
        self._saved_step = step
        self.emit(CheckpointSaved(step, path, "state"))

    def _scanned(self, done: int, total: int) -> None:
        if self._should_stop():
            raise StoppedError("stopped while the pictures were being looked at; nothing was written")
        self.emit(Scanning(done, total))

    def _make_card(self, arguments: dict[str, Any], initial: Model | None) -> ModelCard:
        config, dataset = self._config, self._dataset
        task: Literal["inpainting", "translation"] = "translation" if translates(config) else "inpainting"
        if initial is not None:
            fill, value_range = initial.card.fill, initial.card.value_range
        else:
            fill = dataset.mean if config.model.fill == "mean" else (0.5, 0.5, 0.5)
            value_range = "signed" if task == "translation" else "unit"
        return ModelCard(
            architecture=config.model.architecture,
            arguments=arguments,
            task=task,
            value_range=value_range,
            fill=fill,
            prepare=input_settings(config, dataset),
            trained_size=config.data.size,
            name=config.name,
            data=f"{len(dataset.train)} pictures of {Path(dataset.folder).name}",
            licence=config.licence,
        )

    def _restore(self) -> int:
        state = self._folder.state
        if state is None:
            return 0
        self._objective.load_state_dict(state.values["objective"])
        self._progress = dict(state.values["progress"])
        self._saved_step = state.step if self._folder.resumed_here else -1
        return state.step

    def _announce(self, start: int) -> None:
        if self._folder.remark:
            rate = self._objective.learning_rate(start)
            more = f", learning rate {rate:.3g}" if start else ""
            self.emit(Message(self._folder.remark + more))
        for sentence in self._dataset.remarks():
            self.emit(Message(sentence, "warning"))
        device = str(self._placement.device)
        self.emit(Started(start, self._config.steps, len(self._dataset.train), len(self._dataset.held_out), device))

    def _train(self, start: int) -> tuple[int, bool]:
        config, placement = self._config, self._placement
        if start >= config.steps:
            self.emit(Message(f"all {config.steps} steps are already done; ask for more with --steps"))
            return start, False
        samples = Samples(self._dataset.train, config.data, holes(config), seed=config.seed, device=placement.device)
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
        save_model(self._objective.export(step, metrics), self._folder.model)
        self.emit(CheckpointSaved(step, self._folder.model, "model"))

    def _conclude(self, step: int, interrupted: bool) -> TrainResult:
        # Success is only what can be opened again.
        model = load_model(self._folder.model)
        metrics = dict(model.card.metrics)
        baselines: dict[str, float] = {}
        if self._measured and not interrupted:
            baselines = measure_baselines(self._config, self._dataset, self._measured)
        clock = self._clock
        summary = {
            "name": self._config.name,
            "run": self._run,
            "steps": step,
            "interrupted": interrupted,
            "best_step": model.card.steps,
            "metrics": metrics,
            "baselines": baselines,
            "pictures": len(self._dataset.train),
            "held_out": len(self._dataset.held_out),
            "left_out": len(self._dataset.left_out),
            "device": str(self._placement.device),
            "parameters": sum(parameter.numel() for parameter in model.network.parameters()),
            "seconds": round(time.perf_counter() - clock.started, 2),
            "images_per_second": round(self._config.batch_size * clock.steps / max(clock.stepping, 1e-9), 2),
            "share_of_time_waiting_for_pictures": round(clock.waiting / max(clock.stepping, 1e-9), 4),
        }
        write_json(self._folder.summary, summary)
        self.emit(Finished(step, interrupted, metrics))
        return TrainResult(
            model,
            read_losses(self._folder.metrics),
            self._sheet,
            self._folder.model,
            step,
            interrupted,
            metrics,
            baselines,
        )


def _build_network(config: TrainConfig) -> tuple[dict[str, Any], Network, Model | None]:
    """The network, freshly initialised or preloaded, with its complete arguments.

    Raises
    ------
    ConfigError
        Unknown architecture, refused arguments, a size that it cannot take, or an `init_from` of another kind.
    """
    model = config.model
    try:
        architecture = find_architecture(model.architecture)
        arguments = architecture.arguments.model_validate(model.arguments).model_dump()
    except ValidationError as error:
        raise ConfigError(f"model.arguments: {model.architecture!r} refuses {describe(error)}") from None
    except ValueError as error:
        raise ConfigError(f"model.architecture: {error}") from None
    network = build_model(model.architecture, generator=torch_generator(config.seed, "weights"), **arguments)
    multiple, minimum = network.multiple, network.minimum
    if config.data.size % multiple or config.data.size < minimum:
        raise ConfigError(
            f"data.size {config.data.size}: {model.architecture!r} needs a multiple of {multiple}, at least {minimum}"
        )
    if model.init_from is None:
        return arguments, network, None
    initial = load_model(Path(model.init_from))
    if (initial.card.architecture, _complete(initial.card)) != (model.architecture, arguments):
        raise ConfigError(
            f"model.init_from: {Path(model.init_from).name} is {initial.card.architecture} "
            f"{dict(initial.card.arguments)}, the configuration says {model.architecture} {arguments}"
        )
    return arguments, initial.network, initial


def _complete(card: ModelCard) -> dict[str, Any]:
    return find_architecture(card.architecture).arguments.model_validate(card.arguments).model_dump()
