from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from torch import Tensor
from torch.nn.functional import interpolate

from inpaint_core.masks import slic_labels
from inpaint_core.masks.superpixels.clustering import Clusters, assign, cluster, place_seeds
from inpaint_core.masks.superpixels.pieces import absorb, connected_pieces, merge_smallest

PHOTOGRAPHS = Path(__file__).parents[3] / "shared" / "data" / "test" / "bsd100"
BUNDLED = ("astronaut", "coffee", "chelsea", "rocket")


def bundled(name: str, side: int) -> Tensor:
    from skimage import data

    picture = torch.from_numpy(getattr(data, name)()).permute(2, 0, 1)[None].float() / 255.0
    factor = side / max(picture.shape[2:])
    return interpolate(picture, scale_factor=factor, mode="area", recompute_scale_factor=True)[0]


def count_pieces(labels: np.ndarray) -> int:
    return sum(ndimage.label(labels == number)[1] for number in range(labels.max() + 1))


def boundaries(labels: np.ndarray) -> np.ndarray:
    from skimage.segmentation import find_boundaries

    return find_boundaries(labels, mode="inner")


def boundary_recall(labels: np.ndarray, reference: np.ndarray, tolerance: float) -> float:
    away = ndimage.distance_transform_edt(~boundaries(labels))
    return float((away[boundaries(reference)] <= tolerance).mean())


@pytest.mark.parametrize("n_segments", [20, 100, 500])
@pytest.mark.parametrize("name", BUNDLED)
def test_labels_are_connected_contiguous_and_as_many_as_asked(name: str, n_segments: int) -> None:
    labels = slic_labels(bundled(name, 300), n_segments)
    assert labels.dtype == torch.int64
    sizes = np.bincount(labels.numpy().ravel())
    assert (sizes > 0).all()
    assert abs(len(sizes) - n_segments) <= 0.1 * n_segments
    assert count_pieces(labels.numpy()) == len(sizes)


@pytest.mark.skipif(not PHOTOGRAPHS.is_dir(), reason="needs the test photographs")
@pytest.mark.parametrize("n_segments", [20, 100, 500])
def test_the_count_is_met_on_ten_photographs(n_segments: int) -> None:
    from inpaint_core.files.images import decode_image

    for file in sorted(PHOTOGRAPHS.iterdir())[:10]:
        count = int(slic_labels(decode_image(file).image, n_segments, max_side=160).max()) + 1
        assert abs(count - n_segments) <= 0.1 * n_segments


@settings(max_examples=40, deadline=None)
@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    channels=st.sampled_from([1, 3, 4]),
    n_segments=st.integers(1, 60),
    max_side=st.sampled_from([8, 20, 1024]),
    seed=st.integers(0, 100),
)
def test_every_picture_is_divided(
    height: int, width: int, channels: int, n_segments: int, max_side: int, seed: int
) -> None:
    image = torch.rand(channels, height, width, generator=torch.Generator().manual_seed(seed))
    labels = slic_labels(image, n_segments, max_side=max_side).numpy()
    assert labels.shape == (height, width)
    assert set(np.unique(labels)) == set(range(labels.max() + 1))
    assert labels.max() + 1 <= n_segments
    assert count_pieces(labels) == labels.max() + 1
    if height * width > 1 and n_segments > 1 and max_side >= max(height, width):
        assert labels.max() >= 1
        assert labels.max() + 1 >= 0.9 * min(n_segments, height * width) - 1


def test_enlarged_labels_are_those_of_the_working_resolution() -> None:
    image = bundled("coffee", 500)
    labels = slic_labels(image, 80, max_side=125).numpy()
    rows, columns = image.shape[1] / round(image.shape[1] / 4), 4
    working_rows = (np.arange(image.shape[1]) / rows).astype(int)
    working_columns = np.arange(image.shape[2]) // columns
    for axis, index in ((0, working_rows), (1, working_columns)):
        changes = np.flatnonzero((np.diff(labels, axis=axis) != 0).any(axis=1 - axis))
        assert np.isin(changes, np.flatnonzero(np.diff(index))).all()


def test_the_same_picture_gives_the_same_labels(photo: Tensor) -> None:
    assert torch.equal(slic_labels(photo, 150), slic_labels(photo.clone(), 150))


def test_borders_are_those_of_scikit_image(photo: Tensor) -> None:
    from skimage.segmentation import slic

    for n_segments in (150, 400):
        reference = slic(photo.permute(1, 2, 0).numpy(), n_segments, compactness=10.0, start_label=0)
        labels = slic_labels(photo, n_segments).numpy()
        assert boundary_recall(labels, reference, tolerance=1.5) > 0.9
        # But not by having borders everywhere:
        assert boundaries(labels).mean() < 1.6 * boundaries(reference).mean()


