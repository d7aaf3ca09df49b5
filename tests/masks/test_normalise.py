from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from inpaint_core.masks import normalize_mask

PLANES = torch.tensor([[[0.0, 1.0, 0.2], [0.9, 0.49, 0.51]], [[1.0, 1.0, 0.0], [0.0, 0.0, 0.98]]])
HARD = torch.tensor([[[0.0, 1.0, 0.0], [1.0, 0.0, 1.0]], [[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]])[:, None]


@pytest.mark.parametrize(
    "form",
    [PLANES, PLANES[:, None], PLANES[..., None], PLANES.double(), PLANES.half()],
    ids=["BHW", "B1HW", "BHW1", "f64", "f16"],
)
def test_every_form_becomes_the_same_mask(form: torch.Tensor) -> None:
    mask = normalize_mask(form)
    assert torch.equal(mask, HARD)
    assert mask.dtype == torch.float32
    assert torch.equal(normalize_mask(PLANES[0]), HARD[:1])


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32, torch.int64])
def test_whole_numbers_may_reach_1_or_255(dtype: torch.dtype) -> None:
    assert torch.equal(normalize_mask(HARD.to(dtype)), HARD)
    assert torch.equal(normalize_mask((PLANES * 255).round().to(dtype)), HARD)
    assert torch.equal(normalize_mask(HARD[:, 0].bool()), HARD)


def test_sixteen_bits_are_read_as_such() -> None:
    assert torch.equal(normalize_mask((PLANES * 65535).round().int()), HARD)


def test_nearly_binary_masks_are_binary() -> None:
    dirty = torch.tensor([[1 / 255, 0.98], [0.02, 1.0]])
    assert normalize_mask(dirty)[0, 0].tolist() == [[0.0, 1.0], [0.0, 1.0]]
    assert normalize_mask(dirty, threshold=0.99)[0, 0].tolist() == [[0.0, 0.0], [0.0, 1.0]]


@given(st.integers(1, 20), st.integers(1, 20), st.integers(1, 20), st.integers(1, 20))
def test_resizing_takes_the_pixel_whose_center_is_nearest(height: int, width: int, tall: int, wide: int) -> None:
    mask = (torch.arange(height * width).reshape(height, width) * 7 % 3 == 0).float()
    resized = normalize_mask(mask, (tall, wide))
    rows = [min(int((row + 0.5) * height / tall), height - 1) for row in range(tall)]
    columns = [min(int((column + 0.5) * width / wide), width - 1) for column in range(wide)]
    assert torch.equal(resized[0, 0], mask[rows][:, columns])


def test_the_empty_placeholder_of_comfyui_is_an_empty_mask_of_any_size() -> None:
    assert torch.equal(normalize_mask(torch.zeros(1, 64, 64), (33, 517)), torch.zeros(1, 1, 33, 517))


def test_the_input_is_left_alone() -> None:
    given_mask = PLANES.clone()
    normalize_mask(given_mask)[:] = 0.0
    assert torch.equal(given_mask, PLANES)
    hard = HARD.clone()
    normalize_mask(hard)[:] = 0.5
    assert torch.equal(hard, HARD)


@pytest.mark.parametrize(
    ("mask", "said"),
    [
        (torch.zeros(4), "not \\[4\\]"),
        (torch.zeros(1, 3, 8, 8), "select one channel"),
        (torch.zeros(1, 8, 8, 3), "select one channel"),
        (torch.zeros(0, 8, 8), "empty"),
        (torch.full((2, 2), float("nan")), "NaN"),
        (torch.zeros(2, 2, dtype=torch.complex64), "real numbers"),
    ],
)
def test_invalid_masks_are_rejected_with_one_line(mask: torch.Tensor, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        normalize_mask(mask)
    with pytest.raises(ValueError, match="0x5"):
        normalize_mask(torch.zeros(2, 2), (0, 5))
