"""Detail is copied from the most similar known cell, never from the hole, and changes nothing where it cannot."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from inpaint_core.models import build_model
from inpaint_core.models.copied_detail import CopiedDetail, box_average, copy_detail


def picture(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def test_the_most_similar_known_cell_is_copied() -> None:
    fill, detail = picture(1, 3, 24, 32), picture(1, 3, 24, 32, seed=1)
    mask = torch.zeros(1, 1, 24, 32)
    mask[..., 9:13, 10:15] = 1.0

    half = fill[0].reshape(3, 12, 2, 16, 2).mean((2, 4)).numpy()
    cells = half.reshape(3, 6, 2, 8, 2).transpose(0, 2, 4, 1, 3).reshape(12, 6, 8)
    cells = np.pad(cells - cells.mean((1, 2), keepdims=True), ((0, 0), (1, 1), (1, 1)))
    keys = {(y, x): cells[:, y : y + 3, x : x + 3].ravel() for y in range(6) for x in range(8)}
    touched = {(y, x) for y in (2, 3) for x in (2, 3)}
    known = [place for place in keys if all(max(abs(place[0] - y), abs(place[1] - x)) > 1 for y, x in touched)]
    padded = np.pad(detail[0].numpy(), ((0, 0), (2, 2), (2, 2)))
    total, count = np.zeros((3, 28, 36)), np.zeros((28, 36))
    for place, key in keys.items():
        source = place
        if place in touched:
            source = max(known, key=lambda k: keys[k] @ key / np.linalg.norm(keys[k]))
        y, x = (4 * side for side in source)
        patch = padded[:, y : y + 8, x : x + 8]
        y, x = (4 * side for side in place)
        total[:, y : y + 8, x : x + 8] += patch
        count[y : y + 8, x : x + 8] += 1
    expected = (total / count)[:, 2:-2, 2:-2]
    np.testing.assert_allclose(copy_detail(fill, detail, mask)[0].numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_without_a_hole_or_without_anything_known_the_detail_is_kept(value: float) -> None:
    detail = picture(1, 3, 16, 16)
    kept = copy_detail(picture(1, 3, 16, 16, seed=2), detail, torch.full((1, 1, 16, 16), value))
    torch.testing.assert_close(kept, detail)


def test_an_average_counts_only_pixels_of_the_picture() -> None:
    values = picture(1, 1, 12, 12)
    averages = box_average(values)
    torch.testing.assert_close(averages[0, 0, 0, 0], values[0, 0, :5, :5].mean())
    torch.testing.assert_close(averages[0, 0, 6, 6], values[0, 0, 2:11, 2:11].mean())


def test_gradients_reach_the_fill_and_the_small_network() -> None:
    stage = CopiedDetail()
    fill = picture(1, 3, 32, 32).requires_grad_()
    mask = torch.zeros(1, 1, 32, 32)
    mask[..., 8:16, 8:16] = 1.0
    stage(picture(1, 3, 32, 32, seed=3), fill, mask)[..., 8:16, 8:16].square().sum().backward()
    assert fill.grad is not None
    assert fill.grad[..., 8:16, 8:16].abs().min() > 0.0
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in stage.parameters())


@pytest.mark.parametrize(("name", "size"), [("unet", {"depth": 1}), ("pconv_unet", {"depth": 2}), ("glcic", {})])
@torch.no_grad()
def test_a_detailed_head_brings_texture_into_the_hole_and_ignores_what_is_hidden(
    name: str, size: dict[str, int]
) -> None:
    image = picture(2, 3, 64, 64, seed=4)
    mask = torch.zeros(2, 1, 64, 64)
    mask[..., 20:44, 20:44] = 1.0
    plain, detailed = (build_model(name, width=4, head=head, **size) for head in ("residual", "detailed"))
    output = detailed(image, mask)
    assert torch.equal(output, detailed(torch.where(mask > 0, torch.full_like(image, 9.0), image), mask))
    inside = (slice(None), slice(None), slice(24, 40), slice(24, 40))
    assert output[inside].std() > 3.0 * plain(image, mask)[inside].std()
