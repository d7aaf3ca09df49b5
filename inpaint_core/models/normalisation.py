"""Normalisation layers by name. None of them looks at the batch at inference."""

from __future__ import annotations

import math
from typing import Literal

from torch import nn

Norm = Literal["none", "batch", "instance", "group"]


def norm_layer(norm: Norm, channels: int) -> nn.Module:
    """A normalisation layer for `channels` feature maps.

    `"batch"` uses running statistics in evaluation mode; `"instance"` has neither statistics nor affine parameters (the
    pix2pix convention); `"group"` has at most 32 groups (Wu & He 2018, arXiv 1803.08494); `"none"` is the identity.
    """
    if norm == "batch":
        return nn.BatchNorm2d(channels)
    if norm == "instance":
        return nn.InstanceNorm2d(channels)
    if norm == "group":
        return nn.GroupNorm(math.gcd(32, channels), channels)
    return nn.Identity()
