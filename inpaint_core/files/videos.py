"""Clips on disk and cameras, frame by frame, through OpenCV."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .atomic import atomic_path
from .images import to_bytes

# Codecs that OpenCV's wheels can write, by suffix.
CODECS = {".mp4": "mp4v", ".mov": "mp4v", ".avi": "MJPG", ".mkv": "mp4v"}
ASSUMED_RATE = 25.0  # if a camera or file does not specify it


class VideoError(ValueError):
    """A clip or camera cannot be opened, read or written; the message is one line."""


class VideoReader:
    """A clip or a camera, as frames.

    Parameters
    ----------
    source
        A file, or the number of a camera.

    Attributes
    ----------
    rate
        Frames per second according to the source; 25 if it does not specify a rate.
    count
        Total number of frames as stated by a file's header, 0 for a camera.

    Raises
    ------
    VideoError
        No such file or camera, or nothing in it can be decoded.
    """

    def __init__(self, source: str | os.PathLike[str] | int) -> None:
        cv2 = _opencv()
        self.name = f"camera:{source}" if isinstance(source, int) else str(source)
        if not isinstance(source, int) and not Path(source).is_file():
            raise VideoError(f"{source}: no such video file")
        # OpenCV tries one driver after another and prints a long message for each failure.
        talk = cv2.utils.logging.getLogLevel()
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        try:
            self._capture = cv2.VideoCapture(source if isinstance(source, int) else str(source))
            self._first = self._grab()
        finally:
            cv2.utils.logging.setLogLevel(talk)
        if self._first is None:
            self._capture.release()
            if isinstance(source, int):
                raise VideoError(
                    f"no camera {source}: none is connected, another program uses it, or access is denied; you can "
                    f"use a video file instead (--input FILE)"
                )
            raise VideoError(f"{source}: not a video that can be decoded")
        rate = float(self._capture.get(cv2.CAP_PROP_FPS))
        self.rate = rate if 0.0 < rate <= 1000.0 else ASSUMED_RATE
        self.count = 0 if isinstance(source, int) else max(0, int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        self.height, self.width = self._first.shape[:2]

    def read(self) -> np.ndarray[Any, Any] | None:
        """The next frame, uint8 `[H,W,3]` in BGR; None at the end."""
        if self._first is not None:
            frame, self._first = self._first, None
            return frame
        return self._grab()

    def _grab(self) -> np.ndarray[Any, Any] | None:
        read, frame = self._capture.read()
        return frame if read else None

    def __iter__(self) -> Iterator[Tensor]:
        """All remaining frames, float32 `[3,H,W]`, RGB in 0..1."""
        while (frame := self.read()) is not None:
            yield from_bgr(frame)

    def close(self) -> None:
        """Release the file or camera."""
        self._capture.release()


class ClipWriter:
    """Receives the frames of `write_clip`."""

    def __init__(self, writer: Any) -> None:
        self._writer = writer
        self.written = 0

    def write(self, frame: Tensor) -> None:
        """Append `[3,H,W]`, RGB in 0..1."""
        self._writer.write(to_bgr(frame))
        self.written += 1


@contextmanager
def write_clip(path: str | os.PathLike[str], rate: float, height: int, width: int) -> Iterator[ClipWriter]:
    """Write a clip.

    The file is created when the context ends, even after an interruption or an error; it then contains the frames
    written so far. If there are none, no file is created.

    Parameters
    ----------
    path
        .mp4, .mov, .mkv (MPEG-4) or .avi (Motion JPEG); an existing file is replaced at the end.
    rate
        Frames per second.
    height, width
        Size of every frame in pixels.

    Raises
    ------
    VideoError
        An unknown suffix, no such folder, or a size that the codec does not support.
    """
    cv2 = _opencv()
    target = Path(path)
    codec = CODECS.get(target.suffix.lower())
    if codec is None:
        raise VideoError(f"{path}: a video's name must end in one of {', '.join(CODECS)}")
    if not target.parent.is_dir():
        raise VideoError(f"{path}: the folder {target.parent} does not exist; create it first")
    ended_by: BaseException | None = None
    with atomic_path(target) as temporary:
        writer = cv2.VideoWriter(str(temporary), cv2.VideoWriter.fourcc(*codec), rate, (width, height))
        if not writer.isOpened():
            raise VideoError(
                f"{target}: OpenCV cannot write {width}x{height} pixels as {codec}; use another size or suffix"
            )
        clip = ClipWriter(writer)
        try:
            yield clip
        except BaseException as error:
            if clip.written == 0:
                raise
            ended_by = error  # raised once the file is in place
        finally:
            writer.release()
    if ended_by is not None:
        raise ended_by


def from_bgr(frame: np.ndarray[Any, Any]) -> Tensor:
    """OpenCV's uint8 `[H,W,3]` as float32 `[3,H,W]`, RGB in 0..1."""
    return torch.from_numpy(frame[..., ::-1].copy()).permute(2, 0, 1).float() / 255.0


def to_bgr(frame: Tensor) -> np.ndarray[Any, Any]:
    """`[3,H,W]`, RGB in 0..1, as OpenCV's uint8 `[H,W,3]`."""
    return np.ascontiguousarray(to_bytes(frame)[..., ::-1])


def _opencv() -> Any:
    try:
        import cv2
    except ImportError as error:
        raise VideoError(f"videos and cameras need OpenCV (pip install opencv-python): {error}") from None
    return cv2
