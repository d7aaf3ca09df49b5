"""--out virtualcam: the real pyvirtualcam on a stand-in for the device."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from inpaint_core.__main__ import main
from inpaint_core.files.videos import VideoError
from inpaint_core.live.virtual_camera import VirtualCamera
from inpaint_core.translation import FrameTranslator
from inpaint_core.translation.live import LoopedClip, Meter

pytest.importorskip("cv2")


def one_error(capsys: pytest.CaptureFixture[str]) -> str:
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    return line


@pytest.mark.usefixtures("unchanged")
def test_frames_arrive_in_rgb_with_the_size_and_rate_of_the_clip(
    command: list[str], device, capsys: pytest.CaptureFixture[str]
) -> None:
    from pyvirtualcam import PixelFormat
    from pyvirtualcam.util import decode_fourcc

    assert main([*command, "--out", "virtualcam"]) == 130
    opened = device.opened
    assert (opened["width"], opened["height"], opened["fps"]) == (64, 48, 50.0)
    assert PixelFormat(decode_fourcc(opened["fourcc"])) is PixelFormat.RGB
    assert len(device.frames) == 12
    for frame in device.frames:
        np.testing.assert_allclose(frame[:, 4:28].mean((0, 1)), [255, 0, 0], atol=6)
        assert frame[:, 36:60, :2].mean() < 6
    assert "sending 64x48 pixels, 50 frames per second, to stand-in" in capsys.readouterr().out


@pytest.mark.usefixtures("unchanged")
def test_the_clip_is_repeated(command: list[str], device) -> None:
    assert main([*command, "--out", "virtualcam"]) == 130
    numbers = [round(frame[:, 36:60, 2].mean() / 255 * 5) - 1 for frame in device.frames]
    # A busy machine may skip frames, but twelve of five can only come from the beginning again.
    assert any(after <= before for before, after in itertools.pairwise(numbers))


def test_the_frames_are_those_of_the_translation(command: list[str], device, monkeypatch: pytest.MonkeyPatch) -> None:
    made, translate = [], FrameTranslator.__call__

    def remember(self: FrameTranslator, frames: torch.Tensor) -> torch.Tensor:
        made.append(translate(self, frames))
        return made[-1]

    monkeypatch.setattr(FrameTranslator, "__call__", remember)
    assert main([*command, "--out", "virtualcam"]) == 130
    shown = [(frame[0] * 255.0).round().permute(1, 2, 0).numpy() for frame in made[1:]]  # the first warms up
    np.testing.assert_array_equal(device.frames, np.asarray(shown[:12], np.uint8))


def test_ctrl_c_closes_the_device_and_the_clip(
    command: list[str], device, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    closed, close = [], LoopedClip.close
    monkeypatch.setattr(LoopedClip, "close", lambda self: (closed.append(1), close(self)))
    assert main([*command, "--out", "virtualcam"]) == 130
    assert device.closed == 1
    assert closed
    assert capsys.readouterr().err == "interrupted\n"


def test_an_odd_size_loses_its_last_row_and_column(device, translator: FrameTranslator) -> None:
    frame = torch.rand(3, 31, 45, generator=torch.Generator().manual_seed(0)).mul(255.0).round() / 255.0
    with VirtualCamera(25.0, 31, 45) as camera:
        camera.show(frame, translator, Meter())
    expected = frame[:, :30, :44].mul(255.0).round().permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(device.frames[0], expected.astype(np.uint8))


def test_frames_of_one_pixel_are_refused() -> None:
    with pytest.raises(VideoError, match="at least 2x2"):
        VirtualCamera(25.0, 1, 45)


@pytest.mark.usefixtures("unchanged")
def test_a_device_that_takes_no_more_frames_ends_the_show_in_one_line(
    command: list[str], device, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(number: int) -> None:
        if number == 3:
            raise RuntimeError("no such\ndevice")

    device.on_frame = fail
    assert main([*command, "--out", "virtualcam"]) == 2
    assert "stand-in takes no more frames" in one_error(capsys)
    assert device.closed == 1


@pytest.mark.usefixtures("unchanged")
def test_a_device_file_that_disappears_ends_the_show_in_one_line(
    command: list[str], device, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "video10"
    file.touch()
    device.name = str(file)
    device.on_frame = lambda number: file.unlink() if number == 3 else None
    assert main([*command, "--out", "virtualcam"]) == 2
    assert "video10 is gone" in one_error(capsys)
    assert len(device.frames) == 3
    assert device.closed == 1


def test_an_error_of_the_translation_closes_the_device(
    command: list[str], device, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = []

    def fail(self: FrameTranslator, frames: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        if len(calls) == 3:
            raise ValueError("the model's output is not finite")
        return frames

    monkeypatch.setattr(FrameTranslator, "__call__", fail)
    assert main([*command, "--out", "virtualcam"]) == 2
    assert "not finite" in one_error(capsys)
    assert (len(device.frames), device.closed) == (1, 1)


@pytest.mark.usefixtures("unchanged")
def test_frames_of_another_size_end_the_show_in_one_line(
    command: list[str], device, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    read = LoopedClip.read
    monkeypatch.setattr(LoopedClip, "read", lambda self: read(self)[:40])
    assert main([*command, "--out", "virtualcam"]) == 2
    assert "the frames changed from 64x48 to 64x40 pixels" in one_error(capsys)
    assert device.closed == 1


def test_without_a_device_one_line_says_what_to_install(
    command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    camera = pytest.importorskip("pyvirtualcam.camera")

    def none(**_: object) -> None:
        raise RuntimeError("no v4l2 loopback device found")

    monkeypatch.setattr(camera, "BACKENDS", {"stand-in": none})
    assert main([*command, "--out", "virtualcam"]) == 2
    line = one_error(capsys)
    assert "no virtual camera can be opened" in line
    assert "OBS" in line
    assert "v4l2loopback" in line


@pytest.mark.parametrize(
    ("options", "package"),
    [
        (["--out", "virtualcam"], "pyvirtualcam"),
        (["--out", "ndi:test"], "cyndilib"),
        (["--out", "window", "--osc", "9000"], "pythonosc"),
    ],
)
def test_a_missing_package_is_named_with_its_extra(
    options: list[str],
    package: str,
    command: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    assert main([*command, *options]) == 2
    assert 'pip install -e ".[live]"' in one_error(capsys)


@pytest.mark.parametrize(
    ("options", "module"),
    [
        (["--out", "virtualcam"], "virtual_camera"),
        (["--out", "ndi:test"], "ndi"),
        (["--out", "window", "--osc", "9000"], "osc"),
    ],
)
def test_where_the_live_modules_were_left_out_one_line_says_so(
    options: list[str],
    module: str,
    command: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, f"inpaint_core.live.{module}", None)
    assert main([*command, *options]) == 2
    assert "is not part of the registry's archive" in one_error(capsys)


@pytest.mark.parametrize("out", ["window", "virtualcam", "ndi:test"])
def test_a_picture_is_not_shown_live(
    out: str, model_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for source in (tmp_path / "a.png", tmp_path):
        assert main(["translate", "--model", str(model_file), "--input", str(source), "--out", out]) == 2
        assert "needs a camera or a video" in one_error(capsys)


def test_osc_is_refused_when_nothing_is_live(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, "--out", str(tmp_path / "out.mp4"), "--osc", "9000"]) == 2
    assert "--osc" in one_error(capsys)
    assert not list(tmp_path.iterdir())


def test_without_the_module_the_other_outputs_still_work(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interrupt: Callable[[], None]
) -> None:
    monkeypatch.setitem(sys.modules, "inpaint_core.live", None)
    assert main([*command, "--out", str(tmp_path / "out.mp4")]) == 0
