"""The second encoder, against the network that it extends and against the paper's formula."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from inpaint_core.models.context_pconv_unet import PartialBlock
from inpaint_core.models.registry import build_model

SMALL = {"width": 4, "context_width": 8, "blocks": 2}


def scene(side: int = 32) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    mask = torch.zeros(1, 1, side, side)
    mask[..., 8:24, 6:20] = 1.0
    return torch.rand(1, 3, side, side, generator=generator), mask


def trained(name: str) -> torch.nn.Module:
    """A network whose weights are all different from 0."""
    network = build_model(name, **SMALL)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return network


@torch.no_grad()
def test_with_factors_of_zero_it_is_a_context_unet():
    plain, extended = trained("context_unet"), trained("context_pconv_unet")
    extended.load_state_dict(plain.state_dict(), strict=False)
    image, mask = scene()
    assert not torch.equal(extended(image, mask), plain(image, mask))
    for factor in extended.factors:
        factor.zero_()
    assert torch.equal(extended(image, mask), plain(image, mask))


@torch.no_grad()
def test_a_fresh_network_starts_with_the_smooth_fill_and_factors_of_zero():
    network = build_model("context_pconv_unet", **SMALL)
    image, mask = scene()
    smooth = build_model("context_unet", **SMALL)(image, mask)
    assert torch.equal(network(image, mask), smooth)
    assert all(bool((factor == 0).all()) for factor in network.factors)


def test_the_factors_learn_at_once_and_the_second_encoder_after_them():
    network = trained("context_pconv_unet").train()
    image, mask = scene()
    network(image, mask).square().mean().backward()
    assert all(bool((parameter.grad != 0).any()) for parameter in network.partial_encoder.parameters())
    assert all(bool((factor.grad != 0).any()) for factor in network.factors)


@torch.no_grad()
def test_the_second_encoder_is_a_partial_convolution():
    torch_generator = torch.Generator().manual_seed(1)
    block = PartialBlock(3, 5, stride=2)
    image, mask = scene(12)
    mask = (torch.rand(1, 1, 12, 12, generator=torch_generator) > 0.4).float()
    valid = 1.0 - mask
    features, update = block(image * valid, valid)
    weight, bias = block.convolution.weight, block.convolution.bias
    window = F.conv2d(valid, torch.ones(1, 1, 3, 3), stride=2, padding=1)
    plain = F.conv2d(image * valid, weight, stride=2, padding=1)
    expected = torch.where(window > 0, plain * 9.0 / window.clamp(min=1.0) + bias.view(1, -1, 1, 1), 0.0)
    assert torch.allclose(features, expected.relu(), atol=1e-6)
    assert torch.equal(update, (window > 0).float())
