"""Temporal smoothing of clips, and detection of the cuts at which it restarts."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

THUMBNAIL = 16
MIN_CUT = 0.06  # mean absolute difference of two thumbnails; slow motion stays below it, different scenes rarely do
CUT_OVER_MOTION = 2.0  # a cut must also exceed the preceding motion by this factor
MOTION_MEMORY = 0.8


class CutDetector:
    """Detect where a new scene begins; keeps the last frame between calls."""

    def __init__(self) -> None:
        self._latest: Tensor | None = None
        self._motion = 0.0
        self._cut = False

    def __call__(self, frames: Tensor) -> list[bool]:
        """For each of the frames `[T,C,H,W]`, whether it begins a scene; the very first frame does."""
        thumbnails = F.interpolate(frames.float(), (THUMBNAIL, THUMBNAIL), mode="area")
        begins = [self._latest is None] + [False] * (len(frames) - 1)
        before = torch.cat([thumbnails[:1] if self._latest is None else self._latest, thumbnails[:-1]])
        self._latest = thumbnails[-1:]
        for number, difference in enumerate((thumbnails - before).abs().mean((1, 2, 3)).tolist()):
            if begins[number]:
                continue
            # Two in a row are not cuts but the start of fast motion.
            self._cut = not self._cut and difference > max(MIN_CUT, CUT_OVER_MOTION * self._motion)
            if not self._cut:
                self._motion = max(MOTION_MEMORY * self._motion, difference)
            begins[number] = self._cut
        return begins


class ExponentialSmoothing:
    """`new = amount * old + (1 - amount) * new`, frame by frame; keeps the last frame between calls."""

    def __init__(self, amount: float) -> None:
        self.amount = amount
        self._latest: Tensor | None = None

    @property
    def amount(self) -> float:
        """Weight of the previous frame, 0 (none) or more and less than 1; anything else is a `ValueError`."""
        return self._amount

    @amount.setter
    def amount(self, amount: float) -> None:
        if not 0.0 <= amount < 1.0:
            raise ValueError(f"smoothing is {amount}: expected 0 (none) or more, and less than 1")
        self._amount = amount

    def __call__(self, frames: Tensor, cuts: Sequence[bool]) -> Tensor:
        """Smooth `[T,C,H,W]`; a frame at a cut, or of another size than the previous one, is unchanged."""
        if self.amount == 0.0:
            self._latest = None
            return frames
        smoothed = []
        for frame, cut in zip(frames, cuts, strict=True):
            if not cut and self._latest is not None and self._latest.shape == frame.shape:
                # lerp from the old frame, so that static parts stay exactly the same
                frame = self._latest.lerp(frame, 1.0 - self.amount)
            self._latest = frame
            smoothed.append(frame)
        return torch.stack(smoothed)
