"""Fine detail for a network's fill, copied from similar places in the known part of the picture."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ..tracing import is_tracing

CELL = 4  # side in pixels of the cells that the picture is divided into
PATCH = 3 * CELL  # side of the patch copied for each cell: the cell and its eight neighbors
# Of the averages of cells two steps away; 2 would make their pixels count as much as those of the inner cells.
FAR_WEIGHT = 2.0**0.5
SMOOTHING = 9  # side in pixels of the box filter that separates detail from the rest
SOURCES = 4096  # maximum number of candidates per cell; more make large pictures slower, not better
ROWS = 1024  # cells compared at a time, which bounds the memory
MAX_GAIN = 2.0
LEAST_SIMILAR = 1e30  # half the squared norm of a dummy cell that is never selected
TINY = 1e-6


def with_copied_detail(picture: Tensor, fill: Tensor, mask: Tensor, share: float) -> Tensor:
    """Replace some or all of a fill's fine detail with that of known parts whose surroundings are most similar.

    Small networks predict colors and edges well, but textures poorly. Therefore, only the local average of their
    prediction is kept, and the difference of the known picture from its own local average is copied into it, as in
    contextual residual aggregation (Yi et al. 2020, arXiv 2005.09704, section 3.2). Unlike in that paper, the matching
    is not learned, and a cell uses only its best match. Networks do this only in evaluation mode, because there is
    nothing to learn in it.

    Parameters
    ----------
    picture, fill
        `[B,3,H,W]`, with mean 0 and standard deviation 1, H and W multiples of 4: the known picture, and the network's
        fill. The contents of the picture's hole must be finite and are ignored. Gradients flow to the fill.
    mask
        `[B,1,H,W]`, 1 = hole.
    share
        Fraction of the fill's detail that is replaced, 0 to 1.

    Returns
    -------
    Tensor
        `[B,3,H,W]`. If there is no known cell to copy from, the fill keeps its own detail.
    """
    merged = torch.where(mask > 0.5, fill, picture)
    detail = merged - _box_average(merged)
    with torch.no_grad():
        copied = copy_detail(merged.float(), detail.float(), mask).to(fill.dtype)
    return fill + share * (copied - detail)


@torch.no_grad()
def copy_detail(picture: Tensor, detail: Tensor, mask: Tensor) -> Tensor:
    """Detail for every cell that the hole touches, from the known cell with the most similar surroundings.

    Parameters
    ----------
    picture, detail
        `[B,3,H,W]`, H and W multiples of 4: the filled picture, used to compare cells (at half the resolution, with all
        eight neighbors, and at a quarter of it, with the 16 around these), and the detail to copy.
    mask
        `[B,1,H,W]`, 1 = hole.

    Returns
    -------
    Tensor
        `[B,3,H,W]`: overlapping patches of `detail`, averaged without loss of contrast, but fainter where neighbors
        copy the same cell; `detail` itself if there is no known cell to copy from.
    """
    keys = _keys(picture)
    touched = F.max_pool2d(mask, CELL)
    holes = touched.flatten(1) > 0.5
    sources = F.max_pool2d(touched, 3, 1, 1).flatten(1) < 0.5
    patches = F.unfold(detail, PATCH, padding=CELL, stride=CELL)
    rows, columns = touched.shape[-2:]
    if is_tracing():
        choices = [_traced_choice(*each) for each in zip(keys, holes, sources, strict=True)]
        pairs = zip(patches, choices, strict=True)
        patches = torch.stack([values[:, chosen] / _repeats(chosen, rows, columns) for values, chosen in pairs])
    else:
        for values, key, hole, source in zip(patches, keys, holes, sources, strict=True):
            chosen = _choice(key, hole, source)
            cells = hole.nonzero()[:, 0]  # only these: a copy of all patches would be 9 times as large as the picture
            values[:, cells] = values[:, chosen[cells]] / _repeats(chosen, rows, columns)[cells]
    return _blend(patches, (picture.shape[-2], picture.shape[-1]))


def _choice(keys: Tensor, holes: Tensor, sources: Tensor) -> Tensor:
    """Cell to copy for every cell, `[cells]`: the cell itself outside the hole, and if there is nothing to copy."""
    chosen = torch.arange(keys.shape[-1], device=keys.device)
    wanted, offered = holes.nonzero()[:, 0], sources.nonzero()[:, 0]
    if len(offered) == 0:
        return chosen
    offered = offered[:: -(-len(offered) // SOURCES)]
    known = keys[:, offered]
    shortness = 0.5 * known.square().sum(0)
    for rows in wanted.split(ROWS):
        chosen[rows] = offered[(keys[:, rows].T @ known - shortness).argmax(1)]
    return chosen


def _repeats(chosen: Tensor, rows: int, columns: int) -> Tensor:
    """How many of a cell and its eight neighbors copy the same cell, `[cells]`.

    Smooth areas all resemble one cell; its detail, repeated over them, would appear as a grid.
    """
    grid = chosen.view(rows, columns)
    padded = F.pad(grid[None, None], (1, 1, 1, 1), value=-1)[0, 0]
    equal = [(padded[top : top + rows, left : left + columns] == grid).float() for top in range(3) for left in range(3)]
    return sum(equal[1:], equal[0]).flatten()


def _traced_choice(keys: Tensor, holes: Tensor, sources: Tensor) -> Tensor:
    """The same as one graph for pictures of any size."""
    cells = torch.arange(keys.shape[-1], device=keys.device)
    rank = sources.long().cumsum(0) - 1
    count = rank[-1:] + 1
    step = (count + SOURCES - 1).div(SOURCES, rounding_mode="floor").clamp(min=1)
    offered = (sources & (rank.remainder(step) == 0)).nonzero()[:, 0]
    # A dummy cell is appended, because the maximum of nothing is undefined.
    known = torch.cat([keys[:, offered], keys[:, :1]], 1)
    shortness = torch.cat([0.5 * keys[:, offered].square().sum(0), torch.full_like(keys[0, :1], LEAST_SIMILAR)])
    wanted = (holes & (count > 0)).nonzero()[:, 0]
    best = (keys[:, wanted].T @ known - shortness).argmax(1)
    return cells.scatter(0, wanted, torch.cat([offered, cells[:1]])[best])


def _keys(picture: Tensor) -> Tensor:
    """Descriptors for comparing cells, `[B,156,cells]`: the colors around them, scaled to the square root of their
    contrast, halfway between comparing directions and comparing differences."""
    half = F.avg_pool2d(picture, 2)
    cells, means = F.pixel_unshuffle(half, CELL // 2), F.avg_pool2d(half, 2)
    near = F.unfold(cells - cells.mean((2, 3), keepdim=True), 3, padding=1)
    far = F.conv2d(means - means.mean((2, 3), keepdim=True), _far_cells(means), padding=2).flatten(2)
    surroundings = torch.cat([near, FAR_WEIGHT * far], 1)
    return surroundings / (surroundings.norm(dim=1, keepdim=True) + TINY).sqrt()


def _far_cells(like: Tensor) -> Tensor:
    """Kernels `[48,3,5,5]` that each select one channel of one of the outer 16 of 5x5 cells."""
    outer = [cell for cell in range(25) if cell // 5 in (0, 4) or cell % 5 in (0, 4)]
    one_cell = torch.eye(25, dtype=like.dtype, device=like.device)[outer]
    one_channel = torch.eye(3, dtype=like.dtype, device=like.device)
    return torch.kron(one_channel, one_cell).view(48, 3, 5, 5)


def _blend(patches: Tensor, size: tuple[int, int]) -> Tensor:
    """Average overlapping patches `[B,432,cells]` to `[B,3,H,W]`, and restore the contrast lost by averaging (Heitz &
    Neyret 2018, "High-Performance By-Example Noise using a Histogram-Preserving Blending Operator", section 3)."""

    def overlap(values: Tensor) -> Tensor:
        if is_tracing():
            return _traced_fold(values, size)
        return F.fold(values, size, PATCH, padding=CELL, stride=CELL)

    count = overlap(torch.ones_like(patches))
    mean, energy = overlap(patches) / count, overlap(patches.square()) / count
    before, after = (_box_average(power.mean(1, keepdim=True)) for power in (energy, mean.square()))
    return mean * (before / after.clamp(min=TINY)).sqrt().clamp(1.0, MAX_GAIN)


def _traced_fold(values: Tensor, size: tuple[int, int]) -> Tensor:
    """`F.fold` of patches `[B,432,cells]` as a sum of nine pictures, for which `size` need not be known in advance."""
    across = PATCH // CELL
    height, width = size[0] // CELL, size[1] // CELL
    parts = values.view(len(values), 3, across, CELL, across, CELL, height, width).permute(2, 4, 0, 1, 6, 3, 7, 5)
    pictures = []
    for row in range(across):
        for column in range(across):
            part = parts[row, column].reshape(len(values), 3, size[0], size[1])
            margins = (column, across - 1 - column, row, across - 1 - row)
            pictures.append(F.pad(part, [CELL * margin for margin in margins]))
    return sum(pictures[1:], pictures[0])[..., CELL:-CELL, CELL:-CELL]


def _box_average(values: Tensor) -> Tensor:
    """Average of `[B,C,H,W]` over the 9x9 pixels around every pixel that lie inside the picture."""
    return F.avg_pool2d(values, SMOOTHING, 1, SMOOTHING // 2, count_include_pad=False)
