from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor

from inpaint_core.masks import (
    boundary_overlay,
    label_map,
    mean_colors,
    posterize,
    segment_masks,
    select_segments,
    slic_labels,
    snap_to_labels,
)


@pytest.fixture(scope="module")
def labels(photo: Tensor) -> Tensor:
    return slic_labels(photo, 80)


def chosen(mask: Tensor, labels: Tensor) -> set[int]:
    """Numbers of the superpixels in a mask, which must be whole."""
    numbers = set(labels[mask[0, 0] == 1].tolist())
    assert torch.equal(torch.isin(labels, torch.tensor(sorted(numbers), dtype=torch.int64)).float(), mask[0, 0])
    return numbers


def test_nothing_asked_takes_everything(labels: Tensor) -> None:
    mask = select_segments(labels)
    assert mask.shape == (1, 1, 256, 256)
    assert mask.dtype == torch.float32
    assert float(mask.min()) == 1.0
    assert float(select_segments(labels, all_but=True).max()) == 0.0


def test_by_number(labels: Tensor) -> None:
    assert chosen(select_segments(labels, indices=[3, 17, 400, -2]), labels) == {3, 17}
    assert chosen(select_segments(labels, indices=[3, 17], all_but=True), labels) == set(range(80)) - {3, 17}
    assert float(select_segments(labels, indices=[]).max()) == 0.0


def test_by_points(labels: Tensor) -> None:
    under = {int(labels[20, 10]), int(labels[200, 130])}
    assert chosen(select_segments(labels, points=[(10, 20), (130.9, 200.2)]), labels) == under
    without = select_segments(labels, points=[(10, 20), (130, 200)], negative_points=[(10, 20)])
    assert chosen(without, labels) == {int(labels[200, 130])}
    assert chosen(select_segments(labels, points=[(-5, 900)]), labels) == {int(labels[255, 0])}
    all_without = chosen(select_segments(labels, negative_points=[(10, 20)]), labels)
    assert all_without == set(range(80)) - {int(labels[20, 10])}


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_by_box(labels: Tensor, share: float) -> None:
    inside = torch.zeros(256, 256, dtype=torch.bool)
    inside[40:150, 30:200] = True
    expected = set()
    for number in range(80):
        part = float(inside[labels == number].double().mean())
        if part > 0 and part >= share:
            expected.add(number)
    assert chosen(select_segments(labels, box=(30, 40, 200, 150), box_share=share), labels) == expected
    assert chosen(select_segments(labels, box=(200, 150, 30, 40), box_share=share), labels) == expected


def test_by_color_and_brightness(photo: Tensor, labels: Tensor) -> None:
    from skimage.color import deltaE_cie76, rgb2lab

    means = np.stack([photo[:, labels == number].mean(1).numpy() for number in range(80)])
    lab = rgb2lab(means[None])[0]
    near = set(np.flatnonzero(deltaE_cie76(lab, rgb2lab(np.array([[[0.8, 0.4, 0.1]]]))[0, 0]) <= 45))
    assert 0 < len(near) < 80
    assert chosen(select_segments(labels, color=(0.8, 0.4, 0.1), color_tolerance=45, image=photo), labels) == near
    bright = set(np.flatnonzero((lab[:, 0] >= 30) & (lab[:, 0] <= 60)))
    assert 0 < len(bright) < 80
    assert chosen(select_segments(labels, brightness=(0.3, 0.6), image=photo[None]), labels) == bright
    both = select_segments(labels, brightness=(0.3, 0.6), color=(0.8, 0.4, 0.1), color_tolerance=45, image=photo)
    assert chosen(both, labels) == near & bright


def test_by_size_and_by_the_border(labels: Tensor) -> None:
    sizes = torch.bincount(labels.ravel())
    order = torch.argsort(-sizes, stable=True).tolist()
    assert chosen(select_segments(labels, largest=5), labels) == set(order[:5])
    assert chosen(select_segments(labels, smallest=1), labels) == {int(torch.argmin(sizes))}
    between = {i for i, size in enumerate(sizes.tolist()) if 0.01 <= size / 65536 <= 0.02}
    assert chosen(select_segments(labels, area=(0.01, 0.02)), labels) == between
    rim = set(torch.cat([labels[0], labels[-1], labels[:, 0], labels[:, -1]]).tolist())
    assert chosen(select_segments(labels, touching_border=True), labels) == rim
    assert chosen(select_segments(labels, touching_border=False), labels) == set(range(80)) - rim


def test_at_random_to_a_ratio(labels: Tensor) -> None:
    seen = set()
    for seed in range(30):
        mask = select_segments(labels, hole_ratio=(0.2, 0.25), seed=seed)
        assert 0.2 < float(mask.double().mean()) <= 0.25
        assert torch.equal(mask, select_segments(labels, hole_ratio=(0.2, 0.25), seed=seed))
        seen.add(frozenset(chosen(mask, labels)))
    assert len(seen) == 30
    inner = select_segments(labels, hole_ratio=(0.1, 0.2), touching_border=False, seed=1)
    assert chosen(inner, labels) <= chosen(select_segments(labels, touching_border=False), labels)


def test_one_mask_for_every_superpixel(labels: Tensor) -> None:
    masks = segment_masks(labels)
    assert masks.shape == (80, 1, 256, 256)
    assert torch.equal(masks.sum(0)[0], torch.ones(256, 256))
    assert torch.equal(masks.argmax(0)[0], labels)


