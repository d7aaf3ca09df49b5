"""Callbacks that may fail without stopping the training."""

from __future__ import annotations

from collections.abc import Callable

from ..events import Callback, Event, Message


class Guarded:
    """Forwards events. The first failure of the given types is reported in a message, and the callback is disabled.

    Parameters
    ----------
    callback
        The callback.
    name
        Its name in the message.
    failures
        Exceptions to catch; others propagate.
    report
        Called with the message.
    """

    def __init__(
        self,
        callback: Callback,
        name: str,
        failures: tuple[type[Exception], ...],
        report: Callable[[Message], None],
    ) -> None:
        self._callback = callback
        self._name = name
        self._failures = failures
        self._report = report
        self._failed = False

    def __call__(self, event: Event) -> None:
        if self._failed:
            return
        try:
            self._callback(event)
        except self._failures as error:
            self._failed = True
            self._report(Message(f"{self._name} failed and is disabled from here on ({error})", "warning"))
