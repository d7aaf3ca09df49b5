"""Perceptual and style losses over the features of a frozen network."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def gram_matrix(features: Tensor) -> Tensor:
    """Correlations of channels, divided by the number of elements.

    Parameters
    ----------
    features
        `[B,C,H,W]`.

    Returns
    -------
    Tensor
        `[B,C,C]`: `F F^T / (C H W)` with `F` of shape `[C, H W]` (Liu et al. 2018, arXiv 1804.07723, eq. 4-5), in
        float32 also under autocast, where the sum over pixels overflows half precision.
    """
    batch, channels, height, width = features.shape
    flat = features.float().reshape(batch, channels, height * width) / (channels * height * width) ** 0.5
    with torch.autocast(features.device.type, enabled=False):
        return flat @ flat.transpose(1, 2)


def perceptual_and_style(
    extract: Callable[[Tensor], list[Tensor]], made: Sequence[Tensor], target: Tensor
) -> tuple[Tensor, Tensor]:
    """Perceptual and style loss against the truth.

    Parameters
    ----------
    extract
        Pictures to a list of feature maps, see `inpaint_core.losses.features`.
    made
        Pictures `[B,3,H,W]` in 0..1, in the paper two: what the network predicts, and the same with the known pixels
        put back.
    target
        The truth, of the same shape and range.

    Returns
    -------
    tuple of Tensor
        Two scalars, sums over the feature maps of mean absolute differences of features (paper, eq. 3) and of their
        Gram matrices (eq. 4 and 5), for each of `made`. The truth passes the extractor without a graph, the others in
        one batch.
    """
    with torch.no_grad():
        wanted = extract(target)
    given = extract(torch.cat(list(made)))
    perceptual, style = target.new_zeros(()), target.new_zeros(())
    for features, truth in zip(given, wanted, strict=True):
        truth_gram = gram_matrix(truth)
        for part in features.chunk(len(made)):
            perceptual = perceptual + (part - truth).abs().mean()
            style = style + (gram_matrix(part) - truth_gram).abs().mean()
    return perceptual, style
