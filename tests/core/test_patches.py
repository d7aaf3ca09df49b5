"""Patch completion: its promises for every picture, hole and size."""

from __future__ import annotations

import logging

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from inpaint_core import inpaint
from inpaint_core.inpainting.classical import CLASSICAL_METHODS, ClassicalFill
from inpaint_core.inpainting.patches import fill_from_patches
from inpaint_core.inpainting.patches.features import patch_metric, principal_kernel, project, project_patches
from inpaint_core.inpainting.patches.field import Field, nearest, whole_patches
from inpaint_core.inpainting.patches.guide import REACH, guide_weights
from inpaint_core.inpainting.patches.pyramid import halve
from inpaint_core.masks import generate

from .drawn import noise, square_hole


def stripes(height: int, width: int, period: int) -> torch.Tensor:
    columns = ((torch.arange(width) // (period // 2)) % 2).float()
    first, second = torch.tensor([0.9, 0.1, 0.2]), torch.tensor([0.1, 0.3, 0.8])
    row = first[:, None] * columns + second[:, None] * (1 - columns)
    return row[None, :, None].expand(1, 3, height, width).clone()


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 300),
    st.integers(1, 60),
    st.sampled_from([1, 3, 4]),
    st.sampled_from(["noise", "strokes", "full", "point"]),
    st.booleans(),
)
def test_every_size_and_mask_is_filled_and_known_pixels_are_kept(height, width, channels, kind, guided):
    image = noise(1, channels, height, width)
    mask = {
        "noise": lambda: (noise(1, 1, height, width, seed=1) > 0.7).float(),
        "strokes": lambda: (noise(1, 1, 1, width, seed=2) > 0.8).float().expand(1, 1, height, width).contiguous(),
        "full": lambda: torch.ones(1, 1, height, width),
        "point": lambda: square_hole(height, width, height // 2, width // 2, 1),
    }[kind]()
    hidden = torch.where(mask > 0.5, float("nan"), image)
    guide = torch.full_like(image, 0.5) if guided else None
    result = fill_from_patches(hidden, mask, guide=guide)
    assert result.shape == image.shape
    assert torch.equal(result[mask.expand_as(image) < 0.5], image[mask.expand_as(image) < 0.5])
    assert torch.isfinite(result).all()
    assert result.min() >= 0.0
    assert result.max() <= 1.0


def test_the_fill_depends_on_the_seed_alone_and_random_numbers_are_left_alone():
    image, mask = noise(1, 3, 48, 48), square_hole(48, 48, 12, 12, 20)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first = fill_from_patches(image, mask, seed=3)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(fill_from_patches(image, mask, seed=3), first)
    assert not torch.equal(fill_from_patches(image, mask, seed=4), first)


def test_a_batch_is_filled_like_its_pictures():
    image = noise(2, 3, 40, 50)
    mask = torch.cat([square_hole(40, 50, 8, 8, 14), square_hole(40, 50, 20, 25, 9)])
    both = fill_from_patches(image, mask)
    each = [fill_from_patches(image[i : i + 1], mask[i : i + 1]) for i in range(2)]
    assert torch.equal(both, torch.cat(each))


def test_every_filled_pixel_is_a_mean_of_known_ones():
    image, mask = 0.2 + 0.3 * noise(1, 1, 64, 64), square_hole(64, 64, 20, 20, 24)
    result = fill_from_patches(image, mask)
    inside = result[mask > 0.5]
    assert inside.min() >= image.min()
    assert inside.max() <= image.max()


@pytest.mark.parametrize("color", [(0.95, 0.85, 0.1), (1 / 3, 1 / 7, 0.1), (0.0, 1.0, 0.5)])
@pytest.mark.parametrize("kind", ["strokes", "rectangles"])
def test_a_hole_in_flat_color_gets_exactly_that_color(color, kind):
    image = torch.tensor(color)[None, :, None, None].expand(1, 3, 64, 80).clone()
    mask = generate(kind, size=(64, 80), hole_ratio=(0.2, 0.3), seed=1)
    for guide in (None, noise(1, 3, 64, 80)):
        assert torch.equal(fill_from_patches(image * (1 - mask), mask, guide=guide), image)


@pytest.mark.parametrize("period", [4, 8])
def test_a_two_color_pattern_is_continued(period):
    image = stripes(96, 96, period)
    mask = square_hole(96, 96, 32, 36, 24)
    result = fill_from_patches(image * (1 - mask), mask)
    assert (result - image).abs().max() < 1e-6


def test_what_must_not_be_copied_is_not_copied():
    image = torch.full((1, 3, 64, 96), 0.25)
    image[..., 60:] = torch.tensor([1.0, 0.0, 0.0]).view(1, 3, 1, 1)
    mask = square_hole(64, 96, 16, 40, 24)
    allowed = torch.zeros(1, 1, 64, 96)
    allowed[..., :40] = 1.0
    result = fill_from_patches(image * (1 - mask), mask, allowed=allowed)
    assert torch.equal(result[..., 16:40, 40:64], torch.full((1, 3, 24, 24), 0.25))


def test_another_picture_can_be_the_only_source():
    image, mask = torch.zeros(1, 3, 40, 40), torch.ones(1, 1, 40, 40)
    mask[..., :2, :] = 0.0  # too little for a whole patch
    other = torch.tensor([0.2, 0.6, 0.4]).view(3, 1, 1).expand(3, 33, 57).contiguous()
    result = fill_from_patches(image, mask, sources=[other])
    assert torch.equal(result[..., 2:, :], other[None, :, :1, :1].expand(1, 3, 38, 40))


def test_a_hole_with_nothing_to_copy_is_reported_and_filled_smoothly(caplog):
    image, mask = torch.full((1, 3, 32, 32), 0.75), torch.ones(1, 1, 32, 32)
    mask[..., 10, 10] = 0.0
    with caplog.at_level(logging.INFO, logger="liminal"):
        result = fill_from_patches(image * (1 - mask), mask)
    assert [record.message for record in caplog.records] == [
        "There is no complete patch to copy, so the hole is filled smoothly"
    ]
    assert (result - 0.75).abs().max() < 1e-6


def test_work_can_be_cancelled_between_passes():
    calls = []

    def check():
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fill_from_patches(noise(1, 3, 64, 64), square_hole(64, 64, 16, 16, 30), check=check)
    assert len(calls) == 3


@pytest.mark.parametrize("detail", ["network", "patches"])
def test_inpaint_can_be_cancelled_between_passes_and_counts_up(detail):
    seen = []
    image, mask = noise(2, 3, 48, 48), square_hole(48, 48, 12, 12, 20)
    model = ClassicalFill("patches" if detail == "network" else "smooth")
    inpaint(model, image, mask, detail=detail, progress=lambda done, total, _: seen.append((done, total)))
    assert len(seen) > 20
    assert seen == sorted(seen)
    assert seen[-1][0] == seen[-1][1] == {"network": 2, "patches": 4}[detail]

    def cancel(done, total, picture):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        inpaint(model, image, mask, detail=detail, progress=cancel)


def test_far_parts_of_a_picture_change_nothing():
    image, mask = noise(1, 3, 400, 60), square_hole(400, 60, 10, 20, 12)
    other = image.clone()
    other[..., 200:, :] = 0.0
    assert torch.equal(fill_from_patches(image, mask)[..., :60, :], fill_from_patches(other, mask)[..., :60, :])


def test_whole_patches_and_the_nearest_of_them_as_by_brute_force():
    usable = noise(17, 23, seed=3) > 0.04
    valid = whole_patches(usable, 2)
    expected = torch.zeros_like(usable)
    for y in range(2, 15):
        for x in range(2, 21):
            expected[y, x] = usable[y - 2 : y + 3, x - 2 : x + 3].all()
    assert torch.equal(valid, expected)
    assert valid.any()
    places = torch.nonzero(valid)
    near = nearest(valid).view(17, 23)
    for y in range(17):
        for x in range(23):
            row, column = divmod(int(near[y, x]), 23)
            assert valid[row, column]
            least = (places - torch.tensor([y, x])).square().sum(1).min().sqrt()
            # OpenCV's 5 x 5 mask is within some percent of the Euclidean distance.
            assert ((row - y) ** 2 + (column - x) ** 2) ** 0.5 <= 1.1 * float(least) + 0.1


@pytest.mark.parametrize("channels", [1, 3])
def test_patches_are_projected_alike_one_by_one_and_all_at_once(channels):
    image = noise(channels, 20, 31, seed=5)
    centers = torch.nonzero(whole_patches(torch.ones(20, 31, dtype=torch.bool), 2).flatten()).flatten()
    kernel = principal_kernel(image, centers, 2, 100, torch.Generator())  # all components: distances are exact
    vectors = project_patches(image, kernel, centers)
    assert torch.allclose(vectors, project(image, kernel)[centers], atol=1e-5)
    flat = torch.stack(
        [image[:, y - 2 : y + 3, x - 2 : x + 3].flatten() for y, x in [divmod(int(c), 31) for c in centers]]
    )
    difference = (flat[0] - flat[1:]) @ patch_metric(channels, 2)
    assert torch.allclose((vectors[0] - vectors[1:]).square().sum(1), difference.square().sum(1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("scale", [1, 4])
def test_a_guide_is_compared_near_the_boundary_only(scale):
    known = torch.ones(140, 140, dtype=torch.bool)
    known[20:121, 20:121] = False
    weights = guide_weights(known, scale)
    assert bool((weights[known] == 1.0).all())
    rows, columns = torch.nonzero(~known).T
    depth = torch.stack([rows - 19, 121 - rows, columns - 19, 121 - columns]).amin(0)  # to the nearest side
    expected = (1.0 - depth * scale / REACH).clamp(min=0.0).sqrt()
    assert torch.allclose(weights[rows, columns], expected, atol=1e-5)
    assert weights[70, 70] == 0.0


def test_weights_apply_to_the_last_components_of_each_patch():
    generator = torch.Generator().manual_seed(0)
    sources, targets = noise(30, 5, seed=1), noise(4, 5, seed=2)
    weights = torch.tensor([0.0, 0.5, 1.0, 2.0])[:, None].expand(-1, 2)
    field = Field(
        torch.tensor([0, 1, 5, 6]),
        (5, 5),
        torch.ones(6, 5, dtype=torch.bool),
        sources,
        torch.zeros(4).long(),
        generator,
        weights,
    )
    field.look_at(targets)
    before = field.distance.clone()
    for _ in range(5):
        field.improve(False)
    difference = targets - sources[field.match]
    difference[:, 3:] *= weights
    assert torch.allclose(field.distance, difference.square().sum(1))
    assert bool((field.distance < before).any())


def test_halving_knows_what_any_pixel_under_its_kernel_knows():
    known = noise(9, 12, seed=4) > 0.9
    values = torch.where(known, 0.5, 0.0)[None]
    small, some = halve(values, known)
    for y in range(5):
        for x in range(6):
            expected = bool(known[max(0, 2 * y - 2) : 2 * y + 4, max(0, 2 * x - 2) : 2 * x + 4].any())
            assert bool(some[y, x]) == expected
    assert torch.allclose(small[0], torch.where(some, 0.5, 0.0))


@pytest.mark.parametrize("detail", ["network", "patches"])
@pytest.mark.parametrize("method", CLASSICAL_METHODS)
def test_gray_stays_gray_and_flat_stays_flat_for_every_method(method, detail):
    gray = noise(1, 1, 48, 48).expand(1, 3, 48, 48)
    mask = square_hole(48, 48, 18, 16, 12)
    filled = inpaint(ClassicalFill(method), gray, mask, detail=detail)
    assert torch.equal(filled[:, :1].expand_as(filled), filled)
    flat = torch.tensor([0.9, 0.8, 0.15]).view(1, 3, 1, 1).expand(1, 3, 48, 48).clone()
    assert torch.equal(inpaint(ClassicalFill(method), flat, mask, detail=detail), flat)


class Tinted:
    """Fills with a color that is too pale, as networks do."""

    def complete(self, image, mask):
        return torch.where(mask > 0.5, 0.5 + 0.5 * torch.tensor([0.9, 0.1, 0.4]).view(1, 3, 1, 1), image)


@pytest.mark.parametrize("detail", ["network", "patches"])
def test_a_network_that_tints_leaves_gray_gray_and_flat_flat(detail):
    mask = square_hole(64, 64, 20, 20, 20)
    gray = (0.3 + 0.2 * noise(1, 1, 64, 64)).expand(1, 3, 64, 64)
    filled = inpaint(Tinted(), gray, mask, detail=detail)
    assert torch.equal(filled[:, :1].expand_as(filled), filled)
    assert filled.max() <= 0.5 + 0.25 * 0.2 + 1e-6
    flat = torch.tensor([0.9, 0.8, 0.15]).view(1, 3, 1, 1).expand(1, 3, 64, 64).clone()
    assert torch.equal(inpaint(Tinted(), flat, mask, detail=detail), flat)


def test_a_still_clip_gives_identical_frames():
    frames = noise(1, 3, 48, 64).expand(3, 3, 48, 64)
    filled = inpaint(ClassicalFill("patches"), frames, square_hole(48, 64, 10, 20, 16), detail="patches", seed=2)
    assert torch.equal(filled[1:], filled[:1].expand(2, 3, 48, 64))
