"""The window that shows live translations, and its keys."""

from __future__ import annotations

import os
import sys
from typing import Any, get_args

import numpy as np
from torch import Tensor

from ..files.videos import VideoError, to_bgr
from ..translation import FrameTranslator, LiveControls
from ..translation.controls import Stretch
from ..translation.live import LiveOutput, Meter

TITLE = "Learning to See"
HELP = "space: freeze   [ ]: smoothing   c: contrast   q: quit"
STEP = 0.1
MAX_SMOOTHING = 0.9
SHOWN_HEIGHT = 512


class LiveWindow(LiveOutput):
    """The network's input on the left, its output on the right; a context manager.

    Raises
    ------
    VideoError
        OpenCV is missing or was built without GUI support.
    """

    def __init__(self) -> None:
        try:
            import cv2
        except ImportError as error:
            raise VideoError(f"a window needs OpenCV (pip install opencv-python): {error}") from None
        self._cv2 = cv2

    def __enter__(self) -> LiveWindow:
        if sys.platform == "linux" and not (os.getenv("DISPLAY") or os.getenv("WAYLAND_DISPLAY")):
            # Without a display, Qt would abort the whole process.
            raise VideoError("no window can be opened because there is no display; write to a video file instead")
        try:
            self._cv2.namedWindow(TITLE, self._cv2.WINDOW_AUTOSIZE)
        except self._cv2.error:
            raise VideoError(
                "no window can be opened because OpenCV was built without GUI support (opencv-python-headless); "
                "write to a video file instead"
            ) from None
        return self

    def __exit__(self, *_: object) -> None:
        self._cv2.destroyAllWindows()

    def show(self, output: Tensor, translator: FrameTranslator, meter: Meter) -> None:
        """Show `[3,H,W]` in 0..1 next to the network's input, with a line of text, and handle the keys."""
        smoothing = translator.smooth_output.amount
        contrast = translator.controls.stretch if translator.controls is not None else "none"
        measured = f"{meter.frames_per_second:.1f} fps  {meter.latency * 1000:.0f} ms"
        line = f"{measured}   smoothing {smoothing:.1f}   contrast {contrast}"
        self._cv2.imshow(TITLE, compose(output, translator.seen, (line, HELP)))
        self.wait(translator)

    def wait(self, translator: FrameTranslator) -> None:
        """Let the window redraw, and handle a key if one was pressed."""
        self.handle_key(chr(self._cv2.waitKey(30 if self.frozen else 1) & 0xFF), translator)
        if self._cv2.getWindowProperty(TITLE, self._cv2.WND_PROP_VISIBLE) < 1:
            self.open = False

    def handle_key(self, key: str, translator: FrameTranslator) -> None:
        """Handle a key."""
        if key in ("q", "\x1b"):
            self.open = False
        elif key == " ":
            self.frozen = not self.frozen
        elif key in ("[", "]"):
            changed = translator.smooth_output.amount + (STEP if key == "]" else -STEP)
            translator.smooth_output.amount = min(max(round(changed, 2), 0.0), MAX_SMOOTHING)
        elif key == "c" and translator.accepts_controls:
            choices = get_args(Stretch)
            controls = translator.controls or LiveControls()
            following = choices[(choices.index(controls.stretch) + 1) % len(choices)]
            translator.controls = controls.model_copy(update={"stretch": following})


def compose(output: Tensor, seen: Tensor | None, lines: tuple[str, ...]) -> np.ndarray[Any, Any]:
    """Combine into one picture, uint8 `[512,W,3]` in BGR, the input `[1,C,h,w]`, the output `[3,H,W]` and lines of
    text."""
    import cv2

    pictures = [to_bgr(output)] if seen is None else [to_bgr(seen[-1].expand(3, -1, -1)), to_bgr(output)]
    scaled = []
    for picture in pictures:
        width = max(1, round(picture.shape[1] * SHOWN_HEIGHT / picture.shape[0]))
        scaled.append(cv2.resize(picture, (width, SHOWN_HEIGHT), interpolation=cv2.INTER_LINEAR))
    whole: np.ndarray[Any, Any] = np.ascontiguousarray(np.concatenate(scaled, 1))
    whole[SHOWN_HEIGHT - 24 * len(lines) - 10 :] //= 3  # keeps light text readable on any background
    for number, line in enumerate(lines):
        place = (10, SHOWN_HEIGHT - 12 - 24 * (len(lines) - 1 - number))
        cv2.putText(whole, line, place, cv2.FONT_HERSHEY_SIMPLEX, 0.55, (255, 255, 255), 1, cv2.LINE_AA)
    return whole
