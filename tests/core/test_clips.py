"""Clips: fills that follow the motion."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from inpaint_core.inpainting.classical import ClassicalFill
from inpaint_core.inpainting.clips import inpaint_clip, motion
from inpaint_core.inpainting.inpaint import inpaint


def texture(height: int, width: int, seed: int = 0) -> Tensor:
    """Smooth noise, in which motion can be measured."""
    import cv2

    noise = np.random.default_rng(seed).random((height, width, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2.0)
    smooth = (smooth - smooth.min()) / (smooth.max() - smooth.min())
    return torch.from_numpy(smooth).permute(2, 0, 1)[None]


def panned(step: int, count: int, seed: int = 0) -> Tensor:
    """A camera that moves to the right over a picture, `step` pixels per frame."""
    wide = texture(96, 128 + step * count, seed)
    return torch.cat([wide[..., step * index : step * index + 128] for index in range(count)])


def hole() -> Tensor:
    mask = torch.zeros(1, 1, 96, 128)
    mask[..., 34:62, 48:84] = 1.0
    return mask


class Flickering:
    """Fills every picture with another color, an exaggeration of what a network does to frames."""

    def __init__(self) -> None:
        self.calls = 0

    def complete(self, image: Tensor, mask: Tensor) -> Tensor:
        self.calls += 1
        return torch.full_like(image, 0.2 + 0.17 * (self.calls % 5))


def fill(completer, image, mask, is_new):
    return inpaint(completer, image, mask, "whole", feather=0)


def run(model, frames, mask):
    seen = []
    result = inpaint_clip(model, frames, mask, fill, lambda done, total, frame: seen.append((done, total)))
    assert seen == [(index + 1, len(result)) for index in range(len(result))]
    return result


def test_a_still_clip_gives_identical_frames():
    frames = texture(96, 128).expand(5, -1, -1, -1)
    model = Flickering()
    result = run(model, frames, hole())
    assert all(torch.equal(frame, result[0]) for frame in result)
    assert model.calls == 1


@pytest.mark.parametrize("step", [0, 3])
def test_known_pixels_are_untouched(step):
    frames = panned(step, 4)
    result = run(ClassicalFill("telea"), frames, hole())
    known = (hole() < 0.5).expand_as(frames)
    assert torch.equal(result[known], frames[known])


def test_motion_is_that_of_the_camera_also_in_the_hole():
    frames = panned(3, 2)
    flow = motion(frames[:1], frames[1:], hole())
    assert np.abs(flow[..., 0] - 3.0)[8:-8, 8:-12].mean() < 0.3
    assert np.abs(flow[..., 1])[8:-8, 8:-12].mean() < 0.3


def test_the_fill_moves_with_the_picture_instead_of_flickering():
    frames = panned(2, 6)
    model = Flickering()
    separate = torch.cat([fill(model, frame[None], hole(), True) for frame in frames])
    followed = run(Flickering(), frames, hole())

    def flicker(clip):
        inside = hole()[0, 0, :, 2:] > 0.5
        return float((clip[1:, :, :, :-2] - clip[:-1, :, :, 2:]).abs().mean(1)[:, inside].mean())

    assert flicker(followed) < 0.35 * flicker(separate)


def test_what_an_earlier_frame_has_shown_is_used():
    # 36 pixels of hole and 8 a frame: from the sixth frame on everything in the hole was seen before.
    frames = panned(8, 8)
    result = run(ClassicalFill("mean"), frames, hole())
    inside = hole()[0, 0] > 0.5
    error = (result - frames).abs().mean(1)[:, inside].mean(1)
    assert error[-1] < 0.5 * error[0]


def test_the_fill_restarts_at_a_cut():
    frames = torch.cat([panned(0, 2), panned(0, 2, seed=5)])
    model = Flickering()
    result = run(model, frames, hole())
    assert model.calls == 2
    alone = run(Flickering(), frames[2:], hole())
    inside = (hole() > 0.5).expand_as(frames[2:])
    assert result[2:][inside].std() < 0.01
    assert alone.shape == result[2:].shape


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (15, 40)])
def test_tiny_frames_and_gray_or_transparent_ones(size):
    for channels in (1, 3, 4):
        frames = torch.rand(3, channels, *size, generator=torch.Generator().manual_seed(0))
        mask = torch.zeros(1, 1, *size)
        mask[..., : size[0] // 2 + 1, : size[1] // 2 + 1] = 1.0
        result = run(ClassicalFill("mean"), frames, mask)
        assert result.shape == frames.shape
        assert torch.equal(result[:, 3:], frames[:, 3:])


def test_masks_that_follow_an_object_and_frames_without_a_hole():
    frames = panned(2, 4)
    masks = torch.cat([torch.roll(hole(), 3 * index, 3) for index in range(4)])
    masks[2] = 0.0
    result = run(ClassicalFill("telea"), frames, masks)
    known = (masks < 0.5).expand_as(frames)
    assert torch.equal(result[known], frames[known])
