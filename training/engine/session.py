"""A complete training run, from a configuration and a folder to a model; called by commands and nodes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from inpaint_core.checkpoints.files import load_model
from inpaint_core.checkpoints.inpainting_model import InpaintingModel

from ..callbacks.metrics_log import read_losses
from ..config import TrainConfig
from ..dataset.samples import Batch, Samples, prefetch
from ..dataset.scan import Dataset, load_dataset
from ..dataset.single_picture import read_single_picture, repair, single_picture
from ..events import Callback, Event, Finished, Message, Preview, Scanning, Started
from ..objectives import build_objective, objective_class
from ..objectives.objective import Model, Objective
from ..placement import place
from ..runs.folder import Resume, check_outside, check_writable, identity, write_config, write_json
from ..runs.lock import hold_lock
from .loop import Clock, agree, is_due, train
from .measurement import fixed_batches, holes, measure
from .model_file import ModelFile
from .network import build_network, check_cost, ignored_settings, make_card
from .outcome import StoppedError, TrainResult, write_summary
from .placing import choose_together
from .progress import Progress
from .states import States
from .validation import Validator, Verdict
from .watchers import Watchers

__all__ = ["StoppedError", "TrainResult", "run_training"]


def run_training(
    config: TrainConfig,
    *,
    out: Path,
    resume: Resume = "auto",
    callbacks: Sequence[Callback] = (),
    should_stop: Callable[[], bool] = lambda: False,
    picture: tuple[Tensor, Tensor] | None = None,
    dataset: Dataset | None = None,
    report: Callable[[TrainResult], None] = lambda result: None,
) -> TrainResult:
    """Train, and write everything to a run folder.

    May be called under `torch.inference_mode()`. The global random states of Python, numpy and torch are not changed.

    Parameters
    ----------
    config
        The configuration.
    out
        The run folder; with `resume` "unfinished" and "none" a numbered sibling may be used instead.
    resume
        See `training.runs.folder.Resume`.
    callbacks
        Called with every event of `training.events`, in the calling thread, after the run folder's own logs.
    should_stop
        Called before every step; if it returns true, the state is saved and the best model so far is returned.
    picture
        Train on this picture instead of a folder: image `[1,3,H,W]` in 0..1 and mask `[1,1,H,W]`, 1 = to be repaired,
        which is never used in training. For objective reconstruction.
    dataset
        Pictures that have already been scanned and split, instead of a folder.
    report
        Called with the result before the run counts as complete: if the process is killed before that, the same call
        resumes the run.

    Returns
    -------
    TrainResult
        The result, with the best model so far.

    Raises
    ------
    ConfigError, DatasetError, RunError, LockedError, CheckpointError
        All are ValueErrors with a one-line message: nothing has been trained, and no partial files are left.
    StoppedError
        Stopped before the first step of a new run.
    TrainingError
        Losses stay non-finite, a discriminator stays too strong, or memory is insufficient; the state is saved.
    OSError
        The state or the model could not be written at the end.
    BaseException
        Any exception raised by a callback, after saving the state.
    """
    with torch.inference_mode(False), torch.enable_grad():
        data = config.data
        if picture is not None:
            dataset = single_picture(*picture, data)
        elif data.picture is not None and data.picture_mask is not None:
            dataset = read_single_picture(Path(data.picture), Path(data.picture_mask), data)
        return _Session(config, out, resume, callbacks, should_stop, dataset).run(report)


class _Session:
    """One training run; the loop's `Keeper`. Of several processes, only the first one writes files."""

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
        self._watchers = Watchers(callbacks if self._placement.first else ())
        self._should_stop = should_stop
        check_writable(out)
        if config.data.folder is not None:
            check_outside(out, Path(config.data.folder), config.data.recursive)
        arguments, network, initial = build_network(config)
        self._dataset = dataset or load_dataset(config.data, self._scanned, config.seed)
        masks = holes(config)
        self._bad_masks = [] if masks is None else masks.check_files()
        kind, fingerprint = identity(config, arguments), self._dataset.fingerprint
        self._folder, self._concluded = choose_together(self._placement, out, resume, config, kind, fingerprint)
        state = self._folder.state
        card = make_card(config, arguments, self._dataset, initial, None if state is None else state.values["card"])
        check_cost(card, network)
        self._ignored = ignored_settings(config, card)
        self._objective: Objective = build_objective(config, card, network, self._placement)
        self._measured, self._shown = fixed_batches(self._dataset, config, self._placement.device)
        self._sheet = torch.zeros(3, 0, 0)
        self._progress = Progress()
        self._model = ModelFile(self._folder.model)
        self._validator = Validator(
            self._objective,
            self._progress,
            self._model,
            config.validation.patience,
            lambda: measure(self._objective, self._measured, self._should_stop),
            self.emit,
        )
        facts = {"run": self._folder.run, "identity": kind, "fingerprint": fingerprint, "card": card.model_dump_json()}
        self._states = States(
            self._folder, self._objective, self._progress, self._model, facts, self._watchers.unwritten, self.emit
        )
        self._failures: Mapping[str, str] = {}
        self._clock = Clock()

    def run(self, report: Callable[[TrainResult], None]) -> TrainResult:
        """Train from the run folder's state."""
        if not self._placement.first:
            return self._help()
        folder = self._folder
        folder.make()
        with hold_lock(folder.lock), ExitStack() as stack:
            start, unwritten = self._restore()
            write_config(folder, self._config)
            write_json(folder.report, self._dataset.report())
            self._watchers.open_logs(folder, self._config, start, unwritten, stack)
            self._placement.wait()
            self._announce(start)
            if start == 0:
                self.save(0)
            step, interrupted = self._train(start)
            result = self._conclude(step, interrupted)
            self._placement.wait()
            report(result)
            return result

    def _help(self) -> TrainResult:
        """Run the work of all processes except the first."""
        start, _ = self._restore()
        self._placement.wait()
        step, interrupted = self._train(start)
        self._placement.wait()
        model = load_model(self._folder.model)
        return self._result(model, step, interrupted, {})

    def emit(self, event: Event) -> None:
        """Notify all callbacks, in order."""
        self._watchers.emit(event)

    def preview(self, step: int) -> None:
        """Make a contact sheet."""
        if not self._placement.first:
            return
        self._draw_sheet()
        self._progress.shown = step
        self.emit(Preview(step, self._sheet, self._objective.columns))

    def validate(self, step: int) -> Verdict:
        """Validate on the held-out pictures and keep the model if it is the best so far."""
        if not self._measured or not self._placement.first:
            return Verdict.CONTINUE
        return self._validator.validate(step)

    def save(self, step: int) -> None:
        """Write a state for resuming."""
        if self._placement.first:
            self._states.save(step)

    def skipped(self, step: int, batch: Batch, reason: str) -> None:
        """Report a skipped batch and its pictures."""
        self._progress.skipped += 1
        files = ", ".join(sorted(set(batch.files)))
        self.emit(Message(f"step {step} skipped: {reason}; pictures: {files}", "warning"))

    def roll_back(self) -> int:
        """Return to the newest saved state; returns its step."""
        return self._states.roll_back()

    def _scanned(self, done: int, total: int) -> None:
        if self._should_stop():
            raise StoppedError("stopped while the pictures were being scanned; nothing was written")
        self.emit(Scanning(done, total))

    def _restore(self) -> tuple[int, Mapping[str, Any]]:
        """Steps already done, and what the logs had not written by then."""
        state = self._folder.state
        if state is None:
            return 0, {}
        self._objective.load_state_dict(state.values["objective"])
        self._progress.restore(state.values["progress"])
        if not self._folder.resumed_here:
            return state.step, {}
        self._states.saved = state.step
        return state.step, state.values.get("unwritten", {})

    def _announce(self, start: int) -> None:
        if self._folder.message:
            rate = self._objective.learning_rate(start)
            more = f", learning rate {rate:.3g}" if start else ""
            self.emit(Message(self._folder.message + more))
        for sentence in (*self._dataset.messages(), *self._bad_masks, *self._ignored):
            self.emit(Message(sentence, "warning"))
        device = str(self._placement.device)
        train, held_out = len(self._dataset.train), len(self._dataset.held_out)
        self.emit(Started(start, self._config.steps, train, held_out, device, self._folder.path.name))

    def _train(self, start: int) -> tuple[int, bool]:
        """Train from the steps already done to the end, or until stopped."""
        config, placement, progress = self._config, self._placement, self._progress
        # Finish what a stop interrupted, so that the run ends as it would have without the stop.
        if is_due(start, config.preview_every, config.steps) and progress.shown < start:
            self.preview(start)
        if is_due(start, config.validation.every, config.steps) and progress.looked < start:
            verdict = agree(self.validate(start), placement)
            if verdict is not Verdict.CONTINUE:
                return start, verdict is Verdict.INTERRUPTED
        if start >= config.steps or (progress.exhausted(config.validation.patience) and not self._concluded):
            if self._concluded:
                self.emit(Message(f"all {config.steps} steps are already done; to train longer, increase `steps`"))
            return start, False
        samples = Samples(self._dataset.train, config.data, holes(config), seed=config.seed, device=placement.device)
        self._failures = samples.failures
        per_step = config.batch_size * placement.processes
        offset = config.batch_size * placement.rank
        with prefetch(samples, progress.samples, per_step, offset, config.batch_size) as batches:
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
            self._progress.samples += per_step
            yield batch

    def _draw_sheet(self) -> None:
        rows = self._objective.preview(self._shown).float().cpu()
        count, columns, channels, height, width = rows.shape
        self._sheet = rows.permute(2, 0, 3, 1, 4).reshape(channels, count * height, columns * width).clamp(0.0, 1.0)

    def _conclude(self, step: int, interrupted: bool) -> TrainResult:
        """Write everything to disk, the summary last, because it marks the run as complete."""
        if self._progress.best is None or not self._model.exists:
            # If nothing is held out, the latest model is kept.
            self.emit(self._model.write(step, self._objective.export(step, {})))
        self._states.finish(step)
        if self._sheet.numel() == 0:
            self._draw_sheet()
        # Only a model that can be loaded again counts as a success.
        model = load_model(self._folder.model)
        config, placement = self._config, self._placement
        baselines: dict[str, float] = {}
        if not interrupted:
            if self._measured:
                baselines = objective_class(config).baselines(config, self._dataset, self._measured)
            if config.data.picture is not None and config.data.picture_mask is not None:
                self._repair(model, Path(config.data.picture), Path(config.data.picture_mask))
        self._watchers.finish()
        figures = {
            "pictures": len(self._dataset.train),
            "held_out": len(self._dataset.held_out),
            "left_out": len(self._dataset.left_out),
            "failed_while_training": dict(self._failures),
            "skipped_steps": self._progress.skipped,
            "device": str(placement.device),
            "processes": placement.processes,
            **self._clock.report(config.batch_size * placement.processes),
        }
        write_summary(self._folder, config.name, step, interrupted, model, baselines, figures)
        self.emit(Finished(step, interrupted, dict(model.card.metrics)))
        return self._result(model, step, interrupted, baselines)

    def _result(self, model: Model, step: int, interrupted: bool, baselines: dict[str, float]) -> TrainResult:
        return TrainResult(
            model,
            read_losses(self._folder.metrics),
            self._sheet,
            self._folder.model,
            step,
            interrupted,
            dict(model.card.metrics),
            baselines,
            objective_class(self._config),
        )

    def _repair(self, model: Model, picture: Path, mask: Path) -> None:
        if isinstance(model, InpaintingModel):
            repair(model, picture, mask, self._folder.filled, self._config.data.max_pixels)