def test_seeds_stand_on_the_regular_grid_of_scikit_image() -> None:
    from skimage.util import regular_grid

    for height, width, count in ((512, 512, 100), (341, 512, 250), (480, 321, 1000), (5, 400, 10), (300, 9, 20)):
        rows, columns = regular_grid((height, width), count)
        grid = np.mgrid[:height, :width][:, rows, columns].reshape(2, -1)
        seeds = place_seeds(height, width, count)
        assert np.array_equal(np.stack([seeds.rows, seeds.columns]), grid)


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 200))
def test_seeds_are_as_many_as_asked_and_lie_in_the_picture(height: int, width: int, count: int) -> None:
    count = min(count, height * width)
    seeds = place_seeds(height, width, count)
    assert abs(len(seeds.rows) - count) <= 0.1 * count
    assert seeds.rows.min() >= -0.5
    assert seeds.columns.min() >= -0.5
    assert seeds.rows.max() < height
    assert seeds.columns.max() < width


def test_pixels_go_to_the_nearest_center_in_color_and_place() -> None:
    rng = np.random.default_rng(0)
    planes = rng.random((3, 30, 40)).astype(np.float32) * 3
    clusters = Clusters(rng.random(9) * 30, rng.random(9) * 40, rng.random((9, 3)) * 3, step=9.0)
    labels = np.full((30, 40), -1, np.int32)
    assign(planes, clusters, labels)
    for y in range(30):
        for x in range(40):
            costs = []
            for row, column, color in zip(clusters.rows, clusters.columns, clusters.colors, strict=True):
                inside = int(row - 18) <= y < int(row + 19) and int(column - 18) <= x < int(column + 19)
                place = ((y - row) ** 2 + (x - column) ** 2) / 81.0
                costs.append(place + ((planes[:, y, x] - color) ** 2).sum() if inside else np.inf)
            if np.isinf(min(costs)):
                assert labels[y, x] == -1
            else:
                assert costs[labels[y, x]] == pytest.approx(min(costs), abs=1e-4)


def test_centers_are_the_means_of_their_pixels(photo: Tensor) -> None:
    planes = photo.numpy() * 5
    labels, clusters = cluster(planes, place_seeds(256, 256, 50))
    for number in (0, 7, 31):
        rows, columns = np.nonzero(labels == number)
        assert clusters.rows[number] == pytest.approx(rows.mean())
        assert clusters.columns[number] == pytest.approx(columns.mean())
        assert clusters.colors[number] == pytest.approx(planes[:, rows, columns].mean(axis=1), rel=1e-4)


def test_fragments_go_to_the_neighbor_of_the_nearest_color() -> None:
    colors = np.array([[0, 0, 0, 9, 9, 9], [0, 0, 3, 7, 9, 9], [0, 0, 2, 8, 9, 9]], np.float32)
    labels = np.array([[0, 0, 0, 1, 1, 1], [0, 0, 2, 3, 1, 1], [0, 0, 2, 4, 1, 1]], np.int32)
    pieces = connected_pieces(labels)
    keep = np.bincount(pieces.ravel()) > 4
    expected = np.array([[0, 0, 0, 1, 1, 1], [0, 0, 0, 1, 1, 1], [0, 0, 0, 1, 1, 1]])
    assert np.array_equal(absorb(pieces, keep, colors[None]), expected)


def test_the_smallest_piece_is_merged_with_the_nearest_color_first() -> None:
    rng = np.random.default_rng(2)
    for count in (1, 4, 9):
        planes = rng.random((2, 9, 11)).astype(np.float32)
        pieces = connected_pieces(rng.integers(0, 3, (9, 11)).astype(np.int32))
        merged = pieces.copy()
        while len(np.unique(merged)) > count:
            numbers, sizes = np.unique(merged, return_counts=True)
            means = {number: planes[:, merged == number].mean(axis=1) for number in numbers}
            smallest = numbers[np.argmin(sizes)]
            cross = ndimage.binary_dilation(merged == smallest) & (merged != smallest)
            around = np.unique(merged[cross])
            nearest = around[np.argmin([((means[number] - means[smallest]) ** 2).sum() for number in around])]
            merged[merged == smallest] = nearest
        assert np.array_equal(
            merge_smallest(pieces, count, planes), np.unique(merged, return_inverse=True)[1].reshape(9, 11)
        )


def test_gray_is_divided_like_its_three_equal_channels_and_alpha_is_ignored(photo: Tensor) -> None:
    gray = photo.mean(0, keepdim=True)
    assert torch.equal(slic_labels(gray, 60), slic_labels(gray.expand(3, -1, -1), 60))
    noise = torch.rand(1, 256, 256, generator=torch.Generator().manual_seed(0))
    assert torch.equal(slic_labels(torch.cat([photo, noise]), 60), slic_labels(photo, 60))


