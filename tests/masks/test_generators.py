from __future__ import annotations

import random
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage
from torch import Tensor
from torch.nn.functional import interpolate

from inpaint_core.masks import GENERATORS, generate, slic_labels
from inpaint_core.masks.generators.registry import names_without_options

BUCKETS = ((0.01, 0.1), (0.1, 0.2), (0.2, 0.3), (0.3, 0.4), (0.4, 0.5), (0.5, 0.6))
DRAWN: tuple[tuple[str, dict[str, Any]], ...] = tuple(
    (name, dict(example.options))
    for name, generator in GENERATORS.items()
    if not generator.required and generator.divide is None
    for example in generator.examples
)
DRAWABLE = names_without_options()
every_drawn = pytest.mark.parametrize(("name", "options"), DRAWN, ids=lambda value: str(value).strip("{}"))


def ratio(mask: Tensor) -> float:
    return float(mask.double().mean())


def mean_run(masks: list[Tensor]) -> float:
    """Mean length of runs of hole pixels along rows and columns, as a fraction of the side."""
    pixels = runs = 0.0
    for mask in masks:
        plane = torch.nn.functional.pad(mask[0, 0], (1, 1, 1, 1))
        pixels += 2.0 * float(plane.sum())
        runs += float((plane.diff(dim=0) > 0).sum() + (plane.diff(dim=1) > 0).sum())
    return pixels / runs / masks[0].shape[-1]


@every_drawn
@pytest.mark.parametrize("bucket", BUCKETS, ids=str)
def test_two_hundred_masks_meet_the_requested_ratio(
    name: str, options: dict[str, Any], bucket: tuple[float, float]
) -> None:
    masks = torch.cat([generate(name, (128, 128), hole_ratio=bucket, seed=seed, **options) for seed in range(200)])
    ratios = masks.mean((1, 2, 3), dtype=torch.float64).tolist()
    assert all(bucket[0] < value <= bucket[1] for value in ratios)
    assert max(float(mask.mean()) for mask in masks) <= bucket[1]  # float32, the usual type
    assert ((masks == 0) | (masks == 1)).all()
    assert masks.amax((1, 2, 3)).min() == 1
    assert max(ratios) - min(ratios) > 0.5 * (bucket[1] - bucket[0])


@pytest.mark.parametrize("bucket", BUCKETS, ids=str)
def test_superpixel_masks_meet_the_requested_ratio_and_follow_superpixels(
    photo: Tensor, bucket: tuple[float, float]
) -> None:
    labels = slic_labels(photo, n_segments=100)
    sizes = np.bincount(labels.numpy().ravel())
    distinct = set()
    for seed in range(200):
        mask = generate("slic", (256, 256), hole_ratio=bucket, seed=seed, labels=labels)
        assert bucket[0] < ratio(mask) <= bucket[1]
        covered = np.bincount(labels.numpy().ravel(), weights=mask.numpy().ravel())
        assert ((covered == 0) | (covered == sizes)).all()
        distinct.add(mask.numpy().tobytes())
    assert len(distinct) > 150


@every_drawn
def test_masks_depend_on_the_seed_and_on_nothing_else(name: str, options: dict[str, Any]) -> None:
    np.random.seed(5)  # noqa: NPY002
    random.seed(5)
    torch.manual_seed(5)
    before = (np.random.get_state()[1].tolist(), random.getstate(), torch.get_rng_state().tolist())  # noqa: NPY002
    one = [generate(name, (96, 80), (0.2, 0.3), seed=seed, **options) for seed in range(8)]
    again = [generate(name, (96, 80), (0.2, 0.3), seed=seed, **options) for seed in range(8)]
    after = (np.random.get_state()[1].tolist(), random.getstate(), torch.get_rng_state().tolist())  # noqa: NPY002
    assert all(torch.equal(a, b) for a, b in zip(one, again, strict=True))
    assert len({mask.numpy().tobytes() for mask in one}) >= 6
    assert before == after


