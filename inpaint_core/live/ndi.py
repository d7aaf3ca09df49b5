"""An NDI source, which TouchDesigner, Resolume, OBS and others on the same network can select by its name."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from torch import Tensor

from ..files.videos import VideoError
from ..text import one_line
from ..translation import FrameTranslator
from ..translation.live import LiveOutput, Meter
from . import INSTALL
from .frames import to_rgb

MAX_NAME_LENGTH = 100
MAX_DENOMINATOR = 1001  # of NTSC's rates, such as 30000/1001


class NdiSource(LiveOutput):
    """Sends frames as an NDI source, through cyndilib.

    Parameters
    ----------
    name
        Shown to the receivers after the machine's name; 1 to 100 printable characters.
    rate
        Frames per second that the source reports; frames are sent as they arrive.
    height, width
        Size of the frames in pixels.

    Raises
    ------
    VideoError
        cyndilib is missing, or the name is unsuitable; on entering, the source cannot be opened.
    """

    def __init__(self, name: str, rate: float, height: int, width: int) -> None:
        if not name.strip() or len(name) > MAX_NAME_LENGTH or one_line(name) != name:
            raise VideoError(
                f"--out ndi:{name[:MAX_NAME_LENGTH]}: give the source a name of 1 to {MAX_NAME_LENGTH} printable "
                f"characters, such as ndi:flowers"
            )
        try:
            from cyndilib.sender import Sender
            from cyndilib.video_frame import VideoSendFrame
            from cyndilib.wrapper.ndi_structs import FourCC
        except (ImportError, OSError) as error:
            raise VideoError(f"NDI needs cyndilib ({INSTALL}): {error}") from None
        video = VideoSendFrame()
        video.set_resolution(width, height)
        video.set_frame_rate(Fraction(rate).limit_denominator(MAX_DENOMINATOR))
        video.set_fourcc(FourCC.RGBX)
        # The source sets the pace: NDI's own clock would delay frames that are already late.
        self._sender: Any = Sender(name, clock_video=False)
        self._sender.set_video_frame(video)
        self._name = name
        self._rate = rate
        self._pixels = np.full((height, width, 4), 255, np.uint8)

    def __enter__(self) -> NdiSource:
        try:
            self._sender.open()
        except Exception as error:  # cyndilib raises plain Exceptions
            reason = str(error) or type(error).__name__
            raise VideoError(f"the NDI source {self._name!r} cannot be opened: {reason}") from None
        return self

    def __exit__(self, *_: object) -> None:
        self._sender.close()

    @property
    def announcement(self) -> str:
        """The source's full name, the size and the frame rate."""
        height, width = self._pixels.shape[:2]
        return (
            f"sending {width}x{height} pixels, {self._rate:g} frames per second, as the NDI source "
            f"{self._sender.name}; press Ctrl-C to stop"
        )

    def show(self, output: Tensor, translator: FrameTranslator, meter: Meter) -> None:
        """Send `[3,H,W]` in 0..1."""
        self._pixels[..., :3] = to_rgb(output, *self._pixels.shape[:2])
        try:
            sent = self._sender.write_video(self._pixels.reshape(-1))
        except Exception as error:
            raise self._ended(error) from None
        if not sent:
            raise self._ended("it was closed")

    def _ended(self, reason: object) -> VideoError:
        return VideoError(f"the NDI source {self._name!r} takes no more frames; start the command again ({reason})")
