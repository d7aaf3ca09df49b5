"""Clips in and out, the frame grabber, and the command."""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from inpaint_core.__main__ import main
from inpaint_core.checkpoints.card import ModelCard
from inpaint_core.checkpoints.files import save_model
from inpaint_core.checkpoints.prepare_settings import PrepareSettings
from inpaint_core.checkpoints.translation_model import TranslationModel
from inpaint_core.files.images import decode_image, write_image
from inpaint_core.files.videos import VideoError, VideoReader, from_bgr, to_bgr, write_clip
from inpaint_core.models.registry import build_model
from inpaint_core.translation import FrameTranslator
from inpaint_core.translation.live import FrameGrabber, LoopedClip, Meter

cv2 = pytest.importorskip("cv2")


def small_model() -> TranslationModel:
    network = build_model("pix2pix_unet", **{"input_channels": 1, "width": 4, "depth": 3})
    card = ModelCard(
        architecture="pix2pix_unet",
        arguments={"input_channels": 1, "width": 4, "depth": 3},
        task="translation",
        value_range="signed",
        trained_size=64,
        prepare=PrepareSettings(reduction=6),
    )
    return TranslationModel(card, network)


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "small.safetensors"
    save_model(small_model(), path)
    return path


def make_clip(path: Path, count: int, rate: float = 24.0, height: int = 48, width: int = 64) -> Path:
    """Frame n is gray, with a left half whose brightness encodes n."""
    with write_clip(path, rate, height, width) as clip:
        for number in range(count):
            frame = torch.full((3, height, width), 0.5)
            frame[..., : width // 2] = number / max(count - 1, 1)
            clip.write(frame)
    return path


def brightness(frame: np.ndarray) -> float:
    return float(frame[:, : frame.shape[1] // 3].mean()) / 255.0


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".mkv"])
@pytest.mark.parametrize("rate", [12.5, 30000 / 1001])
def test_a_clip_is_read_back_with_its_frames_rate_and_size(tmp_path: Path, suffix: str, rate: float) -> None:
    path = make_clip(tmp_path / f"clip{suffix}", 21, rate, 50, 66)
    reader = VideoReader(path)
    frames = list(reader)
    assert len(frames) == reader.count == 21
    assert abs(reader.rate - rate) < 0.02
    assert frames[0].shape == (3, 50, 66)
    for number, frame in enumerate(frames):
        assert abs(float(frame[..., :20].mean()) - number / 20) < 0.03


def test_colors_survive_the_round_trip_to_opencv() -> None:
    frame = torch.rand(3, 5, 7, generator=torch.Generator().manual_seed(0)).mul(255.0).round() / 255.0
    torch.testing.assert_close(from_bgr(to_bgr(frame)), frame)
    red = torch.zeros(3, 2, 2)
    red[0] = 1.0
    assert to_bgr(red)[0, 0].tolist() == [0, 0, 255]


def test_an_interrupted_clip_holds_what_was_written(tmp_path: Path) -> None:
    target = tmp_path / "clip.mp4"
    with pytest.raises(KeyboardInterrupt), write_clip(target, 25.0, 32, 32) as clip:  # noqa: PT012
        for _ in range(7):
            clip.write(torch.zeros(3, 32, 32))
        raise KeyboardInterrupt
    assert len(list(VideoReader(target))) == 7
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]


def test_nothing_is_left_when_no_frame_was_written(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), write_clip(tmp_path / "clip.mp4", 25.0, 32, 32):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_bad_clips_are_rejected_with_one_line(tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"no video" * 100)
    with pytest.raises(VideoError, match="not a video that can be decoded"):
        VideoReader(tmp_path / "broken.mp4")
    with pytest.raises(VideoError, match="no such video file"):
        VideoReader(tmp_path / "none.mp4")
    with pytest.raises(VideoError, match=r"must end in one of \.mp4"), write_clip(tmp_path / "clip.gif", 25.0, 8, 8):
        pass