@every_drawn
@pytest.mark.parametrize("bucket", [(0.01, 0.1), (0.3, 0.4)], ids=str)
def test_patterns_do_not_depend_on_the_resolution(
    name: str, options: dict[str, Any], bucket: tuple[float, float]
) -> None:
    widths = [
        mean_run([generate(name, (side, side), bucket, seed=seed, **options) for seed in range(40)])
        for side in (128, 256, 512)
    ]
    assert max(widths) / min(widths) < 1.15


def test_superpixel_masks_do_not_depend_on_the_resolution() -> None:
    from skimage import data

    picture = torch.from_numpy(data.astronaut()).permute(2, 0, 1)[None].float() / 255.0
    widths = []
    for side in (128, 256, 512):
        image = interpolate(picture, size=(side, side), mode="area")
        labels = slic_labels(image[0], max_side=160)
        widths.append(mean_run([generate("slic", (side, side), (0.2, 0.3), seed=i, labels=labels) for i in range(40)]))
    assert max(widths) / min(widths) < 1.15


@pytest.mark.parametrize("border", [50, 50 / 512, 0.2])
@pytest.mark.parametrize("name", [name for name in DRAWABLE if not GENERATORS[name].touches_edge])
def test_holes_keep_the_requested_distance_from_the_edge(photo: Tensor, name: str, border: float) -> None:
    keep = round((border / 512 if border >= 1 else border) * 256)
    for seed in range(10):
        mask = generate(name, (256, 256), (0.1, 0.3), border=border, seed=seed, image=photo)[0, 0]
        assert 0.1 < ratio(mask) <= 0.3
        inner = mask[keep:-keep, keep:-keep].clone()
        assert float(inner.sum()) == float(mask.sum())


@pytest.mark.parametrize("name", ["random_walk", "strokes", "shapes", "rectangles", "salt_and_pepper"])
def test_holes_may_touch_the_edge_without_a_distance(name: str) -> None:
    rims = [generate(name, (64, 64), (0.3, 0.4), seed=seed)[0, 0] for seed in range(20)]
    assert any(float(mask[0].sum() + mask[-1].sum() + mask[:, 0].sum() + mask[:, -1].sum()) > 0 for mask in rims)


@pytest.mark.parametrize("name", DRAWABLE)
def test_every_family_covers_as_much_as_it_says_and_no_more(photo: Tensor, name: str) -> None:
    most = GENERATORS[name].max_hole_ratio
    mask = generate(name, (256, 256), (most - 0.1, most), image=photo)
    assert most - 0.1 < ratio(mask) <= most
    if most < 1.0:
        with pytest.raises(ValueError, match=f"at most {most:.0%}"):
            generate(name, (256, 256), (most + 0.01, 1.0), image=photo)


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 70),
    width=st.integers(1, 70),
    name=st.sampled_from(DRAWABLE),
    seed=st.integers(0, 2**64 - 1),
    asked=st.sampled_from([None, (0.0, 1.0), (0.3, 0.5)]),
)
def test_every_size_gives_a_mask_or_one_line(
    height: int, width: int, name: str, seed: int, asked: tuple[float, float] | None
) -> None:
    image = torch.linspace(0.0, 1.0, height * width).reshape(1, height, width).expand(3, -1, -1)
    try:
        mask = generate(name, (height, width), asked, seed=seed, image=image)
    except ValueError as error:
        sentence = str(error)
        assert asked is not None
        assert "\n" not in sentence
        return
    assert mask.shape == (1, 1, height, width)
    assert mask.dtype == torch.float32
    assert bool(((mask == 0) | (mask == 1)).all())
    if asked is not None:
        assert asked[0] < ratio(mask) <= asked[1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"name": "scribble", "size": (8, 8)}, "unknown mask 'scribble'"),
        ({"name": "strokes", "size": (8, 8), "bruch": "thin"}, "bruch"),
        ({"name": "strokes", "size": (8, 8), "brush": "broad"}, "'thin', 'medium' or 'thick'"),
        ({"name": "strokes", "size": (8, 8), "hole_ratio": (0.5, 0.5)}, "low < high"),
        ({"name": "strokes", "size": (8, 8), "hole_ratio": (0.101, 0.102)}, "no number of pixels"),
        ({"name": "strokes", "size": (64, 64), "hole_ratio": (0.7, 0.8), "border": 50}, "inside the border"),
        ({"name": "strokes", "size": (64, 64), "border": 300}, "no room"),
        ({"name": "strokes", "size": (0, 64)}, "cannot be drawn"),
        ({"name": "border", "size": (64, 64), "hole_ratio": (0.8, 0.9)}, "at most 75%"),
        ({"name": "border", "size": (64, 64), "border": 50}, "touch the edge"),
        ({"name": "border", "size": (64, 64), "sides": ()}, "sides"),
        ({"name": "slic", "size": (64, 64)}, "pass image"),
        ({"name": "slic", "size": (64, 64), "image": torch.rand(3, 8, 8)}, "sizes must match"),
        ({"name": "folder", "size": (64, 64), "folder": "/nowhere/at/all"}, "no such folder"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_impossible_masks_are_rejected_with_one_line(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)) as caught:
        generate(**arguments)
    assert "\n" not in str(caught.value)


