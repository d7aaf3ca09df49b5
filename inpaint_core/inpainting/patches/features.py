"""Patches as short vectors whose squared distance compares the patches' colors and gradients."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

CHUNK = 1 << 16  # patches gathered at once, to limit memory
SAMPLES = 3000  # source patches used to compute the principal components
GRADIENTS = 0.25  # weight of squared gradient differences relative to those of colors


def patch_metric(channels: int, radius: int) -> Tensor:
    """Square root of the metric of flattened patches: `[C*s*s, C*s*s]` with s = 2 radius + 1.

    The squared length of its product with the difference of two patches is the sum of the squared differences of their
    values and, weighted, of their horizontal and vertical gradients, which capture differences in detail (Darabi et al.
    2012).
    """
    side = 2 * radius + 1
    step = torch.zeros(side - 1, side, dtype=torch.float64)
    rows = torch.arange(side - 1)
    step[rows, rows], step[rows, rows + 1] = -1.0, 1.0
    line = step.T @ step
    one = torch.eye(side, dtype=torch.float64)
    square = torch.kron(one, one) + GRADIENTS * (torch.kron(line, one) + torch.kron(one, line))
    values, vectors = torch.linalg.eigh(square)
    root = vectors @ torch.diag(values.clamp(min=0.0).sqrt()) @ vectors.T
    return torch.kron(torch.eye(channels, dtype=torch.float64), root).float()


def principal_kernel(
    picture: Tensor, centers: Tensor, radius: int, dimensions: int, generator: torch.Generator
) -> Tensor:
    """Convolution kernels `[D,C,s,s]` that project patches of `[C,H,W]` onto their principal components.

    Parameters
    ----------
    picture
        `[C,H,W]`.
    centers
        int64 `[N]`: rows times width plus columns of the centers of whole patches.
    radius
        Radius of a patch in pixels.
    dimensions
        Upper limit of D.
    generator
        Chooses the patches to analyze.
    """
    channels = len(picture)
    side = 2 * radius + 1
    if len(centers) > SAMPLES:
        chosen = torch.randint(len(centers), (SAMPLES,), generator=generator).to(centers.device)
        centers = centers[chosen]
    patches = picture.flatten(1)[:, centers[:, None] + _offsets(picture, radius)]  # [C,N,s*s]
    flat = patches.permute(1, 0, 2).flatten(1)
    root = patch_metric(channels, radius).to(picture)
    metric = (flat - flat.mean(0)) @ root
    covariance = (metric.T @ metric).double()
    _, vectors = torch.linalg.eigh(covariance)
    components = vectors[:, -min(dimensions, vectors.shape[1]) :].flip(1).to(root)
    return (root @ components).T.reshape(-1, channels, side, side).contiguous()


def project(picture: Tensor, kernel: Tensor) -> Tensor:
    """Vectors of the patches around all pixels of `[C,H,W]`: `[H*W,D]`; only those of complete patches are
    meaningful."""
    radius = kernel.shape[-1] // 2
    pixels, weight = (part.contiguous(memory_format=torch.channels_last) for part in (picture[None], kernel))
    return F.conv2d(pixels, weight, padding=radius)[0].permute(1, 2, 0).flatten(0, 1)


def project_patches(picture: Tensor, kernel: Tensor, centers: Tensor) -> Tensor:
    """Vectors `[M,D]` of only the patches of `[C,H,W]` with these centers, which must be complete."""
    dimensions, _, side, _ = kernel.shape
    offsets = _offsets(picture, side // 2)
    pixels = picture.flatten(1).T.contiguous()
    matrix = kernel.permute(2, 3, 1, 0).reshape(-1, dimensions)
    parts = [
        pixels.index_select(0, (part[:, None] + offsets).flatten()).view(len(part), -1) @ matrix
        for part in centers.split(CHUNK)
    ]
    return torch.cat(parts)


def _offsets(picture: Tensor, radius: int) -> Tensor:
    """int64 `[s*s]`: the pixels of a patch of `[C,H,W]`, relative to its center."""
    reach = torch.arange(-radius, radius + 1, device=picture.device)
    return (reach[:, None] * picture.shape[-1] + reach).flatten()
