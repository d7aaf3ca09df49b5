"""Detail is copied from the most similar known cell, never from the hole, and nothing changes if there is none."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from inpaint_core.checkpoints.card import ModelCard
from inpaint_core.checkpoints.inference_form import optimize
from inpaint_core.checkpoints.inpainting_model import InpaintingModel
from inpaint_core.models import build_model, copied_detail
from inpaint_core.models.copied_detail import copy_detail, with_copied_detail


def picture(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def test_the_most_similar_known_cell_is_copied() -> None:
    fill, detail = picture(1, 3, 24, 32), picture(1, 3, 24, 32, seed=1)
    mask = torch.zeros(1, 1, 24, 32)
    mask[..., 9:13, 10:15] = 1.0

    half = fill[0].reshape(3, 12, 2, 16, 2).mean((2, 4)).numpy()
    cells = half.reshape(3, 6, 2, 8, 2).transpose(0, 2, 4, 1, 3).reshape(12, 6, 8)
    means = cells.reshape(3, 4, 6, 8).mean(1)
    cells, means = (
        np.pad(values - values.mean((1, 2), keepdims=True), ((0, 0), (by, by), (by, by)))
        for values, by in ((cells, 1), (means, 2))
    )
    ring = [(down, right) for down in range(5) for right in range(5) if max(abs(down - 2), abs(right - 2)) == 2]
    keys = {
        (y, x): np.concatenate(
            [cells[:, y : y + 3, x : x + 3].ravel(), *(2**0.5 * means[:, y + down, x + right] for down, right in ring)]
        )
        for y in range(6)
        for x in range(8)
    }
    keys = {place: key / np.sqrt(np.linalg.norm(key)) for place, key in keys.items()}
    touched = {(y, x) for y in (2, 3) for x in (2, 3)}
    known = [place for place in keys if all(max(abs(place[0] - y), abs(place[1] - x)) > 1 for y, x in touched)]
    padded = np.pad(detail[0].numpy(), ((0, 0), (4, 4), (4, 4)))
    total, squares, count = np.zeros((3, 32, 40)), np.zeros((3, 32, 40)), np.zeros((32, 40))
    chosen = {
        place: min(known, key=lambda k: np.linalg.norm(keys[k] - key)) if place in touched else place
        for place, key in keys.items()
    }
    for place, source in chosen.items():
        repeats = sum(
            chosen.get((place[0] + down, place[1] + right)) == source for down in (-1, 0, 1) for right in (-1, 0, 1)
        )
        y, x = (4 * side for side in source)
        patch = padded[:, y : y + 12, x : x + 12] / repeats
        y, x = (4 * side for side in place)
        total[:, y : y + 12, x : x + 12] += patch
        squares[:, y : y + 12, x : x + 12] += patch**2
        count[y : y + 12, x : x + 12] += 1
    mean, energy = ((values / count)[:, 4:-4, 4:-4] for values in (total, squares))

    def local(values: np.ndarray, y: int, x: int) -> float:
        return float(values[:, max(y - 4, 0) : y + 5, max(x - 4, 0) : x + 5].mean())

    found = copy_detail(fill, detail, mask)[0].numpy()
    gains = []
    for y in range(24):
        for x in range(32):
            gains.append(np.clip(np.sqrt(local(energy, y, x) / local(mean**2, y, x)), 1.0, 2.0))
            np.testing.assert_allclose(found[:, y, x], mean[:, y, x] * gains[-1], atol=1e-5)
    assert max(gains) > 1.1


def test_detail_that_all_cells_choose_does_not_become_a_grid() -> None:
    """A flat fill resembles the one flat cell; its texture must not be repeated every four pixels."""
    fill = picture(1, 3, 64, 64)
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., 20:44, 20:44] = 1.0
    fill[..., 12:52, 12:52] = 0.5
    fill[..., :12, :12] = 0.5
    detail = picture(1, 3, 64, 64, seed=1) - 0.5
    inside = copy_detail(fill, detail, mask)[0, :, 28:36, 28:36]
    assert inside.std() < 0.3 * detail.std()


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_without_a_hole_or_without_anything_known_the_detail_is_kept(value: float) -> None:
    detail = picture(1, 3, 16, 16)
    kept = copy_detail(picture(1, 3, 16, 16, seed=2), detail, torch.full((1, 1, 16, 16), value))
    torch.testing.assert_close(kept, detail)


def test_gradients_reach_the_fill_from_everywhere_in_the_hole() -> None:
    fill = picture(1, 3, 32, 32).requires_grad_()
    mask = torch.zeros(1, 1, 32, 32)
    mask[..., 8:16, 8:16] = 1.0
    with_copied_detail(picture(1, 3, 32, 32, seed=3), fill, mask, 0.75)[..., 8:16, 8:16].square().sum().backward()
    assert fill.grad is not None
    assert fill.grad[..., 8:16, 8:16].abs().min() > 0.0


def test_large_pictures_are_filled_from_a_part_of_what_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., 20:40, 20:40] = 1.0
    image, detail = picture(1, 3, 64, 64), picture(1, 3, 64, 64, seed=5)
    whole = copy_detail(image, detail, mask)
    monkeypatch.setattr(copied_detail, "ROWS", 7)
    assert torch.equal(copy_detail(image, detail, mask), whole)
    monkeypatch.setattr(copied_detail, "SOURCES", 50)
    part = copy_detail(image, detail, mask)
    assert not torch.equal(part, whole)
    assert torch.equal(part[..., :8, :], whole[..., :8, :])


DETAILED = [
    ("unet", {"depth": 1}),
    ("context_unet", {"context_width": 8}),
    ("pconv_unet", {"depth": 2, "norm": "none"}),
    ("glcic", {"norm": "none"}),
]


@pytest.mark.parametrize(("name", "size"), DETAILED)
@torch.no_grad()
def test_a_detailed_head_adds_texture_to_the_hole_and_ignores_what_is_hidden(name: str, size: dict[str, int]) -> None:
    image = picture(2, 3, 64, 64, seed=4)
    mask = torch.zeros(2, 1, 64, 64)
    mask[..., 20:44, 20:44] = 1.0
    plain, detailed = (build_model(name, width=4, head=head, **size) for head in ("residual", "detailed"))
    output = detailed(image, mask)
    assert torch.equal(output, detailed(torch.where(mask > 0, torch.full_like(image, 9.0), image), mask))
    inside = (slice(None), slice(None), slice(24, 40), slice(24, 40))
    assert output[inside].std() > 1.5 * plain(image, mask)[inside].std()


@pytest.mark.parametrize(("name", "size"), DETAILED)
@torch.no_grad()
def test_training_with_a_detailed_head_is_that_of_the_residual_one(name: str, size: dict[str, int]) -> None:
    image, mask = picture(2, 3, 64, 64, seed=4), torch.zeros(2, 1, 64, 64)
    mask[..., 20:44, 20:44] = 1.0
    plain, detailed = (build_model(name, width=4, head=head, **size).train() for head in ("residual", "detailed"))
    assert torch.equal(detailed(image, mask), plain(image, mask))


@pytest.mark.parametrize("optimized", [False, True])
@pytest.mark.parametrize(("name", "size"), DETAILED)
@torch.no_grad()
def test_a_guide_has_the_same_weights_and_no_copied_detail(name: str, size: dict[str, int], optimized: bool) -> None:
    image, mask = picture(2, 3, 64, 64, seed=4), torch.zeros(2, 1, 64, 64)
    mask[..., 20:44, 20:44] = 1.0
    plain, detailed = (
        InpaintingModel(
            ModelCard(architecture=name, arguments={"width": 4, "head": head, **size}),
            build_model(name, width=4, head=head, **size).eval(),
        )
        for head in ("residual", "detailed")
    )
    if optimized:
        plain, detailed = optimize(plain), optimize(detailed)
    before = detailed.complete(image, mask)
    guide = detailed.as_guide()
    assert torch.equal(guide.complete(image, mask), plain.complete(image, mask))
    assert torch.equal(detailed.complete(image, mask), before)
    assert not torch.equal(guide.complete(image, mask), before)
    weights = {tensor.data_ptr() for tensor in detailed.network.state_dict().values()}
    assert {tensor.data_ptr() for tensor in guide.network.state_dict().values()} == weights