def test_the_walk_visits_connected_cells() -> None:
    mask = generate("random_walk", (128, 128), seed=3)[0, 0].numpy()
    assert ndimage.label(mask)[1] == 1
    cells = mask.reshape(64, 2, 64, 2)
    assert (cells == cells[:, :1, :, :1]).all()


def test_the_folded_walk_is_a_walk_that_stays_at_walls() -> None:
    from inpaint_core.masks.generators.random_walk import fold_walk

    rng = np.random.default_rng(0)
    for length in (1, 2, 7):
        steps = rng.integers(-1, 2, 500)
        free = np.cumsum(steps).astype(np.int32)
        folded = fold_walk(free, length)
        assert folded.min() >= 0
        assert folded.max() <= length - 1
        assert (np.abs(np.diff(folded)) <= 1).all()
        stayed = np.diff(folded)[steps[1:] != 0] == 0
        at_wall = np.isin(folded[:-1][steps[1:] != 0], (0, length - 1))
        assert (at_wall | ~stayed).all()


@pytest.mark.parametrize("width", [1.5, 2.5, 4.0, 5.7, 9.3, 18.0, 55.0])
def test_lines_are_as_wide_as_asked_on_average(width: float) -> None:
    import cv2

    from inpaint_core.masks.generators.pen import thickness_for

    rng = np.random.default_rng(1)
    widths = []
    for _ in range(300):
        canvas = np.zeros((300, 300), np.uint8)
        angle = rng.uniform(0.0, 2.0 * np.pi)
        reach = 80.0 * np.array([np.cos(angle), np.sin(angle)])
        ends = np.round((150.0 + np.stack([-reach, reach])) * 16).astype(np.int32)
        cv2.polylines(canvas, [ends], False, 1, thickness_for(width, float(rng.random())), cv2.LINE_8, 4)
        # area = w l + pi w^2 / 4 with round ends
        widths.append((np.sqrt(160.0**2 + np.pi * canvas.sum()) - 160.0) * 2.0 / np.pi)
    assert np.mean(widths) == pytest.approx(width, rel=0.06)


def test_center_is_centered_and_keeps_the_proportions_of_the_picture() -> None:
    mask = generate("center", (120, 200))[0, 0]
    assert float(mask.sum()) == 60 * 100
    assert bool(mask[30:90, 50:150].all())


def test_rectangles_are_of_the_size_that_glcic_draws() -> None:
    for seed in range(50):
        rows, columns = np.nonzero(generate("rectangles", (160, 160), seed=seed)[0, 0].numpy())
        assert 48 <= np.ptp(rows) + 1 <= 96
        assert 48 <= np.ptp(columns) + 1 <= 96
        assert len(rows) == (np.ptp(rows) + 1) * (np.ptp(columns) + 1)


