"""Area reduction, cubic enlargement and linear resizing, as two small matrix products on any device."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor

from ..tracing import is_tracing, largest, real

Kind = Literal["area", "cubic", "linear"]
CUBIC_A = -0.75  # OpenCV's INTER_CUBIC; Keys 1981 (eq. 4) prefers -0.5


def reduce_area(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Reduce `[B,C,H,W]` to `size` (height, width), each new pixel the mean of the area under it.

    Equals OpenCV's INTER_AREA, even for non-integer ratios. Neither side may grow.
    """
    return _resample(image, size, "area")


def enlarge_cubic(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Enlarge `[B,C,H,W]` to `size` (height, width) by cubic convolution; values overshoot and are not clipped.

    Equals OpenCV's INTER_CUBIC: a = -0.75, pixel centers aligned, border pixels repeated.
    """
    return _resample(image, size, "cubic")


def resize_linear(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize `[B,C,H,W]` to `size` (height, width) with triangular weights, which widen where a side shrinks.

    Equals torch's antialiased bilinear interpolation, but can be exported.
    """
    return _resample(image, size, "linear")


def _resample(image: Tensor, size: tuple[int, int], kind: Kind) -> Tensor:
    weights = _weights if is_tracing() else _remembered_weights
    rows = weights(kind, image.shape[-2], size[0], image.device)
    columns = weights(kind, image.shape[-1], size[1], image.device)
    return rows @ image @ columns.T


def _weights(kind: Kind, source: int, target: int, device: torch.device) -> Tensor:
    # The cached tensors may be used in training later, which is impossible if made under ComfyUI's inference mode.
    with torch.inference_mode(False), torch.no_grad():
        matrix = MATRICES[kind](source, target)
        return matrix.to(device, torch.float32)


_remembered_weights = lru_cache(maxsize=64)(_weights)


def area_matrix(source: int, target: int) -> Tensor:
    """Float64 `[target,source]`: the fraction of every new pixel that each old pixel covers.

    Raises
    ------
    ValueError
        The side would grow.
    """
    if not is_tracing() and target > source:
        raise ValueError(f"an area reduction cannot enlarge {source} pixels to {target}")
    scale = real(source) / target
    first = torch.arange(target, dtype=torch.float64)[:, None] * scale
    pixel = torch.arange(source, dtype=torch.float64)[None, :]
    overlap = torch.minimum(first + scale, pixel + 1.0) - torch.maximum(first, pixel)
    overlap = overlap.clamp(min=0.0)
    return overlap / overlap.sum(1, keepdim=True)


def cubic_matrix(source: int, target: int) -> Tensor:
    """Float64 `[target,source]`: weights of cubic convolution (Keys 1981) at the centers of the new pixels."""
    center = (torch.arange(target, dtype=torch.float64) + 0.5) * (real(source) / target) - 0.5
    base = center.floor()
    pixel = torch.arange(source)
    matrix = torch.zeros(target, source, dtype=torch.float64)
    for tap in (-1, 0, 1, 2):
        column = torch.minimum((base.long() + tap).clamp(min=0), pixel[-1])
        matrix = matrix + _keys((center - base - tap).abs())[:, None] * (column[:, None] == pixel)
    return matrix


def linear_matrix(source: int, target: int) -> Tensor:
    """Float64 `[target,source]`: triangular weights around the centers of the new pixels, as wide as a new pixel is."""
    scale = real(source) / target
    center = (torch.arange(target, dtype=torch.float64)[:, None] + 0.5) * scale
    pixel = torch.arange(source, dtype=torch.float64)[None, :] + 0.5
    weight = (1.0 - (pixel - center).abs() / largest(scale, 1.0)).clamp(min=0.0)
    return weight / weight.sum(1, keepdim=True)


def _keys(distance: Tensor) -> Tensor:
    near = ((CUBIC_A + 2.0) * distance - (CUBIC_A + 3.0)) * distance**2 + 1.0
    far = CUBIC_A * (((distance - 5.0) * distance + 8.0) * distance - 4.0)
    return torch.where(distance <= 1.0, near, torch.where(distance < 2.0, far, torch.zeros_like(far)))


MATRICES = {"area": area_matrix, "cubic": cubic_matrix, "linear": linear_matrix}
