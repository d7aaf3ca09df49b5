"""Losses of generators and discriminators, on logits."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

AdversarialLoss = Literal["logistic", "least_squares", "hinge"]


def discriminator_loss(real: Tensor, fake: Tensor, kind: AdversarialLoss) -> Tensor:
    """The discriminator's loss: the mean of its losses on real and on fake pictures.

    Parameters
    ----------
    real, fake
        Logits of any shape, positive for real.
    kind
        `"logistic"`: binary cross-entropy (Goodfellow et al. 2014, arXiv 1406.2661, eq. 1); `"least_squares"`: squared
        distance of the logits from 1 and 0 (Mao et al. 2017, arXiv 1611.04076, eq. 9 without its factor of a half);
        `"hinge"`: how far real logits are below 1 and fake ones above -1 (Lim & Ye 2017, arXiv 1705.02894, eq. 8).

    Returns
    -------
    Tensor
        A scalar: half the sum of both losses, which slows the discriminator down as in pix2pix (Isola et al. 2017,
        section 3.3).
    """
    if kind == "hinge":
        return 0.5 * (F.relu(1.0 - real).mean() + F.relu(1.0 + fake).mean())
    return 0.5 * (_distance(real, 1.0, kind) + _distance(fake, 0.0, kind))


def generator_loss(fake: Tensor, kind: AdversarialLoss) -> Tensor:
    """The generator's loss: the loss of its pictures' logits against the label real (the non-saturating form), or for
    `"hinge"` the negated mean of the logits."""
    if kind == "hinge":
        return -fake.mean()
    return _distance(fake, 1.0, kind)


def _distance(logits: Tensor, label: float, kind: AdversarialLoss) -> Tensor:
    labels = torch.full_like(logits, label)
    if kind == "logistic":
        return F.binary_cross_entropy_with_logits(logits, labels)
    return F.mse_loss(logits, labels)
