"""All recipients of events: the run folder's own logs, trackers, and the caller's callbacks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from ..callbacks.guarded import Guarded
from ..callbacks.loss_plot import LossPlot
from ..callbacks.metrics_log import MetricsLog
from ..callbacks.retried import LogWriter, Retried
from ..callbacks.sample_sheets import SampleSheets
from ..callbacks.tensorboard import TensorBoard
from ..callbacks.weights_and_biases import WeightsAndBiases
from ..config import Tracker, TrainConfig
from ..events import Callback, Event, Message
from ..runs.folder import RunFolder


class Watchers:
    """Forwards events, to the run folder's logs first.

    Parameters
    ----------
    callbacks
        The caller's callbacks. Before `open_logs` they are the only recipients.
    """

    def __init__(self, callbacks: Sequence[Callback]) -> None:
        self._given = list(callbacks)
        self._trackers: list[Callback] = []
        self._logs: dict[str, Retried] = {}

    def emit(self, event: Event) -> None:
        """Notify all, in order."""
        watchers: list[Callback] = [*self._logs.values(), *self._trackers, *self._given]
        for watcher in watchers:
            watcher(event)

    def open_logs(
        self, folder: RunFolder, config: TrainConfig, start: int, unwritten: Mapping[str, Any], stack: ExitStack
    ) -> None:
        """Open the run folder's logs and start the trackers.

        Parameters
        ----------
        start
            Steps already done.
        unwritten
            The value of `unwritten` in the state that is resumed.
        stack
            Closes the logs.

        Raises
        ------
        OSError
            The log of steps cannot be written.
        """
        metrics = MetricsLog(folder.metrics, start, unwritten.get("metrics", ()))
        stack.callback(metrics.close)
        writers: dict[str, LogWriter] = {
            "metrics": metrics,
            "plot": LossPlot(folder.loss_plot, folder.metrics),
            "samples": SampleSheets(folder.samples, unwritten.get("samples")),
        }
        paths = {"metrics": folder.metrics, "plot": folder.loss_plot, "samples": folder.samples}
        self._logs = {name: Retried(writer, paths[name].name, self._report) for name, writer in writers.items()}
        for tracker in config.trackers:
            try:
                started = _start(tracker, folder, config, start)
                self._trackers.append(Guarded(started, tracker, (Exception,), self._report))
            except Exception as error:
                # Third-party code, started and called outside of any cancellable code.
                self._report(Message(f"{tracker} is disabled: {error}", "warning"))

    def unwritten(self) -> dict[str, Any]:
        """What the logs have not been able to write, for a state."""
        return {name: log.unwritten() for name, log in self._logs.items()}

    def finish(self) -> None:
        """Make the logs write what is pending.

        Raises
        ------
        OSError
            One of them failed; the others have written everything.
        """
        failures: list[OSError] = []
        for log in self._logs.values():
            try:
                log.writer.finish()
            except OSError as error:
                failures.append(error)
        if failures:
            raise failures[0]

    def _report(self, message: Message) -> None:
        for callback in self._given:
            callback(message)


def _start(tracker: Tracker, folder: RunFolder, config: TrainConfig, start: int) -> Callback:
    match tracker:
        case "tensorboard":
            return TensorBoard(folder.path / "tensorboard", start)
        case "wandb":
            return WeightsAndBiases(folder.path, config, folder.run)
