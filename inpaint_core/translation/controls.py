"""Live controls: image operations applied to frames before they enter a network.

zoom and shift - grayscale - blur - median - threshold - Canny - invert - (abstraction) - contrast stretch. The order is
that of webcam-pix2pix (Akten 2017), except for the inversion: Canny edges do not depend on it, so it comes after them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.nn import functional as F

from ..checkpoints.prepare_settings import InputStatistics
from ..eight_bit import from_uint8, to_uint8

Stretch = Literal["none", "percentile", "clahe"]
Gradient = Annotated[float, Field(ge=0.0, le=10_000.0)]
PERCENTILES = (0.01, 0.99)
MIN_SPREAD = 1e-3  # a flat frame has no contrast to stretch
MEASURED_VALUES = 1_000_000  # torch.quantile takes at most 2**24


class LiveControls(BaseModel):
    """Settings of the live controls; the defaults do nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    zoom: float = Field(default=1.0, ge=0.25, le=8.0)
    """Above 1: the center of the frame, enlarged. Below 1: the frame reduced, with its border replicated around it."""
    shift_x: float = Field(default=0.0, ge=-1.0, le=1.0)
    """Shift to the right, as a fraction of the width."""
    shift_y: float = Field(default=0.0, ge=-1.0, le=1.0)
    """Shift down, as a fraction of the height."""
    blur: int = Field(default=0, ge=0, le=64)
    """n: Gaussian blur of 2n+1 pixels."""
    median: int = Field(default=0, ge=0, le=32)
    """n: median filter of 2n+1 x 2n+1 pixels."""
    threshold: float = Field(default=0.0, ge=0.0, le=1.0)
    """Darker values become black; the others are unchanged."""
    canny: tuple[Gradient, Gradient] | None = None
    """Lower and upper threshold of the Canny edge detector, in 8-bit units."""
    invert: bool = False
    stretch: Stretch = "none"
    """percentile: map the frames' 1st and 99th percentiles to those of the training inputs. clahe: local histogram
    equalization, then match the mean and standard deviation of the training inputs."""


def move(frames: Tensor, controls: LiveControls) -> Tensor:
    """Zoom and shift `[B,C,H,W]`, replicating the border."""
    if (controls.zoom, controls.shift_x, controls.shift_y) == (1.0, 0.0, 0.0):
        return frames
    step = 1.0 / controls.zoom
    # affine_grid runs from -1 to 1, hence twice the shift.
    theta = frames.new_tensor(
        [[step, 0.0, -2.0 * step * controls.shift_x], [0.0, step, -2.0 * step * controls.shift_y]]
    )
    grid = F.affine_grid(theta.expand(len(frames), 2, 3), list(frames.shape), align_corners=False)
    return F.grid_sample(frames, grid, mode="bilinear", padding_mode="border", align_corners=False)


def redraw(gray: Tensor, controls: LiveControls) -> Tensor:
    """Blur, median, threshold, Canny and inversion of `[B,1,H,W]` in 0..1."""
    if controls.blur:
        gray = gaussian_blur(gray, controls.blur)
    if controls.median:
        import cv2

        # OpenCV's median accepts only 8 bits for kernels above 5x5.
        gray = _each(gray, lambda picture: cv2.medianBlur(picture, 2 * controls.median + 1))
    if controls.threshold > 0.0:
        gray = torch.where(gray > controls.threshold, gray, torch.zeros_like(gray))
    if controls.canny is not None:
        import cv2

        low, high = controls.canny
        gray = _each(gray, lambda picture: cv2.Canny(picture, low, high))
    return 1.0 - gray if controls.invert else gray


def gaussian_blur(gray: Tensor, reach: int) -> Tensor:
    """Blur `[B,1,H,W]` with 2 * reach + 1 taps, using the sigma and the reflected border of OpenCV's GaussianBlur."""
    for axis in (-2, -1):
        taps = min(reach, gray.shape[axis] - 1)
        sigma = 0.3 * (reach - 1.0) + 0.8
        weight = torch.exp(-0.5 * (torch.arange(-taps, taps + 1, device=gray.device) / sigma) ** 2)
        weight = weight / weight.sum()
        padding = (0, 0, taps, taps) if axis == -2 else (taps, taps, 0, 0)
        kernel = weight.view(1, 1, -1, 1) if axis == -2 else weight.view(1, 1, 1, -1)
        gray = F.conv2d(F.pad(gray, padding, mode="reflect"), kernel)
    return gray


def equalize(gray: Tensor, stretch: Stretch) -> Tensor:
    """The per-frame part of a contrast stretch: CLAHE for `clahe`, nothing for the others."""
    if stretch != "clahe":
        return gray
    import cv2

    clahe = cv2.createCLAHE(clipLimit=2.0, tileGridSize=(8, 8))
    return _each(gray, clahe.apply)


def measure(gray: Tensor) -> InputStatistics:
    """Statistics of `[B,1,H,W]` in 0..1 over all frames."""
    values = gray.detach().float().reshape(-1)
    if values.numel() > MEASURED_VALUES:
        values = values[:: -(-values.numel() // MEASURED_VALUES)]
    low, high = torch.quantile(values, values.new_tensor(PERCENTILES)).tolist()
    return InputStatistics(mean=float(values.mean()), std=float(values.std(correction=0)), low=low, high=high)


def match(gray: Tensor, stretch: Stretch, clip: InputStatistics, target: InputStatistics) -> Tensor:
    """Map frames with statistics `clip` to `target`, clamped: the same linear map for all frames, to avoid flicker."""
    if stretch == "none":
        return gray
    if stretch == "percentile":
        slope = (target.high - target.low) / max(clip.high - clip.low, MIN_SPREAD)
        return ((gray - clip.low) * slope + target.low).clamp(0.0, 1.0)
    slope = target.std / max(clip.std, MIN_SPREAD)
    return ((gray - clip.mean) * slope + target.mean).clamp(0.0, 1.0)


def _each(gray: Tensor, change: Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]) -> Tensor:
    """Apply an OpenCV function from uint8 `[H,W]` to uint8 `[H,W]` to every frame."""
    pictures = to_uint8(gray[:, 0]).cpu().numpy()
    changed = np.stack([change(np.ascontiguousarray(picture)) for picture in pictures])
    return from_uint8(torch.from_numpy(changed).to(gray.device))[:, None]