def test_border_strips_take_four_to_twenty_five_percent_of_any_sides() -> None:
    seen = set()
    for seed in range(200):
        known = generate("border", (100, 200), seed=seed)[0, 0].numpy() == 0
        rows, columns = np.flatnonzero(known.any(1)), np.flatnonzero(known.any(0))
        assert known[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
        strips = (rows[0] / 100, 1 - (rows[-1] + 1) / 100, columns[0] / 200, 1 - (columns[-1] + 1) / 200)
        assert all(strip == 0 or 0.039 <= strip <= 0.251 for strip in strips)
        seen.add(tuple(strip > 0 for strip in strips))
    assert len(seen) == 15
    only = generate("border", (100, 200), seed=1, sides=("left", "top"))[0, 0]
    assert float(only[-1, -1]) == 0.0
    assert float(only[0].min()) == float(only[:, 0].min()) == 1.0


def test_border_strips_reach_as_far_as_they_can_into_a_wide_interval() -> None:
    ratios = [ratio(generate("border", (64, 64), (0.0, 1.0), seed=seed)) for seed in range(100)]
    assert max(ratios) <= 0.75
    assert max(ratios) - min(ratios) > 0.5


def test_salt_and_pepper_consists_of_whole_cells() -> None:
    mask = generate("salt_and_pepper", (128, 128), seed=4, cell=1 / 8)[0, 0].numpy()
    changes = np.flatnonzero((np.diff(mask, axis=0) != 0).any(axis=1))
    assert len(set(np.diff(changes))) == 1
    assert np.diff(changes)[0] == 16


@pytest.fixture
def own_masks(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for index in range(12):
        canvas = np.zeros((96, 128), np.uint8)
        side = 20 + 5 * index
        canvas[10 : 10 + side, 20 : 20 + side] = 255
        (tmp_path / "sub").mkdir(exist_ok=True)
        target = tmp_path / ("sub" if index % 2 else ".") / f"{index}.png"
        Image.fromarray(canvas).save(target)
    noise = rng.integers(0, 20, (96, 128)).astype(np.uint8)
    Image.fromarray(noise).save(tmp_path / "noisy_black.jpg")
    return tmp_path


@pytest.mark.parametrize("bucket", BUCKETS, ids=str)
def test_own_masks_meet_the_asked_ratio(own_masks: Path, bucket: tuple[float, float]) -> None:
    masks = [generate("folder", (64, 64), bucket, seed=seed, folder=own_masks, flip=True) for seed in range(40)]
    assert all(bucket[0] < ratio(mask) <= bucket[1] for mask in masks)
    assert len({mask.numpy().tobytes() for mask in masks}) > 1


def test_own_masks_are_unchanged_at_their_own_size(own_masks: Path) -> None:
    wanted = {
        (np.array(Image.open(path).convert("L")) >= 128).astype(np.float32).tobytes()
        for path in own_masks.rglob("*.*")
        if path.is_file()
    }
    drawn = {generate("folder", (96, 128), seed=seed, folder=own_masks).numpy().tobytes() for seed in range(100)}
    assert drawn == wanted
    white = generate("folder", (96, 128), seed=7, folder=own_masks)
    black = generate("folder", (96, 128), seed=7, folder=own_masks, hole_is_white=False)
    assert torch.equal(black, 1.0 - white)


@pytest.mark.parametrize("name", ["strokes", "rectangles", "center", "salt_and_pepper", "slic"])
def test_rotated_cropped_and_dilated_masks_keep_the_requested_ratio(photo: Tensor, name: str) -> None:
    for seed in range(10):
        mask = generate(name, (256, 256), (0.2, 0.3), seed=seed, image=photo, dilate=0.03, rotate=180, crop=0.6)
        assert 0.2 < ratio(mask) <= 0.3
        assert bool(((mask == 0) | (mask == 1)).all())


def test_widening_adds_a_disc_around_the_hole() -> None:
    distance = ndimage.distance_transform_edt(generate("center", (128, 128))[0, 0].numpy() == 0)
    radii = set()
    for seed in range(10):
        wide = generate("center", (128, 128), seed=seed, dilate=0.1)[0, 0].numpy() == 1
        radius = distance[wide].max()
        assert radius <= 12.8
        assert (wide == (distance <= radius)).all()
        radii.add(radius)
    assert len(radii) > 5


def test_rotation_leaves_no_known_corners() -> None:
    full = generate("salt_and_pepper", (64, 64), seed=1, share=0.99, cell=1.0, rotate=45)
    assert float(full.mean()) > 0.9