class Commanded:
    """A camera that returns its n-th frame, filled with n, on command."""

    def __init__(self) -> None:
        self._orders: queue.Queue[bool] = queue.Queue()
        self._asked = threading.Semaphore(0)
        self.number, self.closed = 0, False

    def give(self, count: int) -> None:
        """Supply frames one at a time on request; returns when one more is requested."""
        for _ in range(count):
            assert self._asked.acquire(timeout=20.0)
            self._orders.put(True)
        assert self._asked.acquire(timeout=20.0)
        self._asked.release()

    def end(self) -> None:
        self._orders.put(False)

    def read(self) -> np.ndarray | None:
        self._asked.release()
        if not self._orders.get(timeout=20.0):
            return None
        self.number += 1
        return np.full((2, 2, 3), self.number, np.uint8)

    def close(self) -> None:
        self.closed = True


def test_a_slow_reader_always_gets_the_newest_frame() -> None:
    camera = Commanded()
    with FrameGrabber(camera) as grabber:
        number = 0
        for passed in (1, 7, 2, 30):
            camera.give(passed)  # this many frames arrive while the model works
            grabbed = grabber.newer_than(number)
            assert grabbed.number == camera.number == number + passed
            assert int(grabbed.frame[0, 0, 0]) == grabbed.number
            number = grabbed.number
        camera.end()
    assert camera.closed


def test_a_fast_reader_waits_for_the_next_frame_instead_of_getting_one_twice() -> None:
    camera = Commanded()
    with FrameGrabber(camera) as grabber:
        camera.give(1)
        threading.Timer(0.05, camera.give, [1]).start()
        assert grabber.newer_than(1).number == 2
        camera.end()


def test_a_camera_that_ends_is_reported() -> None:
    camera = Commanded()
    with FrameGrabber(camera) as grabber:
        camera.give(3)
        camera.end()
        assert grabber.newer_than(0).number == 3
        with pytest.raises(VideoError, match="stopped delivering frames"):
            grabber.newer_than(3)


def test_a_looped_file_stands_in_for_a_camera(tmp_path: Path) -> None:
    source = LoopedClip(make_clip(tmp_path / "clip.avi", 5, rate=100.0))
    began = time.perf_counter()
    values = [brightness(source.read()) for _ in range(12)]
    took = time.perf_counter() - began
    source.close()
    np.testing.assert_allclose(values, [0.25 * (n % 5) for n in range(12)], atol=0.03)
    assert took > 0.1  # not faster than its rate


def test_with_a_slow_model_the_newest_frame_of_the_looped_file_is_shown(tmp_path: Path) -> None:
    with FrameGrabber(LoopedClip(make_clip(tmp_path / "clip.avi", 100, rate=50.0))) as grabber:
        number = 0
        for _ in range(3):
            time.sleep(0.2)  # a slow model
            grabbed = grabber.newer_than(number)
            assert grabbed.number > number + 1
            assert abs(brightness(grabbed.frame) - (grabbed.number - 1) % 100 / 99) < 0.03
            number = grabbed.number


def test_the_meter_reports_the_actual_rate_and_latency() -> None:
    meter = Meter()
    for frame in range(30):
        meter.add(frame * 0.1, frame * 0.1 + 0.07)
    assert meter.frames_per_second == pytest.approx(10.0)
    assert meter.latency == pytest.approx(0.07)


# --- the command -----------------------------------------------------------------------------------------------------


