"""Partial convolution as most public code computes it: the mask has all channels and is convolved with dense ones."""

from __future__ import annotations

import torch
from torch.nn import functional as F


def dense_mask_convolution(features, valid, weight, bias=None, stride=1, padding=0):
    """Features [B,C,H,W] and valid [B,C,H,W] to the pair of the next layer, both with all channels."""
    raw = F.conv2d(features * valid, weight, None, stride, padding)
    with torch.no_grad():
        total = F.conv2d(valid, torch.ones_like(weight), None, stride, padding)
        empty = total == 0
        factor = weight[0].numel() / total.masked_fill(empty, 1.0)
    output = raw * factor
    if bias is not None:
        output = output + bias.view(1, -1, 1, 1)
    return output.masked_fill(empty, 0.0), torch.ones_like(output).masked_fill(empty, 0.0)


def dense_mask_unet(network, image, mask):
    """The forward pass of our `PConvUNet` with its own weights, in the dense-mask formulation."""

    def step(block, features, valid):
        convolution = block.convolution
        features, valid = dense_mask_convolution(
            features, valid, convolution.weight, convolution.bias, convolution.stride, convolution.padding
        )
        return block.activation(block.norm(features)), valid

    features, valid = image, (1 - mask).expand_as(image)
    skips = []
    for block in network.encoder:
        skips.append((features, valid))
        features, valid = step(block, features, valid)
    for block in network.decoder:
        skip, skip_valid = skips.pop()
        features = torch.cat([F.interpolate(features, scale_factor=2.0), skip], 1)
        valid = torch.cat([F.interpolate(valid, scale_factor=2.0), skip_valid], 1)
        features, valid = step(block, features, valid)
    return features
