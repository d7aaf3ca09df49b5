from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import ndimage
from torch import Tensor

from inpaint_core.masks import generate
from inpaint_core.masks.morphology import feather, fill_holes, grow, invert, remove_specks, shrink, threshold


def hard_mask(height: int, width: int, seed: int, share: float = 0.1) -> Tensor:
    chances = torch.rand(1, 1, height, width, generator=torch.Generator().manual_seed(seed))
    return (chances < share).float()


def soft_mask(seed: int) -> Tensor:
    values = torch.rand(1, 1, 30, 41, generator=torch.Generator().manual_seed(seed))
    return torch.where(values > 0.8, values, torch.zeros(()))


def distances(mask: Tensor, to: float) -> np.ndarray:
    """Brute force: Euclidean distance of every pixel to the nearest pixel of value `to`."""
    plane = mask[0, 0].numpy()
    targets = np.argwhere(plane == to)
    places = np.indices(plane.shape).transpose(1, 2, 0)
    if not len(targets):
        return np.full(plane.shape, np.inf)
    return np.sqrt(((places[:, :, None] - targets) ** 2).sum(-1)).min(-1)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 24),
    st.integers(1, 24),
    st.integers(0, 1000),
    st.floats(0.0, 9.0),
    st.sampled_from([0.0, 0.02, 0.5, 1.0]),
)
def test_growing_and_shrinking_a_hard_mask_measure_the_distance(
    height: int, width: int, seed: int, pixels: float, share: float
) -> None:
    # Where a distance and the radius are equal but for rounding, either answer is right.
    assume(pixels.is_integer() or abs(pixels**2 - round(pixels**2)) > 1e-2)
    mask = hard_mask(height, width, seed, share)
    assert np.array_equal(grow(mask, pixels)[0, 0].numpy() == 1, distances(mask, 1.0) <= pixels + 1e-4)
    assert np.array_equal(shrink(mask, pixels)[0, 0].numpy() == 0, distances(mask, 0.0) <= pixels + 1e-4)


@pytest.mark.parametrize("radius", [0, 1, 2, 3, 5, 8, 13])
def test_growing_a_soft_mask_takes_the_maximum_over_an_octagon(radius: int) -> None:
    probe = torch.zeros(1, 1, 61, 61)
    probe[0, 0, 30, 30] = 0.5
    octagon = grow(probe, radius)[0, 0].numpy() > 0
    away = np.hypot(*(np.indices(octagon.shape) - 30))
    assert octagon[away <= radius - 1e-6].all()
    assert not octagon[away > 1.09 * radius + 1.5].any()
    assert octagon.sum(axis=0).max() == octagon.sum(axis=1).max() == 2 * radius + 1

    mask = soft_mask(radius)
    expected = ndimage.grey_dilation(mask[0, 0].numpy(), footprint=octagon, mode="constant", cval=0.0)
    assert np.array_equal(grow(mask, radius)[0, 0].numpy(), expected)
    assert torch.allclose(shrink(mask, radius), 1.0 - grow(1.0 - mask, radius))


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 24),
    st.integers(1, 24),
    st.integers(0, 1000),
    st.integers(0, 9),
    st.sampled_from([0.0, 0.02, 0.5, 1.0]),
)
def test_feathering_follows_its_formula(height: int, width: int, seed: int, pixels: int, share: float) -> None:
    mask = hard_mask(height, width, seed, share)

    def ramp(distance: np.ndarray) -> np.ndarray:
        t = np.minimum(distance / (pixels + 1), 1.0)
        return t * t * (3 - 2 * t) if pixels else (distance > 0).astype(float)

    inner, outer = feather(mask, pixels)[0, 0].numpy(), feather(mask, pixels, inward=False)[0, 0].numpy()
    assert np.allclose(inner, ramp(distances(mask, 0.0)), atol=1e-4)
    assert np.allclose(outer, 1.0 - ramp(distances(mask, 1.0)), atol=1e-4)
    assert (inner[mask[0, 0].numpy() == 0] == 0).all()
    assert (outer[mask[0, 0].numpy() == 1] == 1).all()


