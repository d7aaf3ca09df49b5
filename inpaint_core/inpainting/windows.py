"""Parts of a picture to show a network: windows around holes, and tiles of windows that are too large."""

from __future__ import annotations

from types import EllipsisType
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

CELLS = 16  # holes closer than a window's minimum side / CELLS are merged; they would be in one window anyway
MAX_REGIONS = 256  # more holes are merged on a coarser grid, so that many tiny holes cost no more than a single one
ROUND = 32  # sides of windows are multiples of this if the picture is large enough: real context instead of padding


class Window(NamedTuple):
    """A rectangle of whole pixels inside the frame."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def height(self) -> int:
        """Rows."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """Columns."""
        return self.right - self.left

    @property
    def area(self) -> int:
        """Pixels."""
        return self.height * self.width

    @property
    def inside(self) -> tuple[EllipsisType, slice, slice]:
        """Index of this part of a tensor `[...,H,W]`."""
        return ..., slice(self.top, self.bottom), slice(self.left, self.right)

    def union(self, other: Window) -> Window:
        """The smallest rectangle around both."""
        return Window(
            min(self.top, other.top),
            min(self.left, other.left),
            max(self.bottom, other.bottom),
            max(self.right, other.right),
        )


class Region(NamedTuple):
    """Holes filled together.

    Attributes
    ----------
    window
        The part of the picture shown; it may include parts of other regions' holes.
    own
        Bool `[h,w]` of the window's size: the hole pixels that this region fills.
    """

    window: Window
    own: Tensor


def whole_frame(mask: Tensor) -> Region:
    """One region for all holes of a mask `[H,W]`."""
    return Region(Window(0, 0, *mask.shape), mask > 0.5)


def hole_regions(mask: Tensor, min_side: int, context: float) -> list[Region]:
    """Group a mask's holes into regions with context.

    Parameters
    ----------
    mask
        `[H,W]`, 1 = hole.
    min_side
        Sides of windows are at least this many pixels (or the frame's), so that a network sees its training size.
    context
        A window extends beyond the hole by this fraction of its longer side on every side.

    Returns
    -------
    list of Region
        From top to bottom. Every hole pixel belongs to exactly one. Windows are shifted inside the frame, never cut at
        its border. Holes are merged if one window around both has no more pixels than two separate ones.

    Notes
    -----
    The time is bounded: beyond `MAX_REGIONS` holes, nearby holes count as one.
    """
    cells = _Cells(mask, max(1, min_side // CELLS))
    while cells.count > MAX_REGIONS:
        cells = _Cells(mask, 2 * cells.side)
    boxes = cells.boxes()
    groups = [_Group(_with_context(box, min_side, context, mask.shape), box, {label}) for label, box in boxes.items()]
    merged: list[_Group] = []
    while groups:
        group = groups.pop()
        for other in merged:
            box = group.box.union(other.box)
            window = _with_context(box, min_side, context, mask.shape)
            if window.area <= group.window.area + other.window.area:
                merged.remove(other)
                groups.append(_Group(window, box, group.labels | other.labels))
                break
        else:
            merged.append(group)
    merged.sort(key=lambda group: group.window)
    return [Region(group.window, cells.pixels_of(group.labels, group.window)) for group in merged]


def tiles(height: int, width: int, side: int, margin: int, overlap: int) -> list[tuple[Window, Window]]:
    """Cover a window with tiles.

    Parameters
    ----------
    height, width
        Size of the window in pixels.
    side
        Side of a tile in pixels; less where the window is smaller.
    margin
        A tile's core is the part that is at least this many pixels from its edges, except from those that are also
        edges of the window. Cores cover the window.
    overlap
        Neighboring cores share at least this many pixels.

    Returns
    -------
    list of (tile, core)
        Row by row. The last tile of a row or column is shifted inside, not shortened.
    """

    def spans(length: int) -> list[tuple[int, int, int, int]]:
        if length <= side:
            return [(0, length, 0, length)]
        stride = max(1, side - 2 * margin - overlap)
        starts = [*range(0, length - side, stride), length - side]
        ends = [start + side for start in starts]
        cores = [
            (a + margin if a > 0 else 0, b - margin if b < length else length)
            for a, b in zip(starts, ends, strict=True)
        ]
        return [(a, b, *core) for a, b, core in zip(starts, ends, cores, strict=True)]

    return [
        (Window(top, left, bottom, right), Window(core_top, core_left, core_bottom, core_right))
        for top, bottom, core_top, core_bottom in spans(height)
        for left, right, core_left, core_right in spans(width)
    ]


def reduced_size(size: tuple[int, int], longest: int) -> tuple[int, int]:
    """Height and width with their ratio kept and the longer one `longest`; neither is less than 1."""
    height, width = size
    scale = longest / max(height, width)
    return max(1, round(height * scale)), max(1, round(width * scale))


class _Group(NamedTuple):
    window: Window
    box: Window
    labels: set[int]


class _Cells:
    """The holes of a mask, separated on a grid of square cells but measured in pixels."""

    def __init__(self, mask: Tensor, side: int) -> None:
        import cv2

        self.side = side
        self._mask = mask
        plane = mask[None, None].float()
        occupied = F.max_pool2d(plane, side, ceil_mode=True)[0, 0]
        # stats: one row of left, top, width, height, area per 8-connected component; row 0 is the background
        _, self._labels, self._stats, _ = cv2.connectedComponentsWithStats(
            occupied.to(torch.uint8).cpu().numpy(), connectivity=8
        )
        self.count = len(self._stats) - 1

    def boxes(self) -> dict[int, Window]:
        """The smallest window around each hole, by label."""
        plane = self._mask[None, None].float()
        rows = F.max_pool2d(plane, (1, self.side), ceil_mode=True)[0, 0].cpu().numpy() > 0.5
        columns = F.max_pool2d(plane, (self.side, 1), ceil_mode=True)[0, 0].cpu().numpy() > 0.5
        found: dict[int, Window] = {}
        for label, (left, top, width, height, _) in enumerate(self._stats[1:].tolist(), 1):
            first, last = self._ends(rows, label, top, top + height - 1, left, left + width)
            start, end = self._ends(columns.T, label, left, left + width - 1, top, top + height, transposed=True)
            found[label] = Window(first, start, last, end)
        return found

    def _ends(
        self, lines: NDArray[np.bool_], label: int, low: int, high: int, start: int, end: int, transposed: bool = False
    ) -> tuple[int, int]:
        labels = self._labels.T if transposed else self._labels

        def occupied(cell: int) -> NDArray[np.intp]:
            own = labels[cell, start:end] == label
            band = lines[cell * self.side : (cell + 1) * self.side, start:end]
            return np.flatnonzero((band & own).any(1)) + cell * self.side

        return int(occupied(low)[0]), int(occupied(high)[-1]) + 1

    def pixels_of(self, labels: set[int], window: Window) -> Tensor:
        """Bool `[h,w]`: the hole pixels of these labels inside a window."""
        rows = np.arange(window.top, window.bottom) // self.side
        columns = np.arange(window.left, window.right) // self.side
        chosen = np.isin(self._labels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], list(labels))
        own = chosen[np.ix_(rows - rows[0], columns - columns[0])]
        return torch.from_numpy(own).to(self._mask.device) & (self._mask[window.inside] > 0.5)


def _with_context(box: Window, min_side: int, context: float, frame: tuple[int, ...]) -> Window:
    margin = int(context * max(box.height, box.width))

    def span(low: int, high: int, limit: int) -> tuple[int, int]:
        side = -(-max(high - low + 2 * margin, min_side) // ROUND) * ROUND
        side = min(side, limit)
        start = min(max((low + high - side) // 2, 0), limit - side)
        return start, start + side

    top, bottom = span(box.top, box.bottom, frame[0])
    left, right = span(box.left, box.right, frame[1])
    return Window(top, left, bottom, right)
