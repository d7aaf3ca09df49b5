"""Downloads that follow the rules of the services: one at a time, with a contact address, and with the pauses they
request."""

from __future__ import annotations

import ipaddress
import json
import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from http.client import HTTPException, HTTPMessage
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from inpaint_core.checkpoints.card import pack_version

TRIES = 5
TIMEOUT = 60.0  # seconds
LONGEST_WAIT = 900.0  # seconds; if a service requests a longer pause, collecting stops
BUSY = (429, 503)
ANSWER_BYTES = 20_000_000
BLOCK = 1 << 16


class CollectError(ValueError):
    """Collecting cannot continue; the message is one line."""


class RejectedError(ValueError):
    """A file is rejected; the message states why."""


class Web:
    """A client that makes one request at a time.

    Parameters
    ----------
    contact
        A contact address of the user for the operator of a service; sent with every request.
    pause
        Seconds between requests.
    local
        For tests only: plain HTTP, restricted to this machine.
    sleep
        Waits a number of seconds.
    """

    def __init__(
        self, contact: str, pause: float = 1.0, local: bool = False, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._agent = f"Liminal/{pack_version()} (training.collect; {contact})"
        self._pause = pause
        self._local = local
        self._sleep = sleep
        self._opener = build_opener(_CheckedRedirects(self._check))
        self._latest = -pause

    def ask(self, url: str, parameters: Mapping[str, str | int]) -> dict[str, Any]:
        """The JSON object that a service returns.

        Raises
        ------
        CollectError
            No answer after `TRIES` tries, or another kind of answer.
        """
        try:
            data, _ = self._get(f"{url}?{urlencode(parameters)}", ANSWER_BYTES, _asks_to_wait)
            answer = json.loads(data)
        except (RejectedError, ValueError) as error:
            raise CollectError(f"{urlsplit(url).hostname}: {error or 'the answer is not JSON'}") from None
        if not isinstance(answer, dict):
            raise CollectError(f"{urlsplit(url).hostname}: the answer is not a JSON object")
        return answer

    def download(self, url: str, most: int) -> tuple[bytes, str]:
        """The bytes of a file, at most `most`, and the final URL after redirects.

        Raises
        ------
        RejectedError
            A wrong address, too many bytes, or no complete file after `TRIES` tries.
        """
        return self._get(url, most, None)

    def _get(self, url: str, most: int, waits: Callable[[bytes], bool] | None) -> tuple[bytes, str]:
        self._check(url)
        problem = ""
        for number in range(TRIES):
            wait = 2.0**number
            self._sleep(max(0.0, self._latest + self._pause - time.monotonic()))
            try:
                request = Request(url, headers={"User-Agent": self._agent, "Accept-Encoding": "identity"})
                with self._opener.open(request, timeout=TIMEOUT) as answer:
                    data = _read(answer, most)
                    if waits is None or not waits(data):
                        return data, answer.url
                    problem, wait = "the service is busy", _retry_after(answer.headers, wait)
            except HTTPError as error:
                problem = f"answered {error.code}"
                if error.code not in BUSY and error.code < 500:
                    raise RejectedError(problem) from None
                wait = _retry_after(error.headers, wait)
            except (URLError, HTTPException, TimeoutError, ConnectionError) as error:
                problem = str(getattr(error, "reason", error)) or type(error).__name__
            finally:
                self._latest = time.monotonic()
            if wait > LONGEST_WAIT:
                raise RejectedError(f"{problem}, and asks to wait {wait:.0f} seconds; try again later")
            if number < TRIES - 1:
                self._sleep(wait)
        raise RejectedError(f"{problem}, {TRIES} times in a row")

    def _check(self, url: str) -> None:
        """Reject URLs that are not public web pages, because responses and redirects are untrusted."""
        parts = urlsplit(url)
        host = parts.hostname or ""
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            address = None
        if self._local:
            if parts.scheme != "http" or address is None or not address.is_loopback:
                raise RejectedError(f"{parts.scheme}://{host} is not on this machine")
        elif parts.scheme != "https" or not host or host == "localhost" or (address and not address.is_global):
            raise RejectedError(f"{parts.scheme}://{host} is not a public https address")


class _CheckedRedirects(HTTPRedirectHandler):
    def __init__(self, check: Callable[[str], None]) -> None:
        self._check = check

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        self._check(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _read(answer: Any, most: int) -> bytes:
    """The whole body.

    Raises
    ------
    RejectedError
        More than `most` bytes.
    ConnectionError
        Fewer bytes than announced.
    """
    announced = answer.headers.get("Content-Length", "")
    length = int(announced) if announced.isascii() and announced.isdecimal() else None
    if length is not None and length > most:
        raise RejectedError(f"{length} bytes, more than the {most} allowed")
    data = bytearray()
    while block := answer.read(BLOCK):
        data += block
        if len(data) > most:
            raise RejectedError(f"more than the {most} bytes allowed")
    if length is not None and len(data) < length:
        raise ConnectionError(f"cut off after {len(data)} of {length} bytes")
    return bytes(data)


def _asks_to_wait(data: bytes) -> bool:
    """Whether Wikimedia reports that its databases lag (`maxlag`)."""
    return b'"maxlag"' in data[:1000]


def _retry_after(headers: Any, otherwise: float) -> float:
    """Seconds to wait: the header is a number or a date (RFC 9110, section 10.2.3)."""
    text = str(headers.get("Retry-After", "") or "")
    if text.isascii() and text.isdecimal():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (TypeError, ValueError):
        return otherwise
