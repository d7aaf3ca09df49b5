"""--out ndi:NAME, with a stand-in for cyndilib that refuses what the real one refuses."""

from __future__ import annotations

import sys
from collections.abc import Callable
from fractions import Fraction
from types import ModuleType

import numpy as np
import pytest

from inpaint_core.__main__ import main

pytest.importorskip("cv2")


class Frame:
    def set_resolution(self, width: int, height: int) -> None:
        self.size = (width, height)

    def set_frame_rate(self, rate: Fraction) -> None:
        assert isinstance(rate, Fraction)
        self.rate = rate

    def set_fourcc(self, fourcc: str) -> None:
        self.fourcc = fourcc


class Network:
    """Everything that was sent by the only sender; `on_frame` is called with the number of each frame."""

    def __init__(self) -> None:
        self.frames: list[np.ndarray] = []
        self.closed = 0
        self.on_frame: Callable[[int], bool | None] = lambda number: True
        self.fault: Exception | None = None


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch, interrupt: Callable[[], None]) -> Network:
    network = Network()
    network.on_frame = lambda number: interrupt() if number == 7 else True

    class Sender:
        def __init__(self, name: str, ndi_groups: str = "", clock_video: bool = True) -> None:
            network.sender = self
            self.name, self.clock_video, self.running = f"MACHINE ({name})", clock_video, False

        def set_video_frame(self, frame: Frame) -> None:
            assert not self.running
            self.frame = frame

        def open(self) -> None:
            if network.fault is not None:
                raise network.fault
            self.running = True

        def write_video(self, data: np.ndarray) -> bool:
            if not self.running:
                return False
            width, height = self.frame.size
            assert (data.dtype, data.shape) == (np.uint8, (width * height * 4,))
            assert data.flags.c_contiguous
            network.frames.append(data.reshape(height, width, 4).copy())
            return bool(network.on_frame(len(network.frames)))

        def close(self) -> None:
            self.running = False
            network.closed += 1

    modules = {
        "cyndilib": {},
        "cyndilib.sender": {"Sender": Sender},
        "cyndilib.video_frame": {"VideoSendFrame": Frame},
        "cyndilib.wrapper": {},
        "cyndilib.wrapper.ndi_structs": {"FourCC": type("FourCC", (), {"RGBX": "RGBX", "RGBA": "RGBA"})},
    }
    for name, contents in modules.items():
        module = ModuleType(name)
        vars(module).update(contents)
        monkeypatch.setitem(sys.modules, name, module)
    return network


@pytest.mark.usefixtures("unchanged")
def test_frames_arrive_in_rgbx_with_the_size_and_rate_of_the_clip(
    command: list[str], network: Network, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, "--out", "ndi:flowers"]) == 130
    sender = network.sender
    assert (sender.frame.size, sender.frame.rate, sender.frame.fourcc) == ((64, 48), Fraction(50), "RGBX")
    assert not sender.clock_video
    assert len(network.frames) == 7
    for frame in network.frames:
        np.testing.assert_allclose(frame[:, 4:28].mean((0, 1)), [255, 0, 0, 255], atol=6)
    assert network.closed == 1
    assert "as the NDI source MACHINE (flowers)" in capsys.readouterr().out


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("reason", ["closed", "raised"])
def test_a_source_that_takes_no_more_frames_ends_the_show_in_one_line(
    reason: str,
    command: list[str],
    network: Network,
    interrupt: Callable[[], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(number: int) -> bool:
        if number > 3:
            interrupt()  # or the show would never end
        if number < 3:
            return True
        if reason == "closed":
            return False
        raise Exception("send_status is NULL")

    network.on_frame = fail
    assert main([*command, "--out", "ndi:flowers"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "the NDI source 'flowers' takes no more frames" in line
    assert (len(network.frames), network.closed) == (3, 1)


@pytest.mark.usefixtures("unchanged")
def test_a_source_that_cannot_be_opened_is_reported_in_one_line(
    command: list[str], network: Network, capsys: pytest.CaptureFixture[str]
) -> None:
    network.fault = MemoryError()
    assert main([*command, "--out", "ndi:flowers"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "the NDI source 'flowers' cannot be opened: MemoryError" in line


@pytest.mark.parametrize("name", ["", "  ", "a" * 101, "two\nlines", "\x1b[31m"])
def test_unsuitable_names_are_refused_in_one_line(
    name: str, command: list[str], network: Network, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, "--out", f"ndi:{name}"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "give the source a name of 1 to 100 printable characters" in line
    assert not network.frames
