"""The mixture of a fill and the patches copied over it."""

from __future__ import annotations

import math

import pytest
import torch

from inpaint_core import inpaint
from inpaint_core.inpainting.mixing import BOOST, DEPTH, DETAIL_DEPTH, MAX_GAIN, SHARE, mix_fills

from .drawn import noise, square_hole

NEAR = torch.zeros(1, 96, 96)  # depth of the hole: everywhere at its boundary


def texture(seed: int) -> torch.Tensor:
    """`[3,96,96]`, far from black and white."""
    return 0.35 + 0.3 * noise(3, 96, 96, seed=seed)


def test_equal_fills_keep_their_structure_and_gain_some_contrast():
    fill = texture(0)
    mixed = mix_fills(fill, fill, NEAR)
    assert float(mixed.std()) == pytest.approx(BOOST * float(fill.std()), rel=0.02)
    steps = torch.arange(4.0).repeat_interleave(24).expand(3, 96, 96) / 4
    assert torch.allclose(mix_fills(steps, steps, NEAR), steps, atol=0.03)
    assert torch.allclose(mix_fills(0 * fill + 0.3, 0 * fill + 0.3, NEAR), 0 * fill + 0.3, atol=1e-6)


def test_independent_textures_keep_their_contrast():
    fill, copied = texture(1), texture(2)
    mixed, mean = mix_fills(fill, copied, NEAR), torch.lerp(fill, copied, SHARE)
    assert float(mean.std()) == pytest.approx(math.hypot(SHARE, 1.0 - SHARE) * float(copied.std()), rel=0.05)
    assert float(mixed.std()) == pytest.approx(BOOST * float(copied.std()), rel=0.05)


def test_a_flat_fill_gets_the_detail_of_the_patches():
    copied = texture(0)
    mixed = mix_fills(torch.full_like(copied, 0.5), copied, NEAR)
    assert float(mixed.std()) == pytest.approx(min(MAX_GAIN * SHARE, BOOST) * float(copied.std()), rel=0.05)


def test_detail_of_the_fill_alone_is_not_amplified():
    fill = texture(0)
    flat = torch.full_like(fill, 0.5)
    assert torch.allclose(mix_fills(fill, flat, NEAR), torch.lerp(fill, flat, SHARE), atol=1e-5)


def test_only_patches_are_left_deep_in_the_hole():
    side = 2 * DEPTH + 48
    fill, copied = torch.full((3, side, side), 0.2), torch.full((3, side, side), 0.8)
    mixed = mix_fills(fill, copied, square_hole(side, side, 10, 10, side - 20)[0])
    core = slice(side // 2 - 6, side // 2 + 6)
    assert torch.allclose(mixed[:, core, core], copied[:, core, core], atol=1e-5)
    assert torch.allclose(mixed[:, 10, core], torch.tensor(0.2 + 0.6 * SHARE), atol=0.05)
    column = mixed[0, 10 : side // 2, side // 2]
    assert bool((column[1:] >= column[:-1] - 1e-6).all())


def test_detail_of_the_fill_ends_before_its_colors():
    side = 2 * DEPTH + 40
    hole = square_hole(side, side, 0, 0, side)[0]
    hole[:, :, :20] = 0.0
    stripes = torch.arange(side) % 2 * 0.2
    fill, copied = (0.3 + stripes).expand(3, side, side), torch.full((3, side, side), 0.7)
    mixed = mix_fills(fill, copied, hole)
    place = slice(20 + DETAIL_DEPTH + 4, 20 + DETAIL_DEPTH + 12)
    row = mixed[0, side // 2, place]
    assert float(row.diff().abs().max()) < 0.02
    assert 0.45 < float(row.mean()) < 0.65
    near = mixed[0, side // 2, 22:30]
    assert float(near.diff().abs().max()) > 0.05


def test_gray_stays_gray():
    fill, copied = (noise(1, 40, 50, seed=seed).expand(3, -1, -1) for seed in (1, 2))
    mixed = mix_fills(fill, copied, torch.ones(1, 40, 50))
    assert torch.equal(mixed, mixed[:1].expand(3, -1, -1))


class Detailed:
    """Fills with white, and with black where it is a guide."""

    def __init__(self, value: float = 1.0) -> None:
        self.value = value

    def as_guide(self):
        return Detailed(0.0)

    def complete(self, image, mask):
        return torch.where(mask > 0.5, self.value, image)


def test_the_mixture_is_with_the_guide():
    image, mask = noise(1, 3, 48, 48), square_hole(48, 48, 16, 16, 16)
    from_guide = inpaint(Detailed(0.0), image, mask, detail="patches")
    assert torch.equal(inpaint(Detailed(), image, mask, detail="patches"), from_guide)
    assert not torch.equal(inpaint(Detailed(), image, mask, detail="network"), from_guide)


class Blue:
    """Fills with blue."""

    def complete(self, image, mask):
        return torch.where(mask > 0.5, torch.tensor([0.0, 0.0, 1.0]).view(1, 3, 1, 1), image)


def test_chosen_sources_are_copied_unmixed():
    """If the caller says what to copy, no color of the fill is left."""
    image = torch.zeros(1, 3, 64, 64)
    image[:, 0], image[:, 1, 32:] = 0.6, 0.3
    image[:, 2, :, :16] = 1.0
    mask = square_hole(64, 64, 24, 32, 16)
    allowed = torch.zeros(1, 1, 64, 64)
    allowed[..., 48:] = 1.0
    chosen = inpaint(Blue(), image, mask, detail="patches", allowed=allowed)
    assert float(chosen[:, 2, :, 32:].max()) == 0.0
    assert float(inpaint(Blue(), image, mask, detail="patches")[:, 2, :, 32:].max()) > 0.0


def test_values_stay_between_black_and_white():
    fill, copied = (noise(3, 96, 96, seed=seed).round() for seed in (1, 2))
    mixed = mix_fills(fill, copied, NEAR)
    assert 0.0 == float(mixed.min()) < float(mixed.max()) == 1.0
