"""A small model, a colored clip and a virtual camera for tests without devices."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from inpaint_core.checkpoints.files import save_model
from inpaint_core.checkpoints.prepare_settings import PrepareSettings
from inpaint_core.checkpoints.translation_model import TranslationModel
from inpaint_core.files.videos import write_clip
from inpaint_core.translation import FrameTranslator

from ..translation.small_model import small_model

HEIGHT, WIDTH, RATE, FRAMES = 48, 64, 50.0, 5


def live_model(channels: int = 1) -> TranslationModel:
    return small_model(PrepareSettings(reduction=6) if channels == 1 else None, channels, trained_size=64)


@pytest.fixture
def translator() -> FrameTranslator:
    return FrameTranslator(live_model(), smooth_output=0.5)


@pytest.fixture
def color_translator() -> FrameTranslator:
    return FrameTranslator(live_model(channels=3), smooth_output=0.5)


@pytest.fixture(scope="session")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "small.safetensors"
    save_model(live_model(), path)
    return path


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five frames; the left half is red, the right half blue with a brightness of (n + 1) / 5."""
    path = tmp_path_factory.mktemp("clip") / "clip.avi"
    with write_clip(path, RATE, HEIGHT, WIDTH) as writer:
        for number in range(FRAMES):
            frame = torch.zeros(3, HEIGHT, WIDTH)
            frame[0, :, : WIDTH // 2] = 1.0
            frame[2, :, WIDTH // 2 :] = (number + 1) / FRAMES
            writer.write(frame)
    return path


@pytest.fixture
def command(model_file: Path, clip: Path) -> list[str]:
    """The command on the clip, without its --out."""
    return ["translate", "--model", str(model_file), "--input", str(clip)]


@pytest.fixture
def unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    """A translation that returns its input."""
    monkeypatch.setattr(FrameTranslator, "__call__", lambda self, frames: frames)


@pytest.fixture
def interrupt() -> Iterator[Callable[[], None]]:
    """Presses Ctrl-C; a shell's background job would otherwise ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield lambda: os.kill(os.getpid(), signal.SIGINT)
    signal.signal(signal.SIGINT, before)


class Device:
    """What pyvirtualcam drives: records the frames, and calls `on_frame` with their number after each."""

    def __init__(self) -> None:
        self.opened: dict[str, object] = {}
        self.frames: list[np.ndarray] = []
        self.closed = 0
        self.name = "stand-in"
        self.on_frame: Callable[[int], None] = lambda number: None

    def open(self, **given: object) -> Device:
        self.opened = given
        return self

    def send(self, frame: np.ndarray) -> None:
        assert not self.closed
        assert frame.dtype == np.uint8
        self.frames.append(frame.reshape(self.opened["height"], self.opened["width"], 3).copy())
        self.on_frame(len(self.frames))

    def close(self) -> None:
        self.closed += 1

    def device(self) -> str:
        return self.name

    def native_fourcc(self) -> None:
        return None


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch, interrupt: Callable[[], None]) -> Iterator[Device]:
    """The only virtual camera; Ctrl-C is pressed after 12 frames unless a test does something else."""
    camera = pytest.importorskip("pyvirtualcam.camera")
    device = Device()
    device.on_frame = lambda number: interrupt() if number == 12 else None
    monkeypatch.setattr(camera, "BACKENDS", {"stand-in": device.open})
    kept = []

    class Kept(camera.Camera):  # pyvirtualcam also closes a camera that nothing refers to any more
        def __init__(self, *given: Any, **named: Any) -> None:
            kept.append(self)
            super().__init__(*given, **named)

    monkeypatch.setattr("pyvirtualcam.Camera", Kept)
    yield device
    assert device.closed == len(kept)
