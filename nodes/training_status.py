"""Status of a training run on its node."""

from __future__ import annotations

import logging
import time

from comfy_api.v0_0_2 import io

from inpaint_core.text import MAX_MESSAGE_LENGTH, one_line

from ..training.errors import with_named_fields
from ..training.events import Event, Finished, Message, Preview, Scanning, Started, StepDone
from . import host, shown

logger = logging.getLogger("liminal")

SECONDS = 0.5  # between two updates of the text
WIDGETS = {
    "optimizer.learning_rate": "learning_rate",
    "optimizer.name": "optimizer",
    "data.recursive": "subfolders",
    "data.folder": "folder",
    "data.size": "size",
    "out": "run_name",
    "name": "run_name",
}
"""Widgets whose names differ from the configuration field they set."""


def widget(field: str) -> str:
    """The node's name for a configuration field."""
    return WIDGETS.get(field, field)


class TrainingStatus:
    """Shows the progress of training on the node: bar, sample pictures and a few lines of text.

    Parameters
    ----------
    node
        The node.
    steps
        Total steps.
    notes
        Messages that stay below the others.
    """

    def __init__(self, node: type[io.ComfyNode], steps: int, notes: list[str]) -> None:
        self.progress = host.Progress(steps)
        self._node = node
        self._notes = notes
        self._run, self._start, self._done = "", 0, 0
        self._said = float("-inf")

    def __call__(self, event: Event) -> None:
        from ..training.callbacks.sample_sheets import labeled

        if isinstance(event, Scanning):
            self._say(f"scanning picture {event.done} of {event.total}", now=False)
        elif isinstance(event, Started):
            self._run, self._start = event.run, event.step
            self._say(self._beginning() or f"{event.run}: {event.pictures} pictures, {event.steps} steps")
        elif isinstance(event, StepDone):
            self._done = event.step
            self.progress.update(self._done)
            self._say(self._beginning(), status(event), now=False)
        elif isinstance(event, Preview):
            self.progress.update(self._done, labeled(event))
        elif isinstance(event, Message):
            sentence = one_line(with_named_fields(event.text, widget), MAX_MESSAGE_LENGTH)
            logger.log(logging.WARNING if event.level == "warning" else logging.INFO, sentence)
            if event.level == "warning":
                self._notes.append(sentence)
        elif isinstance(event, Finished):
            self._say(self._ending(event))

    def stopped(self) -> None:
        """Report that nothing was saved."""
        self._say("stopped before the first step: nothing was saved")

    def _beginning(self) -> str:
        return f"resumed {self._run} at step {self._start}" if self._start else ""

    def _ending(self, event: Finished) -> str:
        if event.interrupted:
            return f"saved {self._run} at step {event.step} of {self.progress.total}; the next run resumes from there"
        if event.step == self._start:
            return (
                f"all {event.step} steps of {self._run} were already done; to train further, increase steps, choose "
                "another run_name, or set resume to never"
            )
        return f"{self._run}: {event.step} steps done"

    def _say(self, *sentences: str, now: bool = True) -> None:
        if now or time.monotonic() - self._said >= SECONDS:
            self._said = time.monotonic()
            shown.say(self._node, *sentences, *self._notes)


def status(event: StepDone) -> str:
    """The progress of training in one line."""
    loss = event.losses.get("loss")
    parts = [f"step {event.step} of {event.steps}", "" if loss is None else f"loss {loss:.4g}"]
    if event.step < event.steps:
        parts.append(f"{duration(event.seconds_left)} left")
    return ", ".join(part for part in parts if part)


def duration(seconds: float) -> str:
    """`45 s`, `12 min`, `3 h 20 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
