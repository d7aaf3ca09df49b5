"""Stopping the work of one visitor: a button's click, or a closed window."""

from __future__ import annotations

import threading


class StoppedError(Exception):
    """The visitor stopped the work."""


class Stops:
    """Which visitors' work is running and which should stop. May be used from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[str, threading.Event] = {}

    def begin(self, visitor: str) -> threading.Event:
        """Register the visitor's work; the event is set when it should stop."""
        event = threading.Event()
        with self._lock:
            self._running[visitor] = event
        return event

    def end(self, visitor: str, event: threading.Event) -> None:
        """Forget work that is done."""
        with self._lock:
            if self._running.get(visitor) is event:
                del self._running[visitor]

    def stop(self, visitor: str) -> bool:
        """Ask the visitor's work to stop; whether there was any."""
        with self._lock:
            event = self._running.get(visitor)
        if event is not None:
            event.set()
        return event is not None


def check(event: threading.Event) -> None:
    """Raise if the work should stop.

    Raises
    ------
    StoppedError
        It should.
    """
    if event.is_set():
        raise StoppedError
