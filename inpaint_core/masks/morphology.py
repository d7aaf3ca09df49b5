"""Growing, shrinking, feathering and cleaning up masks, at a cost independent of the radius.

Every function takes float masks `[B,1,H,W]` in 0..1 (1 = hole) on any device and returns float32 of the same shape on
that device; masks of a batch are independent. Beyond the picture's edge there is neither hole nor known area, so the
picture's edge never counts as the edge of a hole.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Plane = NDArray[np.float32]

# Regular octagon of inradius r = square of half-width a r swept over a diamond of half-diagonal (1 - a) r.
OCTAGON_SQUARE = 2.0**0.5 - 1.0


def grow(mask: Tensor, pixels: float) -> Tensor:
    """Enlarge the holes by `pixels` in every direction.

    Parameters
    ----------
    mask
        `[B,1,H,W]`. A hard mask grows by a Euclidean disc (pixels whose distance to the hole is at most `pixels`); in a
        soft mask every level grows by the regular octagon around that disc, so that ramps keep their profile.
    pixels
        Radius, at least 0; fractions count for hard masks and are rounded for soft ones.

    Raises
    ------
    ValueError
        A negative radius, or a tensor that is not `[B,1,H,W]`.
    """
    _check_radius(pixels)
    return _per_mask(mask, lambda plane: _grow(plane, pixels) if pixels > 0 else plane.copy())


def grow_or_shrink(mask: Tensor, pixels: float) -> Tensor:
    """Enlarge the holes by `pixels`, or shrink them if it is negative. See `grow` and `shrink`."""
    return grow(mask, pixels) if pixels >= 0 else shrink(mask, -pixels)


def shrink(mask: Tensor, pixels: float) -> Tensor:
    """Shrink the holes by `pixels` in every direction: the known area grows. See `grow`."""
    _check_radius(pixels)
    return _per_mask(mask, lambda plane: 1.0 - _grow(1.0 - plane, pixels) if pixels > 0 else plane.copy())


def feather(mask: Tensor, pixels: float, inward: bool = True) -> Tensor:
    """Soften the boundary of the holes over a width of `pixels`.

    Parameters
    ----------
    mask
        `[B,1,H,W]`, hard or soft.
    pixels
        Width of the ramp: at Euclidean distance d from the other side the ramp has the value s(d / (pixels + 1)), where
        s(t) = 3 t^2 - 2 t^3; so 0 leaves the mask unchanged.
    inward
        True: the ramp lies inside the hole (nothing outside changes, nor anything deeper than `pixels`). False: it lies
        outside (the hole itself, where the mask is at least 0.5, is not weakened).

    Returns
    -------
    Tensor
        Soft mask.

    Raises
    ------
    ValueError
        A negative width, or a tensor that is not `[B,1,H,W]`.
    """
    _check_radius(pixels)

    def soften(plane: Plane) -> Plane:
        if pixels == 0:
            return plane.copy()
        if inward:
            return plane * _smoothstep(_distance(plane > 0.0) / (pixels + 1.0))
        return np.maximum(plane, 1.0 - _smoothstep(_distance(plane < 0.5) / (pixels + 1.0)))

    return _per_mask(mask, soften)


def fill_holes(mask: Tensor) -> Tensor:
    """Turn known islands enclosed by a hole into hole.

    An island is a known area not connected to the picture's edge by steps along rows and columns. In a soft mask every
    level is filled (grayscale reconstruction by erosion: Vincent 1993, doi:10.1109/83.217222), so values outside
    islands do not change at all.
    """
    return _per_mask(mask, _fill_holes)


def threshold(mask: Tensor, level: float = 0.5) -> Tensor:
    """A hard mask: 1 where `mask > level`, else 0."""
    _check_shape(mask)
    return (mask.float() > level).float()


def invert(mask: Tensor) -> Tensor:
    """Swap hole and known: `1 - mask`."""
    _check_shape(mask)
    return 1.0 - mask.float()


def remove_specks(mask: Tensor, area: float) -> Tensor:
    """Remove holes smaller than `area`.

    Parameters
    ----------
    mask
        `[B,1,H,W]`, hard or soft. A hole is a set of pixels above 0 that touch each other by sides or corners.
    area
        In pixels; pixels of a soft hole are weighted by their value, so that faint areas count little.
    """
    if area < 0:
        raise ValueError(f"area is {area}: expected 0 or more pixels")

    def clean(plane: Plane) -> Plane:
        import cv2

        _, labels = cv2.connectedComponents((plane > 0).astype(np.uint8), connectivity=8)
        areas = np.bincount(labels.ravel(), weights=plane.ravel())
        return np.where((areas >= area)[labels], plane, np.float32(0.0))

    return _per_mask(mask, clean)


def _check_shape(mask: Tensor) -> None:
    if mask.ndim != 4 or mask.shape[1] != 1 or mask.numel() == 0:
        raise ValueError(f"expected a mask [B,1,H,W], not {list(mask.shape)}: convert it with normalize_mask")


def _check_radius(pixels: float) -> None:
    if not 0 <= pixels < float("inf"):
        raise ValueError(f"pixels is {pixels}: expected 0 or more")


def _per_mask(mask: Tensor, operation: Callable[[Plane], Plane]) -> Tensor:
    _check_shape(mask)
    planes = mask.detach().to("cpu", torch.float32).numpy()
    result = np.empty_like(planes, order="C")
    for index in range(len(planes)):
        result[index, 0] = operation(np.ascontiguousarray(planes[index, 0]))
    return torch.from_numpy(result).to(mask.device)


def _is_hard(plane: Plane) -> bool:
    return bool(((plane == 0.0) | (plane == 1.0)).all())


def _distance(inside: NDArray[np.bool_]) -> Plane:
    """Euclidean distance to the nearest pixel that is not inside; infinite if there is none."""
    import cv2

    if inside.all():
        return np.full(inside.shape, np.inf, np.float32)
    distances = cv2.distanceTransform(inside.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    # OpenCV's last bit depends on memory alignment; squared distances between pixels are integers.
    return np.sqrt(np.rint(np.square(np.asarray(distances, np.float32))))


def _smoothstep(position: Plane) -> Plane:
    clipped = np.minimum(position, np.float32(1.0))
    return clipped * clipped * (3.0 - 2.0 * clipped)


def _grow(plane: Plane, pixels: float) -> Plane:
    if _is_hard(plane):
        return (_distance(plane == 0.0) <= pixels).astype(np.float32)
    return _grow_levels(plane, round(pixels))


def _grow_levels(plane: Plane, radius: int) -> Plane:
    from scipy.ndimage import maximum_filter1d

    if radius == 0:
        return plane.copy()
    # Two diagonals reach only every second pixel of the diamond; a square of at least 3x3 closes the gaps.
    diagonal = min(round((1.0 - OCTAGON_SQUARE) * radius / 2.0), (radius - 1) // 2)
    square = radius - 2 * diagonal
    height, width = plane.shape
    # In memory of row length P, a step down a column of the same memory seen as rows of length P + 1 (P - 1) is a step
    # along a # diagonal. Margins keep a diagonal from running into the values of the next row.
    pitch, rows = width + 2 * diagonal, height + 2 * diagonal
    memory = np.zeros((rows + 2) * pitch, np.float32)
    grown = memory[: rows * pitch].reshape(rows, pitch)
    inner = grown[diagonal : diagonal + height, diagonal : diagonal + width]
    inner[:] = plane
    for step in (pitch + 1, pitch - 1) if diagonal else ():
        count = len(memory) // step
        lines = memory[: count * step].reshape(count, step)
        lines[:] = maximum_filter1d(lines, 2 * diagonal + 1, axis=0, mode="constant")
    for axis in (0, 1):
        inner = maximum_filter1d(inner, 2 * square + 1, axis=axis, mode="constant")
    return inner


def _fill_holes(plane: Plane) -> Plane:
    import cv2

    if _is_hard(plane):
        _, labels = cv2.connectedComponents((plane == 0.0).astype(np.uint8), connectivity=4)
        edge = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
        known = np.zeros(int(labels.max()) + 1, bool)
        known[edge] = True
        known[0] = False
        return 1.0 - known[labels].astype(np.float32)

    from skimage.morphology import reconstruction

    seed = np.full_like(plane, plane.max())
    seed[[0, -1]] = plane[[0, -1]]
    seed[:, [0, -1]] = plane[:, [0, -1]]
    cross = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], bool)
    return reconstruction(seed, plane, method="erosion", footprint=cross).astype(np.float32)
