"""Partial convolution as computed by most public code: the mask has all channels and is convolved with dense ones."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def dense_mask_convolution(features, valid, weight, mask_weight, bias=None, stride=1, padding=0):
    """Features [B,C,H,W] and valid [B,C,H,W] to the pair of the next layer, both with all channels."""
    raw = F.conv2d(features * valid, weight, None, stride, padding)
    with torch.no_grad():
        total = F.conv2d(valid, mask_weight, None, stride, padding)
        empty = total == 0
        factor = weight[0].numel() / total.masked_fill_(empty, 1.0)
    output = raw * factor
    if bias is not None:
        output = output + bias.view(1, -1, 1, 1)
    output = output.masked_fill_(empty, 0.0)
    return output, torch.ones_like(output).masked_fill_(empty, 0.0)


class DenseMaskUNet(nn.Module):
    """A `PConvUNet` in the dense-mask formulation, which stores kernels of ones for the masks."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.encoder, self.decoder = copy.deepcopy(network.encoder), copy.deepcopy(network.decoder)
        for block in (*self.encoder, *self.decoder):
            block.mask_weight = nn.Parameter(torch.ones_like(block.convolution.weight), requires_grad=False)

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        features, valid = image, (1 - mask).expand_as(image)
        skips = []
        for block in self.encoder:
            skips.append((features, valid))
            features, valid = self.step(block, features, valid)
        for block in self.decoder:
            skip, skip_valid = skips.pop()
            features = torch.cat([F.interpolate(features, scale_factor=2.0), skip], 1)
            valid = torch.cat([F.interpolate(valid, scale_factor=2.0), skip_valid], 1)
            features, valid = self.step(block, features, valid)
        return features

    @staticmethod
    def step(block, features, valid):
        layer = block.convolution
        features, valid = dense_mask_convolution(
            features, valid, layer.weight, block.mask_weight, layer.bias, layer.stride, layer.padding
        )
        return block.activation(block.norm(features)), valid