def test_a_batch_chooses_in_every_picture_or_as_in_one_frame(photo: Tensor, labels: Tensor) -> None:
    batch = torch.stack([labels, labels.flip(1)])
    each = select_segments(batch, points=[(10, 20)])
    assert torch.equal(each[0, 0], (labels == labels[20, 10]).float())
    assert torch.equal(each[1, 0], (labels.flip(1) == labels[20, 245]).float())
    stable = select_segments(batch, points=[(10, 20)], frame=0)
    assert torch.equal(stable[1], stable[0].flip(2))
    rest = select_segments(batch, points=[(10, 20)], frame=0, all_but=True)
    assert torch.equal(rest, 1.0 - stable)
    bright = select_segments(batch, brightness=(0.5, 1.0), image=torch.stack([photo, photo.flip(2)]))
    assert torch.equal(bright[1], bright[0].flip(2))


def test_snapping_takes_what_is_covered_enough(labels: Tensor) -> None:
    rough = torch.zeros(256, 256)
    rough[50:170, 80:190] = 1.0
    for overlap in (0.0, 0.3, 0.5, 1.0):
        expected = set()
        for number in range(80):
            covered = float(rough[labels == number].double().mean())
            if covered > 0 and covered >= overlap:
                expected.add(number)
        assert chosen(snap_to_labels(rough, labels, overlap), labels) == expected
    whole = select_segments(labels, indices=[4, 9, 30])
    assert torch.equal(snap_to_labels(whole, labels), whole)
    assert float(snap_to_labels(torch.zeros(1, 64, 64), labels).max()) == 0.0


def test_snapping_pairs_masks_and_pictures(labels: Tensor) -> None:
    masks = torch.stack([select_segments(labels, indices=[i])[0, 0] for i in range(3)])
    assert torch.equal(snap_to_labels(masks, labels)[:, 0], masks)
    assert snap_to_labels(masks[:1], labels.expand(4, -1, -1)).shape == (4, 1, 256, 256)
    with pytest.raises(ValueError, match="3 masks and 2 label maps"):
        snap_to_labels(masks, labels.expand(2, -1, -1))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"color": (1.0, 0.0, 0.0)}, "pass image"),
        ({"brightness": (0.0, 1.0), "image": torch.zeros(3, 4, 4)}, "does not match the labels"),
        ({"hole_ratio": (0.6, 0.7), "largest": 2}, "no choice among 2 superpixels"),
        ({"largest": 0}, "at least 1"),
        ({"points": [(0, 0)], "frame": 3}, "frame is 3"),
    ],
)
def test_impossible_selections_are_rejected_with_one_line(labels: Tensor, arguments: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        select_segments(labels, **arguments)
    assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match="labels must be integers"):
        select_segments(labels.float())


def test_mean_colors_and_the_posterized_picture(photo: Tensor, labels: Tensor) -> None:
    means = mean_colors(photo, labels)
    painted = posterize(photo, labels)
    assert painted.shape == (1, 3, 256, 256)
    for number in (0, 11, 79):
        expected = photo[:, labels == number].mean(1)
        assert torch.allclose(means[number], expected, atol=1e-5)
        assert torch.allclose(painted[0][:, labels == number], expected[:, None], atol=1e-5)
    assert posterize(photo[:1], labels).shape == (1, 3, 256, 256)
    assert posterize(torch.stack([photo, photo]), labels).shape == (2, 3, 256, 256)


def test_the_overlay_marks_borders_and_tints_holes_only(photo: Tensor, labels: Tensor) -> None:
    yellow = torch.tensor([1.0, 0.85, 0.0])
    mask = select_segments(labels, indices=[12])
    overlay = boundary_overlay(photo, labels, mask)[0]
    marked = (overlay == yellow[:, None, None]).all(0)
    expected = torch.zeros(256, 256, dtype=torch.bool)
    numbers = labels.tolist()
    for y in range(256):
        for x in range(256):
            below = y < 255 and numbers[y][x] != numbers[y + 1][x]
            beside = x < 255 and numbers[y][x] != numbers[y][x + 1]
            expected[y, x] = below or beside
    assert torch.equal(marked, expected)
    untouched = ~marked & (mask[0, 0] == 0)
    assert torch.equal(overlay[:, untouched], photo[:, untouched])
    tinted = ~marked & (mask[0, 0] == 1)
    assert torch.allclose(overlay[0, tinted], 0.5 * photo[0, tinted] + 0.5)
    assert float(overlay.min()) >= 0.0
    assert float(overlay.max()) <= 1.0


def test_a_number_has_one_color_in_every_picture(labels: Tensor) -> None:
    from colorsys import rgb_to_hsv

    painted = label_map(labels)[0]
    colors = torch.stack([painted[:, labels == number][:, 0] for number in range(80)])
    assert len({tuple(color) for color in colors.tolist()}) == 80
    assert torch.equal(label_map(labels[:50, :50])[0], painted[:, :50, :50])
    hues = [rgb_to_hsv(*color)[0] for color in colors.tolist()]
    assert hues[1] == pytest.approx(0.618034, abs=1e-5)
    assert min(min(abs(a - b), 1 - abs(a - b)) for a, b in pairwise(hues)) > 0.3


def test_pictures_of_other_sizes_are_rejected(photo: Tensor, labels: Tensor) -> None:
    with pytest.raises(ValueError, match="differ in size"):
        boundary_overlay(photo[:, :100], labels)
    with pytest.raises(ValueError, match="2 pictures and 3 label maps"):
        posterize(torch.stack([photo, photo]), labels.expand(3, -1, -1))
