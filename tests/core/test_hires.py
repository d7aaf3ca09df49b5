"""Windows and tiles: inside the frame, every hole pixel exactly once, no more pixels than needed."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from inpaint_core.inpainting.windows import MAX_REGIONS, ROUND, hole_regions, reduced_size, tiles, whole_frame


def random_mask(height, width, kind, seed):
    generator = torch.Generator().manual_seed(seed)
    if kind == "salt":
        return (torch.rand(height, width, generator=generator) > 0.98).float()
    mask = torch.zeros(height, width)
    for _ in range(5 if kind == "rectangles" else 0):
        top, left = (int(torch.randint(0, side, (), generator=generator)) for side in (height, width))
        mask[top : top + 1 + height // 9, left : left + 1 + width // 7] = 1
    return mask


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 300),
    width=st.integers(1, 300),
    kind=st.sampled_from(["rectangles", "salt", "empty"]),
    min_side=st.integers(1, 128),
    context=st.floats(0.0, 2.0),
    seed=st.integers(0, 10**6),
)
def test_every_hole_pixel_belongs_to_exactly_one_window_inside_the_frame(height, width, kind, min_side, context, seed):
    mask = random_mask(height, width, kind, seed)
    owners = torch.zeros(height, width, dtype=torch.int64)
    for window, own in hole_regions(mask, min_side, context):
        assert 0 <= window.top < window.bottom <= height
        assert 0 <= window.left < window.right <= width
        assert window.height >= min(min_side, height)
        assert window.width >= min(min_side, width)
        assert own.shape == (window.height, window.width)
        owners[window.inside] += own
    assert torch.equal(owners, mask.long())


def test_a_window_has_the_context_asked_for_and_is_shifted_not_cut_at_the_border():
    mask = torch.zeros(1000, 1000)
    mask[500:600, 500:540] = 1
    (region,) = hole_regions(mask, 32, 0.5)
    assert region.window.height == 224  # 100 + 2 * 50, rounded up to a multiple of ROUND
    assert region.window.width == 160  # 40 + 2 * 50
    assert region.window.top == 500 - (224 - 100) // 2
    mask = torch.zeros(1000, 1000)
    mask[:100, 960:] = 1
    (region,) = hole_regions(mask, 32, 0.5)
    assert region.window[:2] == (0, 1000 - 160)
    assert region.window[2:] == (224, 1000)


def test_sides_are_round_so_that_nothing_has_to_be_padded():
    for window, _ in hole_regions(random_mask(900, 700, "rectangles", 3), 100, 0.3):
        assert window.height % ROUND == 0 or window.height == 900
        assert window.width % ROUND == 0 or window.width == 700


def test_far_holes_stay_apart_and_near_ones_share_a_window():
    mask = torch.zeros(800, 800)
    mask[10:20, 10:20] = mask[780:790, 780:790] = 1
    assert len(hole_regions(mask, 64, 0.5)) == 2
    mask[25:35, 25:35] = 1
    assert len(hole_regions(mask, 64, 0.5)) == 2


def test_joining_windows_never_costs_more_pixels_than_leaving_them_apart():
    # Two long holes at a right angle: one window around both would be far larger than two.
    mask = torch.zeros(1000, 1000)
    mask[100:110, 100:900] = 1
    mask[150:900, 100:110] = 1
    regions = hole_regions(mask, 32, 0.05)
    assert sum(region.window.area for region in regions) < 0.4 * 1000 * 1000


def test_a_hundred_thousand_specks_cost_no_more_regions_than_a_few():
    mask = (torch.rand(2000, 2000, generator=torch.Generator().manual_seed(0)) > 0.97).float()
    assert len(hole_regions(mask, 16, 0.5)) <= MAX_REGIONS


def test_the_whole_frame_is_one_region():
    mask = random_mask(40, 50, "rectangles", 1)
    window, own = whole_frame(mask)
    assert window == (0, 0, 40, 50)
    assert torch.equal(own, mask > 0.5)


@settings(max_examples=100, deadline=None)
@given(
    height=st.integers(1, 200),
    width=st.integers(1, 200),
    side=st.integers(16, 80),
    margin=st.integers(0, 5),
    overlap=st.integers(1, 5),
)
def test_the_cores_of_tiles_cover_a_window_and_overlap(height, width, side, margin, overlap):
    count = np.zeros((height, width), int)
    for tile, core in tiles(height, width, side, margin, overlap):
        assert 0 <= tile.top <= core.top < core.bottom <= tile.bottom <= height
        assert 0 <= tile.left <= core.left < core.right <= tile.right <= width
        assert (tile.height, tile.width) == (min(side, height), min(side, width))
        assert core.top - tile.top == (margin if tile.top else 0)
        assert tile.right - core.right == (margin if tile.right < width else 0)
        count[core.top : core.bottom, core.left : core.right] += 1
    assert count.min() >= 1
    if width > side:  # along a row every border between cores is covered twice
        rows = count[0] >= 2
        assert rows.sum() >= overlap


@pytest.mark.parametrize(
    ("size", "longest", "expected"),
    [((512, 512), 256, (256, 256)), ((100, 400), 200, (50, 200)), ((1, 999), 10, (1, 10))],
)
def test_reducing_keeps_the_ratio_of_the_sides(size, longest, expected):
    assert reduced_size(size, longest) == expected
