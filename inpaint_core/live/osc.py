"""Remote control by OSC (Open Sound Control 1.0) over UDP.

Anyone who can reach the port can send anything, so datagrams are limited in size and in number per frame, and checked
before they are parsed. Errors in them are only reported.
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable, Sequence
from typing import Any, get_args

from pydantic import ValidationError

from ..text import one_line
from ..translation import FrameTranslator, LiveControls
from ..translation.controls import Stretch
from ..validation import describe
from . import INSTALL

MAX_DATAGRAM = 2048  # bytes; a controller's messages have a few dozen
MAX_MESSAGES = 256  # applied per frame, so that a flood of them does not hold up the picture
QUIET = 1.0  # seconds between two reports
SHOWN = 60  # characters of a value
BUNDLE = b"#bundle\0"
BUNDLE_HEADER = 16  # bytes: the word and a time tag
# An address of printable ASCII and up to eight numbers, strings or booleans. Other types have no use here, and
# python-osc logs a warning for every unknown one.
MESSAGE = re.compile(rb"/[\x21-\x7e]{0,63}\0{1,4}(?P<types>,)[ifdhsTF]{0,8}\0")

CHOICES: tuple[Stretch, ...] = get_args(Stretch)
# What each address takes; ranges are those of the settings themselves.
TAKES = {
    "/smoothing": "one number",
    "/contrast": f"one of {', '.join(CHOICES)}, or its number, 0 to {len(CHOICES) - 1}",
    "/zoom": "one number",
}


class OscError(ValueError):
    """A datagram that is not OSC, an unknown address, a value out of range, or a port that cannot be used."""


class OscControl:
    """Listens for OSC messages and applies them to a translation; a context manager.

    Messages are `/smoothing` (0 to below 1), `/contrast` (`none`, `percentile`, `clahe`, or 0, 1, 2) and `/zoom` (0.25
    to 8), alone or in bundles. Time tags are ignored: changes take effect with the next frame.

    Parameters
    ----------
    host
        Address to listen at; with `127.0.0.1` only programs on this machine can send.
    port
        UDP port, 1 to 65535; 0 for any free one.
    report
        Receives a sentence about a message that is wrong, at most one per second.

    Raises
    ------
    OscError
        python-osc is missing, or the port is out of range; on entering, the port cannot be opened.
    """

    def __init__(self, host: str, port: int, report: Callable[[str], None]) -> None:
        if not 0 <= port <= 65535:
            raise OscError(f"--osc {port}: a port is a number from 1 to 65535, or 0 for any free one")
        try:
            import pythonosc  # noqa: F401
        except ImportError as error:
            raise OscError(f"--osc needs python-osc ({INSTALL}): {error}") from None
        self._host = host
        self.port = port
        self._report = report
        self._quiet_until = 0.0
        self._refused, self._reason = 0, ""
        self._socket: socket.socket | None = None

    def __enter__(self) -> OscControl:
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(self._host, self.port, type=socket.SOCK_DGRAM)[0]
            self._socket = socket.socket(family, kind, protocol)
            self._socket.setblocking(False)
            self._socket.bind(address)
        except (OSError, UnicodeError) as error:
            self.__exit__()
            reason = error.strerror if isinstance(error, OSError) else error
            raise OscError(
                f"--osc {self.port}: cannot listen at {self._host}, use another port or --osc-host: {reason}"
            ) from None
        self.port = self._socket.getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    @property
    def announcement(self) -> str:
        """Where it listens, and for what."""
        return f"listening for OSC on {self._host}, port {self.port}: {', '.join(TAKES)}"

    def apply(self, translator: FrameTranslator) -> None:
        """Apply the messages that have arrived; never raises for what is in them."""
        read = 0
        while read < MAX_MESSAGES and (datagram := self._receive()) is not None:
            try:
                messages = unpack(datagram)
            except OscError as error:
                messages = []
                self._refuse(str(error))
            for message in messages:
                try:
                    change(translator, *parse(message))
                except OscError as error:
                    self._refuse(str(error))
            read += max(1, len(messages))
        self._report_refused()

    def _receive(self) -> bytes | None:
        """The next datagram; None if none is waiting."""
        if self._socket is None:
            return None
        try:
            return self._socket.recv(MAX_DATAGRAM + 1)
        except BlockingIOError:
            return None
        except OSError:  # on Windows, a datagram that is too long
            return b""

    def _refuse(self, reason: str) -> None:
        self._reason = reason
        self._refused += 1
        self._report_refused()

    def _report_refused(self) -> None:
        now = time.monotonic()
        if self._refused and now >= self._quiet_until:
            others = self._refused - 1
            more = f" (and {others} other wrong message{'s' if others > 1 else ''})" if others else ""
            self._report(one_line(f"OSC: {self._reason}{more}"))
            self._refused, self._quiet_until = 0, now + QUIET


def change(translator: FrameTranslator, address: str, values: Sequence[Any]) -> None:
    """Apply one message to a running translation.

    Raises
    ------
    OscError
        An unknown address, or not one value of the right type and range.
    """
    if address not in TAKES:
        raise OscError(f"{address}: unknown address; send {', '.join(TAKES)}")
    if len(values) != 1:
        raise OscError(f"{address}: {len(values)} values; send {TAKES[address]}")
    value = values[0]
    if address == "/contrast" and value not in CHOICES:
        # A number's name; True is 1 in Python, and a fader sends 1.0.
        value = dict(enumerate(CHOICES)).get(value) if _is_number(value) else None
    elif address != "/contrast" and not _is_number(value):
        value = None
    if value is None:
        raise OscError(f"{address} {values[0]!r:.{SHOWN}}: send {TAKES[address]}")
    try:
        if address == "/smoothing":
            translator.smooth_output.amount = float(value)
        else:
            _set_control(translator, "zoom" if address == "/zoom" else "stretch", value)
    except ValidationError as error:
        raise OscError(f"{address}: {describe(error)}") from None
    except ValueError as error:
        raise OscError(f"{address}: {error}") from None


def _set_control(translator: FrameTranslator, name: str, value: object) -> None:
    if not translator.accepts_controls:
        raise OscError("this model reads color pictures as they are, so only /smoothing has an effect")
    before = translator.controls or LiveControls()
    after = LiveControls.model_validate({**before.model_dump(), name: value})
    if after != before:  # any change makes a contrast stretch measure the picture anew
        translator.controls = after


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def unpack(datagram: bytes) -> list[bytes]:
    """The messages in a datagram, which is one message, or a bundle of messages and bundles.

    python-osc's own bundle reader loops forever on an element of negative length.

    Raises
    ------
    OscError
        The datagram is too long, or a bundle's lengths do not add up.
    """
    if len(datagram) > MAX_DATAGRAM:
        raise OscError(f"a datagram has more than {MAX_DATAGRAM} bytes")
    if not datagram.startswith(BUNDLE):
        return [datagram]
    messages, position = [], BUNDLE_HEADER
    if len(datagram) < BUNDLE_HEADER:
        raise OscError("an OSC bundle is damaged")
    while position < len(datagram):
        start = position + 4
        position = start + int.from_bytes(datagram[position:start], "big")
        if not start < position <= len(datagram):
            raise OscError("an OSC bundle is damaged")
        messages += unpack(datagram[start:position])
    return messages


def parse(message: bytes) -> tuple[str, list[Any]]:
    """The address and the values of a message.

    Raises
    ------
    OscError
        It is damaged, or holds other values than numbers, strings and booleans.
    """
    from pythonosc import osc_message

    head = MESSAGE.match(message)
    if head is None or head.start("types") % 4 != 0:
        raise OscError("a datagram is not an OSC message with numbers or text")
    try:
        parsed = osc_message.OscMessage(message)
    except (osc_message.ParseError, UnicodeDecodeError):
        raise OscError("an OSC message is damaged") from None
    return parsed.address, parsed.params
