"""Live translation: the newest frame of a camera or a video file, and the interface of outputs and remote controls."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from torch import Tensor

from ..files.videos import VideoError, VideoReader, from_bgr
from .frames import FrameTranslator

MAX_WAIT = 5.0  # seconds without a frame after which a camera counts as disconnected
FROZEN_PAUSE = 0.03  # seconds


class FrameSource(Protocol):
    """A source of frames."""

    rate: float
    """Frames per second."""
    height: int
    width: int

    def read(self) -> np.ndarray[Any, Any] | None:
        """Wait for the next frame, uint8 `[H,W,3]` in BGR; None at the end."""

    def close(self) -> None:
        """Release the device or file."""


class LoopedClip:
    """A video file with the interface of a camera: plays at its own frame rate, in a loop."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._reader = VideoReader(path)
        self.rate, self.height, self.width = self._reader.rate, self._reader.height, self._reader.width
        self._due = time.perf_counter()

    def read(self) -> np.ndarray[Any, Any] | None:
        """The next frame, at the clip's own frame rate."""
        self._due = max(self._due + 1.0 / self.rate, time.perf_counter() - 1.0)
        time.sleep(max(0.0, self._due - time.perf_counter()))
        frame = self._reader.read()
        if frame is None:
            self._reader.close()
            self._reader = VideoReader(self._path)
            frame = self._reader.read()
        return frame

    def close(self) -> None:
        """Close the file."""
        self._reader.close()


@dataclass(frozen=True)
class Grabbed:
    """A frame, uint8 `[H,W,3]` in BGR, with its number, counted from 1, and its arrival time (`time.perf_counter`)."""

    frame: np.ndarray[Any, Any]
    number: int
    time: float


class FrameGrabber:
    """Read a source in a background thread and keep only the newest frame, so that a slow consumer never lags behind.

    A context manager: on exit, the thread is stopped and the source is closed.
    """

    def __init__(self, source: FrameSource) -> None:
        self._source = source
        self._changed = threading.Condition()
        self._newest: Grabbed | None = None
        self._ended: str | None = None
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="frame grabber", daemon=True)

    def __enter__(self) -> FrameGrabber:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping = True
        self._thread.join(MAX_WAIT)
        self._source.close()

    def newer_than(self, number: int) -> Grabbed:
        """Wait for a frame after the one with this number (0 for any) and return the newest.

        Raises
        ------
        VideoError
            The source has ended, or delivered nothing for five seconds.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._ended or self._has_newer(number), MAX_WAIT)
            if self._newest is not None and self._newest.number > number:
                return self._newest
            raise VideoError(self._ended or f"the camera delivered no frame for {MAX_WAIT:.0f} seconds")

    def _has_newer(self, number: int) -> bool:
        return self._newest is not None and self._newest.number > number

    def _run(self) -> None:
        number = 0
        while not self._stopping:
            try:
                frame = self._source.read()
            except VideoError as error:
                frame, reason = None, str(error)
            else:
                reason = "the camera stopped delivering frames"
            with self._changed:
                if frame is None:
                    self._ended = reason
                else:
                    number += 1
                    self._newest = Grabbed(frame, number, time.perf_counter())
                self._changed.notify_all()
            if frame is None:
                return


class Meter:
    """Measured frame rate and latency over the last 1.5 seconds."""

    def __init__(self, span: float = 1.5) -> None:
        self._span = span
        self._shown: list[tuple[float, float]] = []

    def add(self, grabbed: float, shown: float) -> None:
        """Record a frame that arrived at `grabbed` and was displayed at `shown` (`time.perf_counter`)."""
        self._shown = [pair for pair in self._shown if shown - pair[0] < self._span] + [(shown, shown - grabbed)]

    @property
    def frames_per_second(self) -> float:
        """Frames per second; 0 until two frames have been shown."""
        if len(self._shown) < 2:
            return 0.0
        return (len(self._shown) - 1) / max(self._shown[-1][0] - self._shown[0][0], 1e-9)

    @property
    def latency(self) -> float:
        """Mean time in seconds from the arrival of a frame until its translation is shown."""
        return sum(latency for _, latency in self._shown) / max(len(self._shown), 1)


class LiveOutput(ABC):
    """Where translated frames go: a context manager that opens a window, a device or a file, and closes it.

    Attributes
    ----------
    open
        False once the viewer has closed it.
    frozen
        True while the viewer holds the picture: no new frames are shown then.
    """

    open = True
    frozen = False

    @abstractmethod
    def __enter__(self) -> LiveOutput:
        """Open it."""

    @abstractmethod
    def __exit__(self, *raised: Any) -> bool | None:
        """Close it, also after an error or an interruption."""

    @property
    def announcement(self) -> str:
        """What is said about it once it is open, and how to stop it; empty if it is plain to see."""
        return ""

    @abstractmethod
    def show(self, output: Tensor, translator: FrameTranslator, meter: Meter) -> None:
        """Show or send `[3,H,W]` in 0..1.

        Raises
        ------
        VideoError
            It no longer accepts frames.
        """

    def wait(self, translator: FrameTranslator) -> None:
        """Called repeatedly while frozen."""
        time.sleep(FROZEN_PAUSE)


class RemoteControl(Protocol):
    """Changes the settings of a running translation from outside."""

    def apply(self, translator: FrameTranslator) -> None:
        """Apply the changes that have arrived since the last call, without waiting for any."""


def show(
    grabber: FrameGrabber, translator: FrameTranslator, output: LiveOutput, remote: RemoteControl | None = None
) -> None:
    """Translate the newest frame and show it, repeatedly, until the viewer closes the output.

    Raises
    ------
    VideoError
        The source or the output has ended.
    """
    meter = Meter()
    translator(from_bgr(grabber.newer_than(0).frame)[None])  # the first run is slow: allocations, kernels
    number = 0
    while output.open:
        if remote is not None:
            remote.apply(translator)
        if output.frozen:
            output.wait(translator)
            continue
        grabbed = grabber.newer_than(number)
        number = grabbed.number
        output.show(translator(from_bgr(grabbed.frame)[None])[0], translator, meter)
        meter.add(grabbed.time, time.perf_counter())
