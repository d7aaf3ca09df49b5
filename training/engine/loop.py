"""The training loop: feeds batches to an objective and emits events. It prints nothing and is independent of any user
interface."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

import torch

from inpaint_core.inpainting.memory import is_out_of_memory
from inpaint_core.randomness import isolated_randomness

from ..config import TrainConfig
from ..dataset.samples import Batch
from ..errors import CollapsedError, DivergedError, OutOfMemoryError
from ..events import Event, Message, StepDone
from ..objectives.objective import Objective
from ..objectives.optimization import NonFiniteError
from ..placement import Placement
from ..randomness import derive_seed
from .validation import Verdict

RECENT_STEPS = 50
FIRST_PREVIEW = 5  # step after which a first preview shows that the network is learning
SKIPPED_IN_A_ROW = 10
ROLLBACKS = 3


class Keeper(Protocol):
    """Methods that the loop calls between steps."""

    def emit(self, event: Event) -> None:
        """Emit an event; any exception stops the loop."""

    def preview(self, step: int) -> None:
        """Make a preview."""

    def validate(self, step: int) -> Verdict:
        """Validate on the held-out pictures, and decide how training continues."""

    def save(self, step: int) -> None:
        """Write a state for resuming."""

    def skipped(self, step: int, batch: Batch, reason: str) -> None:
        """Record a batch that was skipped because training on it failed."""

    def roll_back(self) -> int:
        """Return to the newest saved state; returns its step."""


@dataclass
class Clock:
    """Duration of steps, and of waiting for data."""

    recent: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT_STEPS))
    started: float = field(default_factory=time.perf_counter)
    steps: int = 0
    stepping: float = 0.0
    waiting: float = 0.0

    def add(self, waited: float, stepped: float) -> None:
        """Count one step."""
        self.steps += 1
        self.waiting += waited
        self.stepping += waited + stepped
        self.recent.append(waited + stepped)

    def images_per_second(self, images: int) -> float:
        """Images per second over the latest steps, excluding previews and validation."""
        return images * len(self.recent) / max(sum(self.recent), 1e-9)

    def report(self, images: int) -> dict[str, float]:
        """Figures for the summary, given `images` per step."""
        stepping = max(self.stepping, 1e-9)
        return {
            "seconds": round(time.perf_counter() - self.started, 2),
            "images_per_second": round(images * self.steps / stepping, 2),
            "share_of_time_waiting_for_pictures": round(self.waiting / stepping, 4),
        }

    def seconds_left(self, steps: int) -> float:
        """Estimated seconds for `steps` more steps, including previews and validation."""
        return (time.perf_counter() - self.started) / max(self.steps, 1) * steps


def train(
    objective: Objective,
    batches: Iterator[Batch],
    config: TrainConfig,
    placement: Placement,
    *,
    start: int,
    keeper: Keeper,
    should_stop: Callable[[], bool],
    clock: Clock,
) -> tuple[int, bool]:
    """Run steps until the configured number is done or a stop is requested.

    Parameters
    ----------
    start
        Steps already done.
    keeper
        Notified of every step, and called to save, preview and validate.
    should_stop
        Called before every step; stop if it returns true.

    Returns
    -------
    tuple of int and bool
        Steps done, and whether a stop was requested. The caller saves.

    Raises
    ------
    BaseException
        Any exception raised by a callback, after saving the state of the finished step.
    """
    step, parts, skipped, rollbacks = start, config.accumulate, 0, 0
    images = config.batch_size * placement.processes
    finished = False
    # Between steps the networks are consistent, so they can be saved after any exception of a callback.
    whole = True
    try:
        while step < config.steps and not finished:
            if placement.any(should_stop()):
                return step, True
            asked = time.perf_counter()
            batch = next(batches)
            given = time.perf_counter()
            whole = False
            try:
                parts, losses = _learn(objective, batch, parts, step, config, placement, keeper)
                whole = True
            except CollapsedError:
                whole = True
                raise
            except NonFiniteError as error:
                whole = True
                keeper.skipped(step, batch, str(error))
                skipped += 1
                if skipped == SKIPPED_IN_A_ROW:
                    if rollbacks == ROLLBACKS:
                        raise DivergedError(
                            f"stopped at step {step}: {error}, even after returning to an earlier state {ROLLBACKS} "
                            "times; lower `optimizer.learning_rate`, or set a smaller `optimizer.clip_norm`"
                        ) from None
                    step, skipped, rollbacks = keeper.roll_back(), 0, rollbacks + 1
                continue
            skipped = 0
            clock.add(given - asked, time.perf_counter() - given)
            rate = objective.learning_rate(step)
            step += 1
            for message in objective.messages:
                keeper.emit(Message(message))
            objective.messages.clear()
            left = clock.seconds_left(config.steps - step)
            keeper.emit(StepDone(step, config.steps, losses, rate, clock.images_per_second(images), left))
            last = step == config.steps
            if is_due(step, config.preview_every, config.steps) or step == FIRST_PREVIEW:
                keeper.preview(step)
            if is_due(step, config.validation.every, config.steps):
                verdict = agree(keeper.validate(step), placement)
                if verdict is Verdict.INTERRUPTED:
                    return step, True
                finished = verdict is Verdict.STOP
            if not last and step % config.checkpoint_every == 0:
                keeper.save(step)
    except BaseException:
        if whole:
            keeper.save(step)
            # The other processes are waiting for the decision whether to continue.
            if step < config.steps:
                placement.any(True)
        raise
    return step, False


def is_due(step: int, every: int, steps: int) -> bool:
    """Whether something done at an interval of steps, and after the last one, is due after this step."""
    return step > 0 and (step == steps or step % every == 0)


def agree(verdict: Verdict, placement: Placement) -> Verdict:
    """The first process validates, and all use its result."""
    for decisive in (Verdict.INTERRUPTED, Verdict.STOP):
        if placement.any(verdict is decisive):
            return decisive
    return Verdict.CONTINUE


def _learn(
    objective: Objective,
    batch: Batch,
    parts: int,
    step: int,
    config: TrainConfig,
    placement: Placement,
    keeper: Keeper,
) -> tuple[int, dict[str, float]]:
    """One step, in as many parts as memory requires; returns the number of parts and the losses."""
    while True:
        try:
            with isolated_randomness(derive_seed(config.seed, "layers", step, placement.rank), placement.device):
                return parts, objective.step(batch.split(parts), step)
        except RuntimeError as error:
            if not is_out_of_memory(error) or placement.processes > 1:
                raise
            reason = str(error).splitlines()[0]
        # Outside the exception handler, which keeps the failed step's tensors alive.
        if parts >= len(batch):
            raise OutOfMemoryError(
                f"even a single picture does not fit in memory at `data.size` {config.data.size} ({reason}); choose a "
                "smaller `data.size` or a smaller network"
            )
        if placement.device.type == "cuda":
            torch.cuda.empty_cache()
        parts = min(2 * parts, len(batch))
        keeper.emit(
            Message(f"out of memory at step {step}: from now on each batch is processed in {parts} parts", "warning")
        )
