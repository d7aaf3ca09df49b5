from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from inpaint_core.masks import MaskMix, generate, slic_labels


def test_families_are_drawn_in_proportion_to_their_weights() -> None:
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
    labels = slic_labels(photo, 60, max_side=160)[40:168, 70:198].flip(1)
    mask = generate("slic", (128, 128), (0.2, 0.3), seed=1, labels=labels)
    assert 0.2 < float(mask.double().mean()) <= 0.3
    inside = {int(number) for number in labels[mask[0, 0] == 1]}
    assert torch.equal(torch.isin(labels, torch.tensor(sorted(inside))).float(), mask[0, 0])


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
def test_impossible_mixtures_are_rejected_when_the_recipe_is_read(values: dict, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        MaskMix.model_validate(values)
