"""Losses that compare a picture with the ground truth pixel by pixel.

All losses are elementwise, so that the caller can weight and average them.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

ElementwiseLoss = Callable[[Tensor, Tensor], Tensor]

# Keeps logarithms and their gradients finite for predictions of exactly 0 or 1; a quarter of an 8-bit step.
EPSILON = 1e-3
CHARBONNIER_EPSILON = 1e-3


def l1(prediction: Tensor, target: Tensor) -> Tensor:
    """Absolute difference."""
    return (prediction - target).abs()


def mse(prediction: Tensor, target: Tensor) -> Tensor:
    """Squared difference."""
    return (prediction - target) ** 2


def charbonnier(prediction: Tensor, target: Tensor) -> Tensor:
    """`sqrt((p - t)^2 + e^2) - e` with e = 1e-3: L1 with a smooth minimum (Charbonnier et al. 1994)."""
    return torch.sqrt((prediction - target) ** 2 + CHARBONNIER_EPSILON**2) - CHARBONNIER_EPSILON


def poisson(prediction: Tensor, target: Tensor) -> Tensor:
    """Half the Poisson deviance, `p - t + t log(t / p)`: the Poisson likelihood of `t` under the rate `p`.

    Treats intensities in 0..1 as rates (not as log rates). Includes the part of the likelihood that depends only on the
    target, which makes the minimum 0 without changing the gradient.
    """
    rate = prediction.clamp_min(EPSILON)
    known = target.clamp_min(EPSILON)
    return rate - known + known * torch.log(known / rate)


def cross_entropy(prediction: Tensor, target: Tensor) -> Tensor:
    """Binary cross-entropy `-t log p - (1 - t) log(1 - p)`, whose minimum is the entropy of `t`, not 0.

    Treats intensities in 0..1 as probabilities that a subpixel is lit; the three colors are independent, not three
    exclusive classes.
    """
    chance = prediction.clamp(EPSILON, 1.0 - EPSILON)
    return -(target * torch.log(chance) + (1.0 - target) * torch.log(1.0 - chance))


def kl_divergence(prediction: Tensor, target: Tensor) -> Tensor:
    """Kullback-Leibler divergence of two Bernoulli distributions, `t log(t / p) + (1 - t) log((1 - t) / (1 - p))`.

    Treats intensities in 0..1 as probabilities, as in `cross_entropy`, from which it differs by the entropy of the
    target: the gradient is the same, and the minimum is 0.
    """
    known = target.clamp(EPSILON, 1.0 - EPSILON)
    return cross_entropy(prediction, known) - cross_entropy(known, known)


ELEMENTWISE: dict[str, ElementwiseLoss] = {
    "l1": l1,
    "mse": mse,
    "charbonnier": charbonnier,
    "poisson": poisson,
    "kl_divergence": kl_divergence,
    "cross_entropy": cross_entropy,
}


def hole_and_valid(error: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Average an elementwise error over the hole and over the known part.

    Parameters
    ----------
    error
        `[B,C,H,W]`.
    mask
        `[B,1,H,W]`, 1 = hole.

    Returns
    -------
    tuple of Tensor
        Two scalars. Both are sums divided by the number of all elements, as in the partial-convolution paper (Liu et
        al. 2018, section 3.3), so that a large hole counts more than a small one, an empty hole does not cause a
        division by zero, and the average over parts of a batch equals the value for the batch.
    """
    return (error * mask).mean(), (error * (1.0 - mask)).mean()