def test_the_edge_of_the_picture_is_not_an_edge_of_the_hole() -> None:
    full = torch.ones(1, 1, 9, 9)
    assert torch.equal(shrink(full, 3), full)
    assert torch.equal(feather(full, 3), full)
    half = full.clone()
    half[..., 5:] = 0.0
    assert torch.equal(shrink(half, 2)[0, 0, 0], torch.tensor([1.0, 1.0, 1.0, 0, 0, 0, 0, 0, 0]))


def test_filling_matches_scipy_on_hard_masks() -> None:
    for seed in range(10):
        mask = hard_mask(40, 50, seed, 0.45)
        assert np.array_equal(fill_holes(mask)[0, 0].numpy() == 1, ndimage.binary_fill_holes(mask[0, 0].numpy()))


def test_filling_a_feathered_ring_keeps_its_outer_ramp() -> None:
    rows, columns = np.indices((81, 81)) - 40
    away = np.hypot(rows, columns)
    ring = np.clip(np.minimum(away - 15, 35 - away) / 6, 0, 1).astype(np.float32)
    filled = fill_holes(torch.from_numpy(ring)[None, None])[0, 0].numpy()
    assert (filled[away <= 21] == 1.0).all()
    outside = away > 21
    assert np.array_equal(filled[outside], ring[outside])


def test_filling_and_feathering_compose() -> None:
    mask = generate("shapes", (64, 64), (0.3, 0.4), seed=1)
    soft = feather(mask, 4)
    filled = fill_holes(soft)
    changed = filled != soft
    assert not bool((changed & (fill_holes((soft > 0).float()) == 0)).any())
    assert bool((filled >= soft).all())
    assert bool(((filled > 0) & (filled < 1)).any())


def test_specks_are_removed_by_area() -> None:
    mask = torch.zeros(1, 1, 20, 20)
    mask[0, 0, 1:4, 1:4] = 1.0  # 9 pixels
    mask[0, 0, 10:15, 10:15] = 1.0  # 25 pixels
    mask[0, 0, 4, 4] = 1.0  # touches the first by a corner
    assert float(remove_specks(mask, 10).sum()) == 35.0
    assert float(remove_specks(mask, 11).sum()) == 25.0
    assert torch.equal(remove_specks(mask, 0), mask)
    soft = mask * 0.25
    assert float(remove_specks(soft, 6).sum()) == 6.25


def test_threshold_and_invert() -> None:
    soft = soft_mask(1)
    assert torch.equal(threshold(soft, 0.9), (soft > 0.9).float())
    assert torch.equal(invert(invert(soft)), 1.0 - (1.0 - soft))
    assert torch.equal(invert(threshold(soft)), 1.0 - threshold(soft))


@pytest.mark.parametrize(
    "operation",
    [lambda m: grow(m, 3), lambda m: shrink(m, 1), lambda m: feather(m, 3), fill_holes, lambda m: remove_specks(m, 4)],
)
def test_a_frame_does_not_depend_on_the_frames_before(operation) -> None:
    frames = torch.cat(
        [hard_mask(20, 30, 1, 0.3), soft_mask(2)[..., :20, :30], hard_mask(20, 30, 3), torch.ones(1, 1, 20, 30)]
    )
    together = operation(frames)
    assert together.dtype == torch.float32
    assert torch.equal(together, torch.cat([operation(frame[None]) for frame in frames]))


def test_other_shapes_and_radii_are_rejected_with_one_line() -> None:
    with pytest.raises(ValueError, match="normalize_mask"):
        grow(torch.zeros(8, 8), 1)
    with pytest.raises(ValueError, match="0 or more"):
        grow(torch.zeros(1, 1, 8, 8), -1)
    with pytest.raises(ValueError, match="0 or more"):
        feather(torch.zeros(1, 1, 8, 8), float("nan"))
    with pytest.raises(ValueError, match="0 or more"):
        remove_specks(torch.zeros(1, 1, 8, 8), -1)
