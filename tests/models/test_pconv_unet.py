"""The partial-convolution U-Net: against a dense-mask version, and its promises."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from inpaint_core.models import build_model

from .dense_mask_reference import DenseMaskUNet


def picture(size, batch=1, seed=0):
    return torch.rand(batch, 3, size, size, generator=torch.Generator().manual_seed(seed))


def holes(size, batch=1, seed=0):
    mask = torch.zeros(batch, 1, size, size)
    generator = torch.Generator().manual_seed(seed)
    for sample in range(batch):
        for _ in range(4):
            top, left = torch.randint(0, size // 2, (2,), generator=generator).tolist()
            mask[sample, :, top : top + size // 3, left : left + size // 4] = 1
    return mask


@pytest.mark.parametrize("depth", [3, 6, 7])
@torch.no_grad()
def test_equals_the_dense_mask_formulation(depth):
    network = build_model("pconv_unet", depth=depth, width=4)
    image, mask = picture(2 * 2**depth, 2), holes(2 * 2**depth, 2)
    expected = DenseMaskUNet(network)(image, mask)
    assert torch.allclose(network(image, mask), expected, atol=1e-4 * float(expected.abs().max()))


@torch.no_grad()
def test_the_contents_of_the_hole_do_not_matter():
    network = build_model("pconv_unet", depth=4, width=4)
    image, mask = picture(64), holes(64)
    assert torch.equal(network(image, mask), network(torch.where(mask > 0, -1000.0 * image, image), mask))


@torch.no_grad()
def test_an_empty_mask_and_a_full_one_give_finite_pictures():
    network = build_model("pconv_unet", depth=3, width=4)
    for mask in (torch.zeros(1, 1, 32, 32), torch.ones(1, 1, 32, 32)):
        assert torch.isfinite(network(picture(32), mask)).all()
    assert (network(picture(32), torch.ones(1, 1, 32, 32)) == 0).all()


def test_its_weights_take_half_of_what_the_dense_mask_version_stores():
    network = build_model("pconv_unet", width=8)
    stored, dense = (
        sum(tensor.numel() for tensor in net.state_dict().values()) for net in (network, DenseMaskUNet(network))
    )
    assert stored / dense == pytest.approx(0.5, abs=0.01)


def norms(network):
    return [block.norm for block in network.encoder if isinstance(block.norm, nn.BatchNorm2d)]


@pytest.mark.parametrize("mode", ["off", "statistics", "affine"])
def test_encoder_freeze_modes_survive_every_switch_between_training_and_evaluation(mode):
    network = build_model("pconv_unet", depth=3, width=4)
    network.freeze_encoder_norm(mode)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    optimizer = torch.optim.SGD(network.parameters(), 0.1)
    for _ in range(2):
        network.eval()
        network.train()
        assert network.train() is network
        network(picture(32, 2), holes(32, 2)).square().mean().backward()
        optimizer.step()
    after = network.state_dict()
    statistics_kept = all(torch.equal(before[k], after[k]) for k in before if "encoder" in k and "norm.running" in k)
    affine_kept = all(
        torch.equal(before[k], after[k]) for k in before if "encoder" in k and k.endswith(("norm.weight", "norm.bias"))
    )
    assert statistics_kept == (mode != "off")
    assert affine_kept == (mode == "affine")
    assert not torch.equal(before["decoder.0.norm.running_mean"], after["decoder.0.norm.running_mean"])
    assert not torch.equal(before["encoder.1.convolution.weight"], after["encoder.1.convolution.weight"])


def test_freezing_can_be_undone():
    network = build_model("pconv_unet", depth=3, width=4).train()
    network.freeze_encoder_norm("affine")
    assert all(not norm.training and not norm.weight.requires_grad for norm in norms(network))
    network.freeze_encoder_norm("off")
    assert all(norm.training and norm.weight.requires_grad for norm in norms(network))
    with pytest.raises(ValueError, match="choose off, statistics or affine"):
        network.freeze_encoder_norm("on")


def test_batch_normalization_is_registered_and_learns():
    network = build_model("pconv_unet", depth=3, width=4).train()
    assert sum(isinstance(m, nn.BatchNorm2d) for m in network.modules()) == 4
    before = network.state_dict()["encoder.1.norm.running_mean"].clone()
    network(picture(32, 2), holes(32, 2))
    assert not torch.equal(before, network.state_dict()["encoder.1.norm.running_mean"])


def test_training_works_down_to_a_bottleneck_of_one_pixel():
    network = build_model("pconv_unet", depth=4, width=2).train()
    network(picture(16), holes(16)).mean().backward()
    assert all(torch.isfinite(p.grad).all() for p in network.parameters())
