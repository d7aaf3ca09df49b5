"""A virtual camera, which video calls, OBS and browsers can select like a webcam."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from ..files.videos import VideoError
from ..translation import FrameTranslator
from ..translation.live import LiveOutput, Meter
from . import INSTALL
from .frames import to_rgb


class VirtualCamera(LiveOutput):
    """Sends frames to the first virtual camera of this machine, through pyvirtualcam.

    Parameters
    ----------
    rate
        Frames per second that the camera reports; frames are sent as they arrive.
    height, width
        Size of the frames in pixels. The camera leaves out the last row or column of an odd size, because its 4:2:0
        formats need even ones.

    Raises
    ------
    VideoError
        pyvirtualcam is missing; on entering, there is no virtual camera.
    """

    def __init__(self, rate: float, height: int, width: int) -> None:
        try:
            import pyvirtualcam
        except ImportError as error:
            raise VideoError(f"a virtual camera needs pyvirtualcam ({INSTALL}): {error}") from None
        if min(height, width) < 2:
            raise VideoError(f"frames of {width}x{height} pixels: a virtual camera needs at least 2x2")
        self._library = pyvirtualcam
        self._rate = rate
        self._height, self._width = height, width
        self._camera: Any = None

    def __enter__(self) -> VirtualCamera:
        width, height = self._width // 2 * 2, self._height // 2 * 2
        try:
            self._camera = self._library.Camera(width, height, self._rate, fmt=self._library.PixelFormat.RGB)
        except (RuntimeError, OSError, ValueError) as error:
            raise VideoError(
                f"no virtual camera can be opened; on Windows and macOS install OBS Studio and start its virtual "
                f"camera once, on Linux install v4l2loopback and run: sudo modprobe v4l2loopback ({error})"
            ) from None
        return self

    def __exit__(self, *_: object) -> None:
        camera, self._camera = self._camera, None
        camera.close()

    @property
    def announcement(self) -> str:
        """The device, the size and the frame rate."""
        camera = self._camera
        return (
            f"sending {camera.width}x{camera.height} pixels, {self._rate:g} frames per second, to {camera.device}; "
            f"press Ctrl-C to stop"
        )

    def show(self, output: Tensor, translator: FrameTranslator, meter: Meter) -> None:
        """Send `[3,H,W]` in 0..1."""
        camera = self._camera
        frame = to_rgb(output, self._height, self._width)
        # On Linux pyvirtualcam only prints that a frame could not be written.
        if camera.device.startswith("/") and not Path(camera.device).exists():
            raise VideoError(f"the virtual camera {camera.device} is gone; check it, then start the command again")
        try:
            camera.send(np.ascontiguousarray(frame[: camera.height, : camera.width]))
        except (RuntimeError, OSError) as error:
            raise VideoError(
                f"the virtual camera {camera.device} takes no more frames; check it, then start the command again "
                f"({error})"
            ) from None
