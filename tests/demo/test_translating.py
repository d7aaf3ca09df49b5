"""Learning to See on the page gives what the library gives."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from demo.models import Models
from demo.pictures import Limits, VisitorError, open_upload
from demo.translating import LIVE_PIXELS, Live, Look, make_translator, shrink, translate_upload
from inpaint_core import translate
from inpaint_core.files.images import decode_image
from inpaint_core.translation import LiveControls

LOOK = Look("see-clouds", zoom=2.0, contrast="percentile", invert=True, size=128)


def test_a_picture_is_translated_as_by_the_library(models: Models, picture: Path, tmp_path: Path) -> None:
    upload = open_upload(picture, Limits())
    result = translate_upload(models, Limits(), upload, LOOK, tmp_path)
    controls = LiveControls(zoom=2.0, stretch="percentile", invert=True)
    frames = decode_image(picture).image[None]
    expected = translate(models.translator("see-clouds"), frames, controls=controls, size=128)[0]
    written = decode_image(result.file).image
    assert float((written - expected).abs().max()) <= 0.5 / 255 + 1e-6
    assert result.file.name == "noise_see-clouds.png"
    assert result.after.shape == result.before.shape == (72, 96, 3)
    assert (result.seen[..., :1] == result.seen).all()


def test_frames_are_smoothed_with_the_previous_ones_until_a_setting_changes(models: Models) -> None:
    rng = np.random.default_rng(0)
    first = rng.integers(0, 200, (48, 64, 3), dtype=np.uint8)
    second = first.copy()
    second[:24] += 25  # less than at a cut

    def step(live: Live, frame: np.ndarray, smoothing: float, invert: bool = False) -> np.ndarray:
        look = Look("see-clouds", size=128, invert=invert)
        shown = Image.open(io.BytesIO(live.step(models, frame, look, smoothing)))
        return np.asarray(shown).astype(int)

    live = Live()
    start = step(live, first, 0.9)
    assert start.shape == (48, 64, 3)
    alone, smoothed = step(Live(), second, 0.0), step(live, second, 0.9)
    assert np.abs(smoothed - start).mean() < 0.5 * np.abs(alone - start).mean()
    assert np.array_equal(step(live, first, 0.9, invert=True), step(Live(), first, 0.9, invert=True))


def test_settings_out_of_range_are_refused(models: Models) -> None:
    for look, smoothing, sentence in [
        (Look("see-nothing"), 0.0, "There is no such model"),
        (Look("see-clouds", zoom=100.0), 0.0, "choose a zoom"),
        (Look("see-clouds", contrast="none; rm"), 0.0, "cannot be used"),
        (Look("see-clouds", size=100_000), 0.0, "The working size 100000"),
        (Look("see-clouds"), 1.0, "Smoothing 1"),
    ]:
        with pytest.raises(VisitorError, match=sentence):
            make_translator(models, look, smoothing)
    live = Live()
    frame = np.zeros((8, 8, 3), np.uint8)
    live.step(models, frame, LOOK, 0.5)
    with pytest.raises(VisitorError, match="Smoothing 2"):
        live.step(models, frame, LOOK, 2.0)


def test_large_frames_are_reduced() -> None:
    frame = np.zeros((1080, 1920, 3), np.uint8)
    assert np.prod(shrink(frame).shape[:2]) <= 2 * LIVE_PIXELS
    small = np.arange(48 * 64 * 3, dtype=np.uint8).reshape(48, 64, 3)
    assert np.array_equal(shrink(small), small)
    assert torch.from_numpy(shrink(frame)).is_contiguous()
