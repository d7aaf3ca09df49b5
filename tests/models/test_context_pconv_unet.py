"""The second encoder, compared with the network that it extends and with the paper's formula."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from inpaint_core import load_model
from inpaint_core.models.context_pconv_unet import LARGEST, PartialBlock
from inpaint_core.models.registry import build_model
from inpaint_core.models.residual_head import smooth_start

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
    start = smooth_start(image, mask)
    assert torch.allclose(network(image, mask), start.image * start.deviation + start.mean, atol=1e-6)
    assert all(bool((factor == 0).all()) for factor in network.factors)


def test_the_factors_learn_first_and_the_second_encoder_after_them():
    network = trained("context_pconv_unet").train()
    with torch.no_grad():
        for factor in network.factors:
            factor.zero_()
    image, mask = scene()
    optimizer = torch.optim.SGD(network.parameters(), 0.1)
    network(image, mask).square().mean().backward()
    assert all(bool((factor.grad != 0).any()) for factor in network.factors)
    assert all(bool((parameter.grad == 0).all()) for parameter in network.partial_encoder.parameters())
    optimizer.step()
    optimizer.zero_grad()
    network(image, mask).square().mean().backward()
    assert all(bool((parameter.grad != 0).any()) for parameter in network.partial_encoder.parameters())


@torch.no_grad()
def test_the_second_encoder_sees_known_pixels_only():
    network = trained("context_pconv_unet")
    image, mask = scene()
    other = torch.where(mask > 0.5, 1.0 - image, image)
    before, after = network._encode_known(image, mask), network._encode_known(other, mask)
    assert all(torch.equal(one, two) for one, two in zip(before, after, strict=True))
    moved = network._encode_known(1.0 - image, mask)
    assert not any(torch.equal(one, two) for one, two in zip(before, moved, strict=True))


@torch.no_grad()
def test_a_block_renormalizes_like_the_paper():
    generator = torch.Generator().manual_seed(1)
    block = PartialBlock(3, 5, stride=2)
    weight, bias = block.convolution.weight, block.convolution.bias
    weight.normal_(generator=generator)
    bias.normal_(generator=generator)
    image, _ = scene(12)
    valid = (torch.rand(1, 1, 12, 12, generator=generator) > 0.6).float()
    features, update = block(image * valid, valid)
    window = F.conv2d(valid, torch.ones(1, 1, 3, 3), stride=2, padding=1)
    plain = F.conv2d(image * valid, weight, stride=2, padding=1)
    expected = torch.where(window > 0, plain * 9.0 / window.clamp(min=1.0) + bias.view(1, -1, 1, 1), 0.0)
    assert torch.allclose(features, expected.relu(), atol=1e-5)
    assert torch.equal(update, (window > 0).float())


@torch.no_grad()
def test_isolated_known_pixels_do_not_overflow_half_precision():
    network = load_model("pconv-natural").network.half()
    generator = torch.Generator().manual_seed(2)
    mask = (torch.rand(1, 1, 64, 64, generator=generator) > 0.004).half()
    assert 0 < int((mask == 0).sum()) < 40
    flat = torch.full((1, 3, 64, 64), 0.5, dtype=torch.float16)
    flat[..., 20:22, 30:32] = 1.0
    mask[..., 20:22, 30:32] = 0.0
    assert bool(torch.isfinite(network(flat, mask)).all())
    assert float(torch.stack([found.max() for found in network._encode_known(flat * 1000, mask)]).max()) == LARGEST
