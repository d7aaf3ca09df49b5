"""The run folder's own logs, whose failed writes are retried later."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from inpaint_core.files.atomic import unwritten

from ..events import Event, Message


class LogWriter(Protocol):
    """A log in the run folder that keeps what it could not write."""

    def __call__(self, event: Event) -> None:
        """Record an event and write what is pending; raises OSError if that fails."""

    def finish(self) -> None:
        """Write everything that is still pending.

        Raises
        ------
        OSError
            It cannot be written.
        """

    def unwritten(self) -> Any:
        """The pending data, to be saved in a state: numbers, strings, and lists and mappings of these."""


class Retried:
    """Forwards events to a log; a failure is reported once, and the log retries by itself.

    Parameters
    ----------
    writer
        The log.
    name
        Its name in the message.
    report
        Called with the message.
    """

    def __init__(self, writer: LogWriter, name: str, report: Callable[[Message], None]) -> None:
        self.writer = writer
        self._name = name
        self._report = report
        self._reported = False

    def __call__(self, event: Event) -> None:
        self._try(lambda: self.writer(event))

    def unwritten(self) -> Any:
        """See `LogWriter.unwritten`, after another try."""
        if self.writer.unwritten():
            self._try(self.writer.finish)
        return self.writer.unwritten()

    def _try(self, write: Callable[[], None]) -> None:
        try:
            write()
        except OSError as error:
            if not self._reported:
                self._reported = True
                self._report(
                    Message(f"{self._name} could not be written ({unwritten(error)}); it will be retried", "warning")
                )