def test_video_to_video_keeps_count_rate_and_size(
    tmp_path: Path, model_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = make_clip(tmp_path / "in.mp4", 30, 24.0, 70, 90)
    out = tmp_path / "out.mp4"
    options = ["--stretch", "percentile", "--frames-per-batch", "7"]
    assert main(["translate", "--model", str(model_file), "--input", str(clip), "--out", str(out), *options]) == 0
    reader = VideoReader(out)
    assert (len(list(reader)), reader.rate, reader.height, reader.width) == (30, 24.0, 70, 90)
    assert "30 frames, 24 per second, 90x70" in capsys.readouterr().out


def test_pictures_and_folders_are_translated(tmp_path: Path, model_file: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a", "b"):
        write_image(folder / f"{name}.png", torch.rand(3, 40, 52, generator=torch.Generator().manual_seed(ord(name))))
    (folder / "bad.png").write_bytes(b"nothing")
    arguments = ["translate", "--model", str(model_file)]
    assert main([*arguments, "--input", str(folder), "--out", str(tmp_path / "out")]) == 2
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "b.png"]
    assert main([*arguments, "--input", str(folder / "a.png"), "--out", str(tmp_path / "one.png")]) == 0
    one, same = decode_image(tmp_path / "one.png").image, decode_image(tmp_path / "out" / "a.png").image
    assert one.shape == (3, 40, 52)
    assert torch.equal(one, same)


@pytest.mark.parametrize(
    ("source", "out", "message"),
    [
        ("camera:97", "window", "no camera 97"),
        ("camera:front", "window", "specify a camera by its number"),
        ("none.mp4", "out.mp4", "no such video file"),
        ("none.png", "out.png", "no such picture file"),
        ("text.txt", "out.png", "not a picture, a folder, a video"),
    ],
)
def test_what_cannot_be_opened_is_rejected_in_one_line(
    source: str, out: str, message: str, model_file: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    where = source if source.startswith("camera") else str(tmp_path / source)
    target = out if out == "window" else str(tmp_path / out)
    assert main(["translate", "--model", str(model_file), "--input", where, "--out", target]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert message in line


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a window needs no display variable")
def test_without_a_display_a_window_is_rejected_in_one_line(
    tmp_path: Path, model_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    clip = make_clip(tmp_path / "in.avi", 3)
    assert main(["translate", "--model", str(model_file), "--input", str(clip), "--out", "window"]) == 2
    assert "no window can be opened" in capsys.readouterr().err


def test_translate_rejects_an_inpainting_model_and_inpaint_a_translation_model(
    tmp_path: Path, model_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from inpaint_core.checkpoints.inpainting_model import InpaintingModel

    arguments = {"width": 4, "depth": 2}
    inpainter = tmp_path / "inpainter.safetensors"
    save_model(
        InpaintingModel(ModelCard(architecture="unet", arguments=arguments), build_model("unet", **arguments)),
        inpainter,
    )
    picture = tmp_path / "a.png"
    write_image(picture, torch.zeros(3, 8, 8))
    out = ["--out", str(tmp_path / "out.png")]
    assert main(["translate", "--model", str(inpainter), "--input", str(picture), *out]) == 2
    assert "this is an inpainting model" in capsys.readouterr().err
    assert main(["inpaint", "--model", str(model_file), "--image", str(picture), "--mask", "rectangles", *out]) == 2
    assert "this is a translation model" in capsys.readouterr().err


@pytest.mark.skipif(os.name != "posix", reason="SIGINT is sent")
def test_sigint_leaves_a_playable_file(
    tmp_path: Path, model_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clip, out = make_clip(tmp_path / "in.avi", 200), tmp_path / "out.avi"
    made, translate = [0], FrameTranslator.__call__

    def count(self: FrameTranslator, frames: torch.Tensor) -> torch.Tensor:
        made[0] += len(frames)
        if made[0] >= 20:  # the signal comes while frame 20 is being made, however fast the machine is
            os.kill(os.getpid(), signal.SIGINT)
        return translate(self, frames)

    monkeypatch.setattr(FrameTranslator, "__call__", count)
    line = ["translate", "--model", str(model_file), "--input", str(clip), "--out", str(out)]
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job starts with it ignored
    try:
        assert main(line) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    assert "holds the frames written so far" in capsys.readouterr().err
    assert 8 <= len(list(VideoReader(out))) < 40
    assert not list(tmp_path.glob(".out*"))


# --- the window ------------------------------------------------------------------------------------------------------


def test_keys_change_smoothing_contrast_and_freeze() -> None:
    from inpaint_core.commands.live_window import LiveWindow, compose

    window = LiveWindow()
    translator = FrameTranslator(small_model(), smooth_output=0.5)
    window.handle_key("]", translator)
    assert translator.smooth_output.amount == 0.6
    for _ in range(9):
        window.handle_key("[", translator)
    assert translator.smooth_output.amount == 0.0
    stretches = []
    for _ in range(3):
        window.handle_key("c", translator)
        stretches.append(translator.controls.stretch)
    assert stretches == ["percentile", "clahe", "none"]
    window.handle_key(" ", translator)
    assert window.frozen
    window.handle_key("q", translator)
    assert not window.open
    output = translator(torch.rand(1, 3, 40, 60, generator=torch.Generator().manual_seed(0)))[0]
    picture = compose(output, translator.seen, ("12.0 fps  40 ms", "help"))
    assert picture.shape == (512, 2 * 768, 3)
