"""The host's IMAGE and MASK in every form that occurs, and back."""

from __future__ import annotations

import pytest
import torch


def random(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("channels", [3, 4])
def test_an_image_survives_the_way_there_and_back_bit_for_bit(host, channels):
    image = random(2, 5, 7, channels)
    planes = host.image_planes(image)
    assert planes.shape == (2, channels, 5, 7)
    back = host.host_image(planes)
    assert torch.equal(back, image)
    assert back.is_contiguous()


def test_gray_and_unbatched_images_are_accepted(host):
    gray = random(5, 7, 1)
    assert torch.equal(host.host_image(host.image_planes(gray)), gray.expand(5, 7, 3)[None])


def test_half_precision_images_become_float32(host):
    assert host.image_planes(random(1, 2, 2, 3).half()).dtype == torch.float32


@pytest.mark.parametrize("shape", [(5, 7), (1, 5, 7, 2), (1, 5, 7, 5), (1, 0, 7, 3), (0, 5, 7, 3), (1, 1, 5, 7, 3)])
def test_invalid_images_are_rejected(host, shape):
    with pytest.raises(ValueError, match="IMAGE"):
        host.image_planes(torch.zeros(shape))


def test_every_rank_of_mask_means_the_same(host):
    mask = random(2, 5, 7).round()
    image = torch.zeros(1, 3, 5, 7)
    for form in (mask, mask[:, None], mask[..., None]):
        assert torch.equal(host.hole_planes(form, image), mask[:, None])
    assert torch.equal(host.hole_planes(mask[0], image), mask[:1, None])
    assert torch.equal(host.host_mask(host.hole_planes(mask, image)), mask)


@pytest.mark.parametrize("shape", [(7,), (1, 3, 5, 7), (1, 5, 7, 3), (0, 5, 7), (1, 1, 1, 5, 7)])
def test_invalid_masks_are_rejected(host, shape):
    with pytest.raises(ValueError, match="mask"):
        host.hole_planes(torch.zeros(shape), torch.zeros(1, 3, 5, 7))


def test_nearly_binary_masks_become_binary(host):
    mask = torch.tensor([[[0.0, 1 / 255, 0.49, 0.51, 0.98, 1.0]]])
    assert host.hole_planes(mask, torch.zeros(1, 3, 1, 6)).flatten().tolist() == [0, 0, 0, 1, 1, 1]
    assert host.hole_planes(mask, torch.zeros(1, 3, 1, 6), 0.99).flatten().tolist() == [0, 0, 0, 0, 0, 1]


def test_inverting_twice_gives_the_mask_back(host):
    mask = random(1, 5, 7).round()
    image = torch.zeros(1, 3, 5, 7)
    inverted = host.hole_planes(mask, image, invert=True)
    assert torch.equal(inverted, 1 - mask[:, None])
    assert torch.equal(host.hole_planes(inverted, image, invert=True), mask[:, None])


def test_the_hosts_empty_64x64_mask_means_no_mask_also_inverted(host):
    assert not host.hole_planes(torch.zeros(1, 64, 64), torch.zeros(1, 3, 100, 100), invert=True).any()
    assert host.hole_planes(torch.zeros(1, 64, 64), torch.zeros(1, 3, 64, 64), invert=True).all()
