"""Padding to a network's sizes and back."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from inpaint_core.models.padding import crop_padding, pad_to_multiple


@settings(deadline=None, max_examples=60)
@given(height=st.integers(1, 90), width=st.integers(1, 90), power=st.integers(0, 6), minimum=st.integers(1, 70))
def test_padded_sides_are_the_smallest_that_fit_and_cropping_restores_the_input(height, width, power, minimum):
    multiple = 2**power
    image = torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(height * 97 + width))
    padded, window = pad_to_multiple(image, multiple, minimum)
    for side, before in zip(padded.shape[-2:], (height, width), strict=True):
        assert side == min(s for s in range(multiple, 10 * 90, multiple) if s >= max(before, minimum))
    assert torch.equal(crop_padding(padded, window), image)


@pytest.mark.parametrize("side", [1, 2, 5, 63, 64, 65, 100])
def test_padding_mirrors_where_the_side_is_long_enough_and_repeats_the_border_otherwise(side):
    row = torch.arange(side, dtype=torch.float32).view(1, 1, 1, side).expand(1, 1, 64, side)
    padded, window = pad_to_multiple(row, 64)
    before, after = window.left, padded.shape[-1] - window.left - side
    expected = np.pad(np.arange(side), (before, after), mode="reflect" if after < side else "edge")
    assert np.array_equal(padded[0, 0, 0].numpy(), expected)


def test_a_binary_mask_stays_binary():
    mask = (torch.rand(1, 1, 37, 5, generator=torch.Generator().manual_seed(3)) > 0.5).float()
    assert set(pad_to_multiple(mask, 128)[0].unique().tolist()) <= {0.0, 1.0}
