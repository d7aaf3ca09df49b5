"""Initial weights from an explicit generator, so that the global random state is never used."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

Scheme = Literal["he", "xavier", "normal"]


def initialize_layers(
    network: nn.Module, generator: torch.Generator, scheme: Scheme = "he", slope: float = 0.0
) -> None:
    """Set every parameter and buffer of the standard layers inside `network`.

    Parameters
    ----------
    network
        Module whose convolutions, linear and normalization layers are set in place; uninitialized parameters on the
        CPU.
    generator
        Source of all random numbers.
    scheme
        `"he"`: normal with std `sqrt(2 / ((1 + slope^2) fan_in))` (He et al. 2015, arXiv 1502.01852, eq. 14);
        `"xavier"`: normal with std `sqrt(2 / (fan_in + fan_out))` (Glorot & Bengio 2010, eq. 16);
        `"normal"`: std 0.02 (pix2pix, arXiv 1611.07004, appendix 6.2).
    slope
        Negative slope of the leaky ReLU after the layers.

    Notes
    -----
    Biases are set to 0, normalization layers to the identity, running statistics to mean 0 and variance 1.
    """
    for layer in network.modules():
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            constrained = parametrize.is_parametrized(layer, "weight")
            weight = layer.get_parameter("parametrizations.weight.original" if constrained else "weight")
            receptive = math.prod(weight.shape[2:])
            fan_in, fan_out = weight.shape[1] * receptive, weight.shape[0] * receptive
            if isinstance(layer, nn.ConvTranspose2d):
                fan_in, fan_out = fan_out, fan_in
            std = {
                "he": math.sqrt(2.0 / ((1.0 + slope**2) * fan_in)),
                "xavier": math.sqrt(2.0 / (fan_in + fan_out)),
                "normal": 0.02,
            }[scheme]
            weight.copy_(torch.randn(weight.shape, generator=generator) * std)
            if constrained:
                _initialize_spectrum(layer.get_submodule("parametrizations.weight.0"), weight, generator)
            if layer.bias is not None:
                layer.bias.zero_()
        elif isinstance(layer, (nn.BatchNorm2d, nn.InstanceNorm2d, nn.GroupNorm)):
            if layer.weight is not None:
                layer.weight.fill_(1.0)
                layer.bias.zero_()
            if isinstance(layer, (nn.BatchNorm2d, nn.InstanceNorm2d)) and layer.running_mean is not None:
                layer.reset_running_stats()


def _initialize_spectrum(constraint: nn.Module, weight: Tensor, generator: torch.Generator) -> None:
    # The singular vectors stored by spectral normalization come from power iteration, as in its constructor.
    matrix = weight.flatten(1)
    left = F.normalize(torch.randn(len(matrix), generator=generator), dim=0)
    for _ in range(15):
        right = F.normalize(matrix.T @ left, dim=0)
        left = F.normalize(matrix @ right, dim=0)
    constraint.get_buffer("_u").copy_(left)
    constraint.get_buffer("_v").copy_(right)
