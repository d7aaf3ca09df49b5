"""One loop for every output: the window's keys, and recordings in real time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from inpaint_core.commands import live_show
from inpaint_core.commands.live_window import LiveWindow
from inpaint_core.files.videos import VideoReader
from inpaint_core.translation.live import FrameGrabber, LoopedClip, Meter, show

cv2 = pytest.importorskip("cv2")


class Screen:
    """OpenCV's functions for windows; each `waitKey` returns the next key."""

    WND_PROP_VISIBLE = cv2.WND_PROP_VISIBLE

    def __init__(self, keys: str) -> None:
        self.keys = list(keys)
        self.shown: list[np.ndarray] = []

    def imshow(self, title: str, picture: np.ndarray) -> None:
        self.shown.append(picture)

    def waitKey(self, milliseconds: int) -> int:  # noqa: N802
        return ord(self.keys.pop(0))

    def getWindowProperty(self, title: str, which: int) -> float:  # noqa: N802
        return 1.0


def test_a_frozen_window_shows_nothing_new_but_still_obeys_keys_and_remote_control(clip: Path, translator) -> None:
    class Remote:
        calls = 0

        def apply(self, translator) -> None:
            self.calls += 1

    window, remote = LiveWindow(), Remote()
    window._cv2 = Screen("x ]]] xq")  # two frames, frozen, smoothing three steps up, on, one frame, quit
    with FrameGrabber(LoopedClip(clip)) as grabber:
        show(grabber, translator, window, remote)
    assert len(window._cv2.shown) == 4
    assert translator.smooth_output.amount == 0.8
    assert remote.calls == 8


def test_the_contrast_key_does_nothing_for_a_model_that_reads_colors(color_translator) -> None:
    LiveWindow().handle_key("c", color_translator)
    assert color_translator.controls is None


def test_a_recording_plays_in_real_time(tmp_path: Path, translator, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [5.0]
    monkeypatch.setattr(live_show.time, "perf_counter", lambda: now[0])
    with live_show.Recording(tmp_path / "out.avi", 10.0, 16, 16) as recording:
        for moment in (0.0, 0.1, 0.5, 2.0):  # a frame is due every 0.1 seconds
            now[0] = 5.0 + moment
            recording.show(torch.full((3, 16, 16), moment / 2.0), translator, Meter())
    values = [float(frame.mean()) for frame in VideoReader(tmp_path / "out.avi")]
    np.testing.assert_allclose(values, [0.0, 0.05, *[0.25] * 3, *[1.0] * 15], atol=0.02)


def test_an_interrupted_recording_holds_what_was_shown(
    tmp_path: Path, clip: Path, translator, monkeypatch: pytest.MonkeyPatch, interrupt: Callable[[], None]
) -> None:
    target = tmp_path / "out.avi"
    recording = live_show.open_output(str(target), LoopedClip(clip))
    shown, show_one = [], live_show.Recording.show

    def count(self, *given) -> None:
        show_one(self, *given)
        shown.append(1)
        if len(shown) == 4:
            interrupt()

    monkeypatch.setattr(live_show.Recording, "show", count)
    with pytest.raises(KeyboardInterrupt):
        live_show.run(LoopedClip(clip), translator, recording, live_show.open_control(None, ""))
    reader = VideoReader(target)
    assert (reader.rate, reader.height, reader.width) == (50.0, 48, 64)
    assert len(list(reader)) >= 4
