"""Perceptual and style losses over the features of a frozen network."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

MIN_LENGTH = 1e-2  # minimum length of a feature vector; below it, its direction is noise


def gram_matrix(features: Tensor) -> Tensor:
    """Gram matrix: correlations between channels, divided by the number of elements.

    Parameters
    ----------
    features
        `[B,C,H,W]`.

    Returns
    -------
    Tensor
        `[B,C,C]`: `F F^T / (C H W)` with `F` of shape `[C, H W]` (Liu et al. 2018, arXiv 1804.07723, eq. 4-5), in
        float32 even under autocast, because the sum over pixels overflows half precision.
    """
    _, channels, height, width = features.shape
    flat = features.float().flatten(2)
    with torch.autocast(features.device.type, enabled=False):
        # Computes the gradient of `F F^T` with one product instead of two equal ones: the other half follows by
        # symmetry.
        half = flat @ flat.detach().transpose(1, 2) / (channels * height * width)
        return half + half.transpose(1, 2) - half.detach()


def cosine_distance(features: Tensor, target: Tensor, hole: Tensor) -> Tensor:
    """Difference between the directions of feature vectors, in the hole.

    Parameters
    ----------
    features, target
        Feature maps `[B,C,h,w]`.
    hole
        `[B,1,H,W]`, 1 = hole: a position is weighted by the fraction of its pixels that are hole.

    Returns
    -------
    Tensor
        A scalar: the sum of `2 - 2 cos`, which is the squared difference of the normalized vectors (Zhang et al. 2018,
        arXiv 1801.03924, eq. 1), divided by the number of positions. Sums over channels are float32 even under
        autocast. Unlike an absolute difference, it weights faint textures as much as strong edges.
    """
    dot = (features * target).sum(1, keepdim=True, dtype=torch.float32)
    length = (features * features).sum(1, keepdim=True, dtype=torch.float32) + MIN_LENGTH**2
    target_length = (target * target).sum(1, keepdim=True, dtype=torch.float32) + MIN_LENGTH**2
    share = F.adaptive_avg_pool2d(hole, (features.shape[-2], features.shape[-1]))
    return ((2.0 - 2.0 * dot * torch.rsqrt(length * target_length)) * share).mean()


def perceptual_and_style(
    outputs: Sequence[Sequence[Tensor]], target: Sequence[Tensor], hole: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Perceptual and style loss against the ground truth.

    Parameters
    ----------
    outputs
        Feature maps `[B,C,h,w]` (see `inpaint_core.losses.features`) of one or more pictures. The paper uses two: the
        network's prediction, and the prediction with the known pixels put back.
    target
        Feature maps of the ground truth, detached.
    hole
        `[B,1,H,W]`, 1 = hole: the perceptual loss is the `cosine_distance` there. None: the perceptual loss is the mean
        absolute difference of features, as in the paper.

    Returns
    -------
    tuple of Tensor
        Two scalars, sums over the feature maps of the distance between features (mean absolute difference: Liu et al.
        2018, eq. 3) and of the mean absolute difference between their Gram matrices (eq. 4 and 5), for all `outputs`.
    """
    perceptual, style = target[0].new_zeros(()), target[0].new_zeros(())
    grams = [gram_matrix(truth) for truth in target]
    for maps in outputs:
        for features, truth, truth_gram in zip(maps, target, grams, strict=True):
            distance = F.l1_loss(features, truth) if hole is None else cosine_distance(features, truth, hole)
            perceptual = perceptual + distance
            style = style + (gram_matrix(features) - truth_gram).abs().mean()
    return perceptual, style
