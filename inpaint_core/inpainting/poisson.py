"""The core of Poisson blending: known values extended smoothly into a hole."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Plane = NDArray[np.float32]

TOLERANCE = 2.0**-10  # change between the last two cycles, for values in 0..1: a quarter of an 8-bit step
MAX_CYCLES = 12
NEIGHBORS = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]], np.float32)
# Roots of the third Chebyshev polynomial, mapped to the upper part 0.5..2 of the spectrum of Laplace's operator divided
# by its diagonal: three sweeps damp that part by 1 / T3(5/3) = 0.074; the coarser grids handle the rest.
STEPS = tuple(1.0 / (1.25 + 0.75 * math.cos((2 * k - 1) * math.pi / 6)) for k in (1, 2, 3))


def solve_membrane(values: Tensor, mask: Tensor) -> Tensor:
    """Extend known values into the hole as a membrane, the exact solution of Laplace's equation.

    The known pixels next to the hole are the boundary values (Perez et al. 2003, eq. 2). There is no flux through the
    picture's edge. Always computed on the CPU.

    Parameters
    ----------
    values
        `[B,C,H,W]`, C in 1..4; the contents of the hole are ignored.
    mask
        `[B,1,H,W]`, 1 = hole.

    Returns
    -------
    Tensor
        `[B,C,H,W]`: `values` where known, the membrane in the hole; 0 if nothing at all is known.

    Notes
    -----
    An initial solution from coarse to fine, then conjugate gradients with a multigrid V-cycle as preconditioner (Tatebe
    1993) until the change is invisible. V-cycles alone diverge for holes along much of the picture's edge. A pixel of a
    coarser grid is unknown if all four pixels below it are.
    """
    holes = mask[:, 0].cpu().numpy() > 0.5
    result = values.clone()
    for index, hole in enumerate(holes):
        box = _box_around(hole)
        if box is None:
            continue
        rows, columns = box
        known = values[index, :, rows, columns].permute(1, 2, 0).cpu().numpy()
        solved = torch.from_numpy(_solve(known, hole[rows, columns])).permute(2, 0, 1).to(values)
        inside = torch.from_numpy(hole[rows, columns]).to(values.device)
        result[index, :, rows, columns] = torch.where(inside, solved, values[index, :, rows, columns])
    return result


def _box_around(hole: NDArray[np.bool_]) -> tuple[slice, slice] | None:
    """The hole and one pixel around it."""
    rows, columns = np.flatnonzero(hole.any(1)), np.flatnonzero(hole.any(0))
    if len(rows) == 0:
        return None
    return (
        slice(max(0, int(rows[0]) - 1), int(rows[-1]) + 2),
        slice(max(0, int(columns[0]) - 1), int(columns[-1]) + 2),
    )


def _solve(values: Plane, hole: NDArray[np.bool_]) -> Plane:
    """The membrane of `[H,W,C]` in a hole `[H,W]`."""
    free = np.repeat(hole[..., None], values.shape[2], axis=2).astype(np.float32)
    solution = _first_guess(np.where(hole[..., None], np.float32(0.0), values), np.float32(1.0) - free)
    if hole.all():
        return solution
    grids = [free]
    while max(grids[-1].shape[:2]) > 2:
        coarser = (_halve(grids[-1]) == 1.0).astype(np.float32)
        if not coarser.any():
            break
        grids.append(coarser)
    nothing = np.zeros_like(solution)
    remaining = _remaining(solution, nothing, free)
    direction, before, product = nothing, nothing, np.ones(values.shape[2])
    for _ in range(MAX_CYCLES):
        step = np.zeros_like(solution)
        _cycle(step, remaining, grids)
        # The Polak-Ribière form, because in float32 the cycle is not exactly the same operator every time.
        bend = np.maximum(_dot(step, remaining - before) / product, 0.0)
        direction = step + bend.astype(np.float32) * direction
        product = _dot(step, remaining)
        changed = _remaining(direction, nothing, free)
        curvature = -_dot(direction, changed)
        length = np.where(
            curvature != 0.0, _dot(direction, remaining) / np.where(curvature != 0.0, curvature, 1.0), 0.0
        )
        change = length.astype(np.float32) * direction
        solution += change
        if np.abs(change).max() < TOLERANCE:
            break
        before = remaining
        remaining = _remaining(solution, nothing, free)
        product = np.where(product != 0.0, product, 1.0)
    return solution


def _dot(one: Plane, other: Plane) -> NDArray[np.float64]:
    """Dot products per channel."""
    return np.einsum("hwc,hwc->c", one, other, dtype=np.float64)


def _remaining(solution: Plane, target: Plane, free: Plane) -> Plane:
    return (target - _around(solution) + 4.0 * solution) * free


def _first_guess(values: Plane, known: Plane) -> Plane:
    levels = [(values, known)]
    while levels[-1][1].min() == 0.0 and max(levels[-1][1].shape[:2]) > 1:
        values, known = levels[-1]
        share = _halve(known)
        levels.append((_halve(values * known) / np.maximum(share, np.float32(1e-12)), (share > 0.0).astype(np.float32)))
    result = levels[-1][0] * levels[-1][1]
    for values, known in levels[-2::-1]:
        result = np.where(known > 0.0, values, _double(result, values))
        _relax(result, np.zeros_like(result), np.float32(1.0) - known, STEPS)
    return result


def _cycle(solution: Plane, target: Plane, grids: list[Plane]) -> None:
    """One V-cycle on `sum of neighbors - 4 * solution = target`, in place."""
    free, *coarser = grids
    if not coarser:
        for _ in range(8):
            _relax(solution, target, free, STEPS)
        return
    _relax(solution, target, free, STEPS)
    remaining = _remaining(solution, target, free)
    # Four times the mean, because the operator is not divided by the square of the grid spacing.
    coarse_target = 4.0 * _halve(remaining, flow=True) * coarser[0]
    correction = np.zeros_like(coarse_target)
    _cycle(correction, coarse_target, coarser)
    solution += _double(correction, solution) * free
    _relax(solution, target, free, STEPS[::-1])


def _relax(solution: Plane, target: Plane, free: Plane, steps: tuple[float, ...]) -> None:
    for step in steps:
        change = _around(solution)
        change -= target
        change *= np.float32(0.25)
        change -= solution
        change *= free
        change *= np.float32(step)
        solution += change


def _around(values: Plane) -> Plane:
    """Sum of the four neighbors."""
    import cv2

    # The border is replicated: no flux through the picture's edge.
    return _with_channels(cv2.filter2D(values, -1, NEIGHBORS, borderType=cv2.BORDER_REPLICATE))


def _halve(values: Plane, flow: bool = False) -> Plane:
    """Means of 2x2 pixels; beyond an odd edge the border is replicated, or 0 where the sum must be preserved."""
    import cv2

    height, width = values.shape[:2]
    border = cv2.BORDER_CONSTANT if flow else cv2.BORDER_REPLICATE
    even = cv2.copyMakeBorder(values, 0, height % 2, 0, width % 2, border)
    size = (even.shape[1] // 2, even.shape[0] // 2)
    return _with_channels(cv2.resize(even, size, interpolation=cv2.INTER_AREA))


def _double(values: Plane, like: Plane) -> Plane:
    import cv2

    height, width = values.shape[:2]
    doubled = cv2.resize(values, (2 * width, 2 * height), interpolation=cv2.INTER_LINEAR)
    return _with_channels(doubled)[: like.shape[0], : like.shape[1]]


def _with_channels(values: NDArray[Any]) -> Plane:
    return values if values.ndim == 3 else values[..., None]  # OpenCV drops a channel axis of length 1
