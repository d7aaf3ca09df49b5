"""Normalization layers by name. None of them depends on the batch at inference."""

from __future__ import annotations

import math
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

Norm = Literal["none", "batch", "instance", "group"]


def norm_layer(norm: Norm, channels: int) -> nn.Module:
    """A normalization layer for `channels` feature maps.

    `"batch"` uses running statistics in evaluation mode; `"instance"` has neither statistics nor affine parameters (the
    pix2pix convention); `"group"` has at most 32 groups (Wu & He 2018, arXiv 1803.08494); `"none"` is the identity.
    All of them accept feature maps of a single pixel, even in training.
    """
    if norm == "batch":
        return BatchNorm2d(channels)
    if norm == "instance":
        return InstanceNorm2d(channels)
    if norm == "group":
        return nn.GroupNorm(math.gcd(32, channels), channels)
    return nn.Identity()


def constrain_spectrum(layer: nn.Module, constrain: bool) -> nn.Module:
    """The layer with its weight divided by its largest singular value (Miyato et al. 2018, arXiv 1802.05957), or
    unchanged."""
    return spectral_norm(layer) if constrain else layer


class BatchNorm2d(nn.BatchNorm2d):
    """Batch normalization that falls back on its running statistics if a channel holds a single value."""

    def forward(self, features: Tensor) -> Tensor:
        """[B,C,H,W] to [B,C,H,W]."""
        if self.training and features.numel() == features.shape[1]:
            return F.batch_norm(
                features, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps
            )
        return super().forward(features)


class InstanceNorm2d(nn.InstanceNorm2d):
    """Instance normalization that does not change maps of a single pixel, whose variance of 0 would erase them."""

    def forward(self, features: Tensor) -> Tensor:
        """[B,C,H,W] to [B,C,H,W]."""
        return features if features.shape[-2:].numel() == 1 else super().forward(features)
