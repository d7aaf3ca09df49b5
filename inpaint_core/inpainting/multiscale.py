"""Filling one window: directly, reduced, in tiles, or coarse to fine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from .windows import Window, reduced_size, tiles

Scheme = Literal["direct", "reduced", "tiles", "coarse-to-fine"]
Complete = Callable[[Tensor, Tensor], Tensor]

OVERLAP = 8  # tiles overlap their neighbors by this fraction of their side
MARGIN = 8  # coarse to fine: this fraction of a tile's side along each edge contains the result of the previous size
STEP = 4  # coarse to fine: maximum growth of the size per step
KNOWN = 0.5  # a reduced pixel is known if at least this fraction of it is


def hole_depth(hole: Tensor) -> float:
    """Largest distance in pixels from a hole pixel of `[H,W]` (1 = hole) to a known one; infinite if none is known."""
    import cv2

    plane = (hole > 0.5).to(torch.uint8).cpu().numpy()
    if plane.all():
        return float("inf")
    deepest = cv2.distanceTransform(np.ascontiguousarray(plane), cv2.DIST_L2, cv2.DIST_MASK_PRECISE).max()
    return round(float(deepest), 3)  # its last bit is not reliable


def fill(complete: Complete, image: Tensor, hole: Tensor, scheme: Scheme, side: int, batch: int) -> Tensor:
    """Predict windows of one size by one scheme.

    Parameters
    ----------
    complete
        A Completer's method.
    image
        `[B,3,H,W]` in 0..1, 0 in the hole.
    hole
        `[B,1,H,W]`, 1 = hole.
    scheme
        `"direct"`: at full size. `"reduced"`: with the longer side reduced to `side`. `"tiles"`: overlapping tiles of
        `side` pixels that contain hole pixels; for thin holes. `"coarse-to-fine"`: reduced first, then in tiles at
        growing sizes; the surroundings of the hole in each tile show the fill of the previous size.
    side
        Side in pixels, for the schemes that use it.
    batch
        Tiles per batch.

    Returns
    -------
    Tensor
        `[B,3,H,W]` in 0..1; meaningful in the hole and at its boundary.

    Notes
    -----
    Coarse to fine, the mean colors of the smaller fill are restored after every step (back-projection, Irani & Peleg
    1991), so that tiles add detail and the smaller fill keeps the structure. Kulshreshtha et al. 2022 (arXiv
    2206.13644) also require that the reduced fine fill equals the coarse one, and optimize for it.
    """
    if scheme == "direct" or (scheme != "tiles" and max(image.shape[-2:]) <= side):
        return complete(image, hole)
    if scheme == "reduced":
        return _enlarge(_fill_reduced(complete, image, hole, side), image)
    parts = zip(image.split(1), hole.split(1), strict=True)
    if scheme == "tiles":
        return torch.cat([_fill_tiles(complete, *part, side, batch, guide=None) for part in parts])
    return torch.cat([_coarse_to_fine(complete, *part, side, batch) for part in parts])


def reduce(image: Tensor, hole: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Reduce known pixels only: `[B,3,h,w]` (0 in the hole) and the reduced hole `[B,1,h,w]`, exactly 0 or 1."""
    known = 1.0 - hole
    share = _antialiased(known, height, width)
    small_hole = (share < KNOWN).to(image.dtype)
    colors = _antialiased(image * known, height, width) / share.clamp(min=KNOWN)
    return colors * (1.0 - small_hole), small_hole


def _size(image: Tensor) -> tuple[int, int]:
    return image.shape[-2], image.shape[-1]


def _antialiased(image: Tensor, height: int, width: int) -> Tensor:
    return F.interpolate(image, size=(height, width), mode="bilinear", antialias=True, align_corners=False)


