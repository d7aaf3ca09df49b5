"""The one loop: batches into an objective, events out. It prints nothing and knows no user interface."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from .config import TrainConfig
from .events import StepDone
from .objectives.objective import Objective
from .placement import Placement
from .randomness import derive_seed, isolated_randomness
from .samples import Batch

RECENT_STEPS = 50


class Keeper(Protocol):
    """What the loop asks to be done between steps."""

    def emit(self, event: StepDone) -> None:
        """Tell those who watch; whatever this raises ends the loop."""

    def preview(self, step: int) -> None:
        """Show what the network does."""

    def validate(self, step: int) -> bool:
        """Look at the held-out pictures; true when the training should stop because nothing gets better."""

    def save(self, step: int) -> None:
        """Write a state for resuming."""


@dataclass
class Clock:
    """How long steps take, and how long they wait for their pictures."""

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
        """Over the latest steps, previews and measurements not counted."""
        return images * len(self.recent) / max(sum(self.recent), 1e-9)

    def seconds_left(self, steps: int) -> float:
        """For `steps` more, previews and measurements counted."""
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
    """Step until the configured number of steps is done or somebody wants to stop.

    Parameters
    ----------
    start
        Steps already done.
    keeper
        Told about every step, asked to save, show and measure.
    should_stop
        Asked before every step.

    Returns
    -------
    tuple of int and bool
        Steps done, and whether the loop was asked to stop. The caller saves.

    Raises
    ------
    BaseException
        Whatever a watcher raises, after the state of the finished step was saved.
    """
    step = start
    images = config.batch_size * placement.processes
    while step < config.steps:
        if should_stop():
            return step, True
        asked = time.perf_counter()
        batch = next(batches)
        given = time.perf_counter()
        with isolated_randomness(derive_seed(config.seed, "layers", step, placement.rank), placement.device):
            losses = objective.step(batch.split(config.accumulate), step)
        clock.add(given - asked, time.perf_counter() - given)
        rate = objective.learning_rate(step)
        step += 1
        # From here to the next step the networks are whole: whatever a watcher raises, they can be saved.
        try:
            left = clock.seconds_left(config.steps - step)
            keeper.emit(StepDone(step, config.steps, losses, rate, clock.images_per_second(images), left))
            last = step == config.steps
            if last or step % config.preview_every == 0:
                keeper.preview(step)
            if (last or step % config.validation.every == 0) and keeper.validate(step):
                return step, False
            if not last and step % config.checkpoint_every == 0:
                keeper.save(step)
        except BaseException:
            keeper.save(step)
            raise
    return step, False
