"""Holes in pictures larger than a network was trained on: windows around holes instead of the whole frame."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

CONTEXT = 0.5  # a window shows this much of the hole's longer side on every side of it


class Window(NamedTuple):
    """A rectangle of whole pixels inside the frame."""

    top: int
    left: int
    bottom: int
    right: int

    def slices(self) -> tuple[slice, slice]:
        """Index of the last two dimensions of a tensor."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def overlaps(self, other: Window) -> bool:
        """Whether they share a pixel."""
        return (
            self.top < other.bottom and other.top < self.bottom and self.left < other.right and other.left < self.right
        )

    def union(self, other: Window) -> Window:
        """The smallest rectangle around both."""
        return Window(
            min(self.top, other.top),
            min(self.left, other.left),
            max(self.bottom, other.bottom),
            max(self.right, other.right),
        )


def hole_windows(mask: Tensor, size: int) -> list[Window]:
    """Cut a mask's holes into windows with context.

    Parameters
    ----------
    mask
        `[H,W]`, 1 = hole.
    size
        Sides are at least this many pixels (or the frame's), so that a network sees what it was trained on.

    Returns
    -------
    list of Window
        Disjoint, inside the frame (shifted, never cut at the border), together covering every hole; top to bottom.
    """
    import cv2

    height, width = mask.shape
    # stats: one row of left, top, width, height, area per 8-connected component; row 0 is the background
    stats = cv2.connectedComponentsWithStats(mask.to(torch.uint8).cpu().numpy(), connectivity=8)[2]
    boxes = [Window(int(y), int(x), int(y + h), int(x + w)) for x, y, w, h, _ in stats[1:]]
    windows = [_with_context(box, size, height, width) for box in boxes]
    merged: list[Window] = []
    while windows:
        window = windows.pop()
        touching = [other for other in merged if other.overlaps(window)]
        if touching:
            merged = [other for other in merged if other not in touching]
            for other in touching:
                window = window.union(other)
            windows.append(window)
        else:
            merged.append(window)
    return sorted(merged)


def resize(image: Tensor, height: int, width: int) -> Tensor:
    """Resize `[B,C,H,W]` without aliasing; the result stays in the input's range."""
    if image.shape[-2:] == (height, width):
        return image
    lowest, highest = image.amin(), image.amax()
    return F.interpolate(image, size=(height, width), mode="bicubic", antialias=True).clamp(lowest, highest)


def _with_context(box: Window, size: int, height: int, width: int) -> Window:
    margin = int(CONTEXT * max(box.bottom - box.top, box.right - box.left))

    def span(low: int, high: int, limit: int) -> tuple[int, int]:
        side = min(max(high - low + 2 * margin, size), limit)
        start = min(max((low + high - side) // 2, 0), limit - side)
        return start, start + side

    top, bottom = span(box.top, box.bottom, height)
    left, right = span(box.left, box.right, width)
    return Window(top, left, bottom, right)
