"""Fine detail for a network's fill, copied from where the known part of the picture looks alike."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

CELL = 4  # side in pixels of the cells that the picture is divided into
PATCH = 3 * CELL  # what is copied for each of them: a cell and its eight neighbors
SMOOTHING = 9  # side in pixels of the box that tells detail from the rest
TRUST = 0.75  # share of the detail that is copied; the rest is the network's own
SOURCES = 4096  # cells that a cell can be filled from, at most: more make large pictures slow, not better
ROWS = 1024  # cells that are compared at a time, which bounds the memory
MAX_GAIN = 2.0
TINY = 1e-6


def with_copied_detail(picture: Tensor, fill: Tensor, mask: Tensor) -> Tensor:
    """Replace most of a fill's fine detail by that of the known places whose surroundings look most like its own.

    Small networks predict colors and edges well and textures badly. So what is kept of their prediction is its local
    average, and the difference of the known picture from its own average is copied into it, as in contextual residual
    aggregation (Yi et al. 2020, arXiv 2005.09704, section 3.2); unlike there nothing is learned of the matching, and a
    cell takes its best match alone.

    Parameters
    ----------
    picture, fill
        `[B,3,H,W]`, of mean 0 and deviation 1, H and W multiples of 4: what is known, and what a network made of it.
        What lies in the picture's hole must be finite and is ignored. Gradients reach the fill.
    mask
        `[B,1,H,W]`, 1 = hole.

    Returns
    -------
    Tensor
        `[B,3,H,W]`. Where there is nothing known to copy from, the fill keeps its own detail.
    """
    merged = torch.where(mask > 0.5, fill, picture)
    detail = merged - _box_average(merged)
    with torch.no_grad():
        copied = copy_detail(merged.float(), detail.float(), mask).to(fill.dtype)
    return fill + TRUST * (copied - detail)


@torch.no_grad()
def copy_detail(picture: Tensor, detail: Tensor, mask: Tensor) -> Tensor:
    """Detail for every cell that the hole touches, from the known cell whose surroundings look most alike.

    Parameters
    ----------
    picture, detail
        `[B,3,H,W]`, H and W multiples of 4: the filled picture, by which cells are compared (at half the resolution,
        with all eight neighbors), and what is copied.
    mask
        `[B,1,H,W]`, 1 = hole.

    Returns
    -------
    Tensor
        `[B,3,H,W]`: overlapping patches of `detail`, averaged without loss of contrast; `detail` itself where nothing
        is known to copy from.
    """
    keys = _keys(picture)
    touched = F.max_pool2d(mask, CELL)
    holes = touched.flatten(1) > 0.5
    sources = F.max_pool2d(touched, 3, 1, 1).flatten(1) < 0.5
    patches = F.unfold(detail, PATCH, padding=CELL, stride=CELL)
    for number in range(len(picture)):
        wanted = holes[number].nonzero()[:, 0]
        offered = sources[number].nonzero()[:, 0]
        if len(offered) == 0 or len(wanted) == 0:
            continue
        offered = offered[:: -(-len(offered) // SOURCES)]
        known = keys[number][:, offered]
        shortness = 0.5 * known.square().sum(0)
        for rows in wanted.split(ROWS):
            best = (keys[number][:, rows].T @ known - shortness).argmax(1)
            patches[number, :, rows] = patches[number][:, offered[best]]
    return _blend(patches, (picture.shape[-2], picture.shape[-1]))


def _keys(picture: Tensor) -> Tensor:
    """What cells are compared by, `[B,108,cells]`: colors around them, as long as the square root of their contrast,
    half way between comparing directions alone and comparing differences."""
    cells = F.pixel_unshuffle(F.avg_pool2d(picture, 2), CELL // 2)
    surroundings = F.unfold(cells - cells.mean((2, 3), keepdim=True), 3, padding=1)
    return surroundings / (surroundings.norm(dim=1, keepdim=True) + TINY).sqrt()


def _blend(patches: Tensor, size: tuple[int, int]) -> Tensor:
    """Average overlapping patches `[B,432,cells]` to `[B,3,H,W]`, and give back the contrast that averaging took (Heitz
    & Neyret 2018, "High-Performance By-Example Noise using a Histogram-Preserving Blending Operator", section 3)."""

    def overlap(values: Tensor) -> Tensor:
        return F.fold(values, size, PATCH, padding=CELL, stride=CELL)

    count = overlap(torch.ones_like(patches))
    mean, energy = overlap(patches) / count, overlap(patches.square()) / count
    before, after = (_box_average(power.mean(1, keepdim=True)) for power in (energy, mean.square()))
    return mean * (before / after.clamp(min=TINY)).sqrt().clamp(1.0, MAX_GAIN)


def _box_average(values: Tensor) -> Tensor:
    """Average of `[B,C,H,W]` over the 9x9 pixels around every pixel that lie inside the picture."""
    return F.avg_pool2d(values, SMOOTHING, 1, SMOOTHING // 2, count_include_pad=False)
