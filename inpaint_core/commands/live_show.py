"""The outputs and controls of a live translation, as named on the command line."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from ..files.videos import ClipWriter, VideoError, write_clip
from ..translation import FrameTranslator
from ..translation.live import FrameGrabber, FrameSource, LiveOutput, Meter, show
from .live_window import LiveWindow
from .notes import say

if TYPE_CHECKING:
    from ..live.osc import OscControl

WINDOW = "window"
VIRTUAL_CAMERA = "virtualcam"
NDI = "ndi:"
LOOPBACK = "127.0.0.1"


def is_live(out: str) -> bool:
    """Whether `--out` names a live output rather than a file or folder."""
    return out in (WINDOW, VIRTUAL_CAMERA) or out.startswith(NDI)


def open_output(out: str, source: FrameSource) -> LiveOutput:
    """The output that `--out` names, for the frames of a source; a context manager opens it.

    Raises
    ------
    VideoError
        A package is missing, or the output cannot be used.
    """
    if out == WINDOW:
        return LiveWindow()
    size = (source.rate, source.height, source.width)
    if out == VIRTUAL_CAMERA:
        try:
            from ..live.virtual_camera import VirtualCamera
        except ModuleNotFoundError:
            raise _left_out(f"--out {out}") from None
        return VirtualCamera(*size)
    if out.startswith(NDI):
        try:
            from ..live.ndi import NdiSource
        except ModuleNotFoundError:
            raise _left_out("--out ndi:NAME") from None
        return NdiSource(out.removeprefix(NDI), *size)
    return Recording(Path(out), *size)


def open_control(port: int | None, host: str) -> AbstractContextManager[OscControl | None]:
    """The OSC control of `--osc`; nothing without a port.

    Raises
    ------
    ValueError
        python-osc is missing, or the port is out of range.
    """
    if port is None:
        return nullcontext()
    try:
        from ..live.osc import OscControl
    except ModuleNotFoundError:
        raise _left_out("--osc") from None
    return OscControl(host, port, say)


def run(
    source: FrameSource,
    translator: FrameTranslator,
    output: LiveOutput,
    control: AbstractContextManager[OscControl | None],
) -> None:
    """Show a source until the viewer closes the output, the source ends, or Ctrl-C is pressed; then close everything.

    Raises
    ------
    ValueError
        The output or the control cannot be opened, the source or the output has ended, or the translation fails.
    """
    with FrameGrabber(source) as grabber, output, control as remote:
        for opened in (output, remote):
            if opened is not None and opened.announcement:
                print(opened.announcement, flush=True)
        show(grabber, translator, output, remote)


class Recording(LiveOutput):
    """A video file; each frame is written as many times as needed for it to play in real time."""

    def __init__(self, target: Path, rate: float, height: int, width: int) -> None:
        self._target = target
        self._rate = rate
        self._context = write_clip(target, rate, height, width)
        self._clip: ClipWriter
        self._began: float | None = None

    def __enter__(self) -> Recording:
        self._clip = self._context.__enter__()
        return self

    def __exit__(self, *raised: Any) -> bool | None:
        return self._context.__exit__(*raised)

    @property
    def announcement(self) -> str:
        """The file."""
        return f"recording to {self._target}; press Ctrl-C to stop"

    def show(self, output: Tensor, translator: FrameTranslator, meter: Meter) -> None:
        """Write `[3,H,W]` in 0..1."""
        now = time.perf_counter()
        if self._began is None:
            self._began = now
        for _ in range(max(1, round((now - self._began) * self._rate) - self._clip.written)):
            self._clip.write(output)


def _left_out(option: str) -> VideoError:
    return VideoError(
        f"{option} is not part of the registry's archive; clone the pack's repository and run there: "
        f'pip install -e ".[live]"'
    )