def test_a_batch_is_divided_picture_by_picture(photo: Tensor) -> None:
    batch = torch.stack([photo, photo.flip(2)]).half()
    labels = slic_labels(batch, 60)
    assert labels.shape == (2, 256, 256)
    assert torch.equal(labels[0], slic_labels(batch[0], 60))
    assert torch.equal(labels[1], slic_labels(batch[1], 60))


@pytest.mark.parametrize("n_segments", [2, 5, 20, 100])
def test_one_color_is_divided_into_a_grid(n_segments: int) -> None:
    sizes = np.bincount(slic_labels(torch.full((3, 120, 160), 0.4), n_segments).numpy().ravel())
    assert abs(len(sizes) - n_segments) <= 0.1 * n_segments
    assert sizes.max() < 4 * sizes.min()


def test_faint_pictures_are_divided_like_strong_ones(photo: Tensor) -> None:
    assert (slic_labels(photo, 60) == slic_labels(0.5 + photo * 0.01, 60)).float().mean() > 0.97


def test_one_pixel_is_one_superpixel() -> None:
    assert slic_labels(torch.rand(3, 1, 1), 200).tolist() == [[0]]
    assert slic_labels(torch.rand(3, 4, 4), 1).unique().tolist() == [0]


@pytest.mark.parametrize(
    ("image", "options", "said"),
    [
        (torch.full((3, 8, 8), float("nan")), {}, "not finite"),
        (torch.cat([torch.zeros(2, 8, 8), torch.full((1, 8, 8), float("inf"))]), {}, "not finite"),
        (torch.zeros(8, 8), {}, r"\[8, 8\]"),
        (torch.zeros(2, 8, 8), {}, "1, 3 or 4"),
        (torch.zeros(3, 0, 8), {}, r"\[3, 0, 8\]"),
        (torch.zeros(3, 8, 8), {"n_segments": 0}, "n_segments=0"),
        (torch.zeros(3, 8, 8), {"compactness": 0.0}, "compactness=0.0"),
        (torch.zeros(3, 8, 8), {"max_side": 0}, "max_side=0"),
    ],
)
def test_impossible_divisions_are_rejected_with_one_line(image: Tensor, options: dict[str, float], said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        slic_labels(image, **options)
    assert "\n" not in str(caught.value)


def test_refined_borders_follow_the_full_picture() -> None:
    rows, columns = torch.meshgrid(torch.arange(400), torch.arange(400), indexing="ij")
    disc = (rows - 203) ** 2 + (columns - 190) ** 2 < 121**2
    noise = 0.02 * torch.randn(3, 400, 400, generator=torch.Generator().manual_seed(0))
    image = torch.where(disc, 0.8, 0.3).expand(3, -1, -1) + noise

    def wrong(labels: Tensor) -> int:
        share = torch.bincount(labels.ravel(), weights=disc.ravel().double()) / torch.bincount(labels.ravel())
        return int(((share > 0.5)[labels] != disc).sum())

    coarse, fine = (slic_labels(image, 60, max_side=64, refine=refine) for refine in (False, True))
    assert wrong(fine) < 0.2 * wrong(coarse)
    assert int(fine.max()) == int(coarse.max())
    assert count_pieces(fine.numpy()) == int(fine.max()) + 1
    assert (fine == coarse).float().mean() > 0.8


@pytest.fixture(scope="module")
def clip() -> Tensor:
    from skimage import data

    scene = torch.from_numpy(data.astronaut()).permute(2, 0, 1).float() / 255.0
    return torch.stack([scene[:, 60:220, 40 + 4 * step : 232 + 4 * step] for step in range(5)])


def test_labels_move_with_the_scene(clip: Tensor) -> None:
    labels = slic_labels(clip, 60, stable=True)
    alone = slic_labels(clip, 60)
    for before, after in pairwise(range(5)):
        assert (labels[after, :, :-4] == labels[before, :, 4:]).float().mean() > 0.88
        assert (alone[after, :, :-4] == alone[before, :, 4:]).float().mean() < 0.5
    for frame in labels.numpy():
        numbers = np.unique(frame)
        assert numbers.max() < 60
        assert sum(ndimage.label(frame == number)[1] for number in numbers) == len(numbers)


def test_labels_stand_still_with_the_scene(clip: Tensor) -> None:
    labels = slic_labels(clip[:1].expand(4, -1, -1, -1), 60, stable=True)
    for before, after in pairwise(range(4)):
        assert (labels[after] == labels[before]).float().mean() > 0.93