def _enlarge(small: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(small, size=like.shape[-2:], mode="bicubic", align_corners=False).clamp(0.0, 1.0)


def _fill_reduced(complete: Complete, image: Tensor, hole: Tensor, side: int) -> Tensor:
    return complete(*reduce(image, hole, *reduced_size(_size(image), side)))


def _coarse_to_fine(complete: Complete, image: Tensor, hole: Tensor, side: int, batch: int) -> Tensor:
    longest = max(image.shape[-2:])
    if longest <= side:
        return complete(image, hole)
    size = reduced_size(_size(image), max(side, -(-longest // STEP)))
    small_image, small_hole = reduce(image, hole, *size)
    small = _coarse_to_fine(complete, small_image, small_hole, side, batch)
    fine = _fill_tiles(complete, image, hole, side, batch, guide=_enlarge(small, image))
    lost = (small - _antialiased(torch.where(hole > 0.5, fine, image), *size)) * small_hole
    return (fine + F.interpolate(lost, size=image.shape[-2:], mode="bilinear", align_corners=False)).clamp(0.0, 1.0)


def _fill_tiles(complete: Complete, image: Tensor, hole: Tensor, side: int, batch: int, guide: Tensor | None) -> Tensor:
    overlap = max(1, side // OVERLAP)
    total = torch.zeros_like(image)
    weights = torch.zeros_like(hole)
    for window, weight, parts, holes in _tile_batches(image, hole, side, overlap, batch, guide):
        for tile, ramp, prediction in zip(window, weight, complete(parts, holes), strict=True):
            total[tile.inside] += prediction * ramp
            weights[tile.inside] += ramp
    return torch.where(weights > 0.0, total / weights.clamp(min=1e-12), image)


def _tile_batches(
    image: Tensor, hole: Tensor, side: int, overlap: int, batch: int, guide: Tensor | None
) -> Iterator[tuple[list[Window], list[Tensor], Tensor, Tensor]]:
    height, width = image.shape[-2:]
    margin = 0 if guide is None else max(1, side // MARGIN)
    pending: list[tuple[Window, Tensor, Tensor, Tensor]] = []
    for tile, core in tiles(height, width, side, margin, overlap):
        inner = Window(core.top - tile.top, core.left - tile.left, core.bottom - tile.top, core.right - tile.left)
        asked = torch.zeros_like(hole[tile.inside])
        asked[inner.inside] = hole[core.inside]
        if not bool(asked.any()):
            continue
        part = image[tile.inside]
        if guide is not None:
            shown = (hole[tile.inside] > 0.5) & (asked < 0.5)
            part = torch.where(shown, guide[tile.inside], part)
        ramp = _ramp(tile, inner, height, width, overlap).to(image.device)
        pending.append((tile, ramp, part, asked))
        if len(pending) == batch:
            yield _stack(pending)
            pending = []
    if pending:
        yield _stack(pending)


def _stack(
    pending: list[tuple[Window, Tensor, Tensor, Tensor]],
) -> tuple[list[Window], list[Tensor], Tensor, Tensor]:
    windows, ramps, parts, holes = zip(*pending, strict=True)
    return list(windows), list(ramps), torch.cat(parts), torch.cat(holes)


def _ramp(tile: Window, inner: Window, height: int, width: int, overlap: int) -> Tensor:
    """Weight `[h,w]` of a tile's prediction: falls off toward the edges of its core that are not the window's."""

    def line(length: int, low: int, high: int, first: bool, last: bool) -> Tensor:
        position = torch.arange(length, dtype=torch.float32) + 0.5
        rise = position - low if not first else torch.full_like(position, float(overlap))
        fall = high - position if not last else torch.full_like(position, float(overlap))
        return (torch.minimum(rise, fall) / overlap).clamp(0.0, 1.0)

    down = line(tile.height, inner.top, inner.bottom, tile.top == 0, tile.bottom == height)
    across = line(tile.width, inner.left, inner.right, tile.left == 0, tile.right == width)
    return down[:, None] * across[None]
