from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from inpaint_core.masks import MaskMix, SuperpixelCache, generate, slic_labels


def test_families_are_drawn_as_often_as_they_weigh() -> None:
    mix = MaskMix(sources=({"name": "center", "weight": 3.0}, {"name": "salt_and_pepper"}))
    center = generate("center", (32, 32))
    drawn = sum(torch.equal(mix.draw((32, 32), seed), center) for seed in range(1000))
    assert drawn == pytest.approx(750, abs=3 * np.sqrt(1000 * 0.75 * 0.25))


def test_the_ratio_and_the_distance_hold_for_all_unless_a_family_says_otherwise() -> None:
    mix = MaskMix(
        sources=(
            {"name": "strokes", "options": {"brush": "thin"}},
            {"name": "rectangles", "hole_ratio": (0.4, 0.5), "border": 0.0},
            {"name": "border"},
        ),
        hole_ratio=(0.1, 0.2),
        border=0.1,
    )
    kinds = set()
    for seed in range(100):
        mask = mix.draw((64, 64), seed)
        ratio = float(mask.double().mean())
        rim = float(mask[0, 0, :7].sum() + mask[0, 0, -7:].sum() + mask[0, 0, :, :7].sum() + mask[0, 0, :, -7:].sum())
        if ratio > 0.2:
            assert 0.4 < ratio <= 0.5
            kinds.add("rectangles")
        else:
            assert 0.1 < ratio <= 0.2
            kinds.add("strokes" if rim == 0 else "border")
    assert kinds == {"strokes", "rectangles", "border"}


def test_a_mask_depends_on_its_seeds_only() -> None:
    mix = MaskMix(sources=({"name": "shapes"}, {"name": "random_walk"}), hole_ratio=(0.01, 0.6))
    seeds = [(7, epoch, sample) for epoch in range(2) for sample in range(5)]
    batch = mix.batch((48, 40), seeds)
    assert batch.shape == (10, 1, 48, 40)
    for index in reversed(range(10)):
        assert torch.equal(mix.draw((48, 40), seeds[index])[0], batch[index])
    assert len({mask.numpy().tobytes() for mask in batch}) == 10
    rng = np.random.default_rng(3)
    assert not torch.equal(mix.draw((48, 40), rng), mix.draw((48, 40), rng))


def test_superpixels_come_from_the_picture_or_from_its_labels(photo: Tensor) -> None:
    mix = MaskMix(sources=({"name": "slic", "options": {"n_segments": 50}},), hole_ratio=(0.2, 0.4))
    assert mix.uses_picture
    assert not MaskMix(sources=({"name": "strokes"},)).uses_picture
    labels = slic_labels(photo, 50, max_side=160)
    assert torch.equal(mix.draw((256, 256), 5, image=photo), mix.draw((256, 256), 5, labels=labels))
    both = mix.batch((256, 256), [5, 6], images=torch.stack([photo, photo]))
    assert torch.equal(both, mix.batch((256, 256), [5, 6], labels=[labels, labels]))


def test_a_crop_of_the_labels_serves_a_crop_of_the_picture(photo: Tensor) -> None:
    labels = SuperpixelCache(n_segments=60).labels("a", photo)[40:168, 70:198].flip(1)
    mask = generate("slic", (128, 128), (0.2, 0.3), seed=1, labels=labels)
    assert 0.2 < float(mask.double().mean()) <= 0.3
    inside = {int(number) for number in labels[mask[0, 0] == 1]}
    assert torch.equal(torch.isin(labels, torch.tensor(sorted(inside))).float(), mask[0, 0])


def test_the_cache_divides_a_picture_once_and_forgets_the_oldest(photo: Tensor) -> None:
    cache = SuperpixelCache(n_segments=40, max_side=64, capacity=2)
    first = cache.labels(0, photo)
    assert torch.equal(first.long(), slic_labels(photo, 40, max_side=64))
    assert cache.labels(0, torch.zeros(3, 1, 1)) is first
    cache.labels(1, photo)
    cache.labels(0, photo)
    cache.labels(2, photo)
    assert cache.labels(0, torch.zeros(3, 1, 1)) is first
    assert cache.labels(1, torch.zeros(3, 1, 1)).shape == (1, 1)
    with pytest.raises(ValueError, match="n_segments=0"):
        SuperpixelCache(n_segments=0)


def test_a_mixture_survives_yaml_and_pickle() -> None:
    mix = MaskMix.model_validate(
        {
            "sources": [
                {"name": "strokes", "weight": 2, "options": {"brush": "thick"}},
                {"name": "rectangles", "options": {"count": [1, 3]}},
            ],
            "hole_ratio": [0.1, 0.5],
        }
    )
    for copy in (MaskMix.model_validate_json(mix.model_dump_json()), pickle.loads(pickle.dumps(mix))):  # noqa: S301
        assert torch.equal(copy.draw((40, 40), 9), mix.draw((40, 40), 9))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"sources": []}, "at least 1"),
        ({"sources": [{"name": "scribble"}]}, "unknown mask 'scribble'"),
        ({"sources": [{"name": "strokes", "options": {"brush": "broad"}}]}, "'thin', 'medium' or 'thick'"),
        ({"sources": [{"name": "strokes", "weight": 0}]}, "greater than 0"),
        ({"sources": [{"name": "strokes"}], "hole_ratio": (0.3, 0.2)}, "low < high"),
        ({"sources": [{"name": "strokes"}], "ratio": 1}, "Extra inputs"),
    ],
)
def test_what_cannot_be_mixed_is_said_when_the_recipe_is_read(values: dict, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        MaskMix.model_validate(values)
