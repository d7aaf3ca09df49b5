"""Picture metrics against torchmetrics, scikit-image and loops over pixels."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from inpaint_core import metrics
from inpaint_core.losses.features import FeatureExtractor

CLOSE = 1e-4


def smooth(seed: int, count: int = 3, height: int = 40, width: int = 52) -> Tensor:
    """Pictures with flat parts, gradients and detail."""
    noise = torch.rand(count, 3, height // 4, width // 4, generator=torch.Generator().manual_seed(seed))
    pictures = nn.functional.interpolate(noise, (height, width), mode="bilinear")
    pictures[:, :, : height // 3] = pictures[:, :, :1, :1]
    return pictures


@pytest.fixture
def truth() -> Tensor:
    return smooth(0)


@pytest.fixture
def output(truth) -> Tensor:
    noise = torch.randn(truth.shape, generator=torch.Generator().manual_seed(1))
    return (truth + torch.tensor([0.02, 0.1, 0.3]).view(3, 1, 1, 1) * noise).clamp(0.0, 1.0)


@pytest.fixture
def mask(truth) -> Tensor:
    """Holes of three sizes, one of them at the edge."""
    mask = torch.zeros(3, 1, *truth.shape[-2:])
    mask[0, :, 10:20, 5:40] = 1
    mask[1, :, :7, :] = 1
    mask[2, :, 30, 30] = 1
    return mask


def numpy_picture(picture: Tensor) -> np.ndarray:
    return picture.permute(1, 2, 0).double().numpy()


def test_psnr_is_that_of_torchmetrics_and_of_scikit_image(output, truth):
    from skimage.metrics import peak_signal_noise_ratio
    from torchmetrics.functional.image import peak_signal_noise_ratio as torchmetrics_psnr

    ours = metrics.psnr(output, truth)
    for i in range(3):
        assert ours[i].item() == pytest.approx(torchmetrics_psnr(output[i], truth[i], data_range=1.0).item(), abs=CLOSE)
        reference = peak_signal_noise_ratio(numpy_picture(truth[i]), numpy_picture(output[i]), data_range=1.0)
        assert ours[i].item() == pytest.approx(reference, abs=CLOSE)


def test_l1_is_that_of_torchmetrics(output, truth):
    from torchmetrics.functional import mean_absolute_error

    for i, ours in enumerate(metrics.l1_percent(output, truth)):
        reference = 100 * mean_absolute_error(output[i].contiguous(), truth[i].contiguous()).item()
        assert ours.item() == pytest.approx(reference, abs=CLOSE)


def test_ssim_is_that_of_torchmetrics(output, truth):
    from torchmetrics.functional.image import structural_similarity_index_measure

    reference = structural_similarity_index_measure(
        output.double(), truth.double(), sigma=1.5, data_range=1.0, reduction="none"
    )
    assert torch.allclose(metrics.ssim(output, truth).double(), reference, atol=CLOSE, rtol=0)


def test_ssim_is_that_of_scikit_image_but_for_the_edge(output, truth):
    from skimage.metrics import structural_similarity

    ours = metrics.ssim_map(output, truth)[..., 5:-5, 5:-5].mean((1, 2, 3))
    for i in range(3):
        reference = structural_similarity(
            numpy_picture(output[i]),
            numpy_picture(truth[i]),
            data_range=1.0,
            channel_axis=2,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
        assert ours[i].item() == pytest.approx(reference, abs=CLOSE)


def brute_force(values: Tensor, hole: Tensor) -> float:
    """Mean of `[C,H,W]` over the hole `[H,W]`, pixel by pixel."""
    height, width = hole.shape
    found = [
        float(values[channel, row, column])
        for channel in range(len(values))
        for row in range(height)
        for column in range(width)
        if hole[row, column] == 1
    ]
    return sum(found) / len(found)


def test_in_the_hole_only_hole_pixels_count(output, truth, mask):
    similar = metrics.ssim_map(output, truth)
    for i in range(3):
        hole = mask[i, 0]
        squared = brute_force((output[i] - truth[i]) ** 2, hole)
        absolute = brute_force((output[i] - truth[i]).abs(), hole)
        one = slice(i, i + 1)
        assert metrics.mean_squared_error(output, truth, mask)[i].item() == pytest.approx(squared, abs=1e-6)
        assert metrics.psnr(output, truth, mask)[i].item() == pytest.approx(-10 * math.log10(squared), abs=CLOSE)
        assert metrics.l1_percent(output, truth, mask)[i].item() == pytest.approx(100 * absolute, abs=CLOSE)
        ssim = metrics.ssim(output[one], truth[one], mask[one]).item()
        assert ssim == pytest.approx(brute_force(similar[i], hole), abs=CLOSE)


def test_changes_outside_the_hole_leave_the_hole_only_difference_alone(output, truth, mask):
    changed = torch.where(mask > 0.5, output, 1.0 - output)
    for metric in (metrics.l1_percent, metrics.psnr):
        assert torch.equal(metric(changed, truth, mask), metric(output, truth, mask))


def test_equal_pictures_are_the_best_there_is(truth, mask):
    for where in (None, mask):
        assert torch.equal(metrics.l1_percent(truth, truth, where), torch.zeros(3))
        assert torch.isinf(metrics.psnr(truth, truth, where)).all()
        assert torch.allclose(metrics.ssim(truth, truth, where), torch.ones(3), atol=1e-5)


def test_ssim_of_a_tiny_picture_is_rejected_with_one_line(truth):
    with pytest.raises(ValueError, match=r"at least 6 pixels, not \[5, 52\]"):
        metrics.ssim(truth[:, :, :5], truth[:, :, :5])


@pytest.fixture(scope="module")
def extract() -> FeatureExtractor:
    """Two stages of random weights."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        stages = [[nn.Conv2d(3, 5, 3, padding=1)], [nn.Conv2d(5, 7, 3, padding=1)]]
    return FeatureExtractor(stages, pool_before=True)


def unit(vector: np.ndarray) -> np.ndarray:
    length = float(np.sqrt((vector**2).sum()))
    return vector / (length + 1e-10)


def test_the_perceptual_distance_is_the_stated_formula(extract, output, truth, mask):
    ours, theirs = extract(output), extract(truth)
    whole = metrics.perceptual_distance(metrics.perceptual_maps(ours, theirs))
    in_hole = metrics.perceptual_distance(metrics.perceptual_maps(ours, theirs), mask)
    for i in range(3):
        expected = expected_in_hole = 0.0
        for step, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            distances, weights = [], []
            for row in range(a.shape[2]):
                for column in range(a.shape[3]):
                    first, second = (
                        unit(a[i, :, row, column].double().numpy()),
                        unit(b[i, :, row, column].double().numpy()),
                    )
                    distances.append(((first - second) ** 2).sum())
                    cell = 2**step
                    rows, columns = slice(row * cell, (row + 1) * cell), slice(column * cell, (column + 1) * cell)
                    weights.append(float(mask[i, 0, rows, columns].mean()))
            expected += float(np.mean(distances))
            expected_in_hole += float(np.average(distances, weights=weights))
        assert whole[i].item() == pytest.approx(expected, abs=CLOSE)
        assert in_hole[i].item() == pytest.approx(expected_in_hole, abs=CLOSE)


def test_the_perceptual_distance_grows_with_noise(extract, output, truth):
    same, noisy = (metrics.perceptual_maps(extract(picture), extract(truth)) for picture in (truth, output))
    assert metrics.perceptual_distance(same).tolist() == [0.0] * 3
    distances = metrics.perceptual_distance(noisy).tolist()
    assert distances == sorted(distances)
    assert distances[0] > 0.0


class _Rows(nn.Module):
    """Stands in for a feature network of torchmetrics: its pictures are rows of features already."""

    num_features = 6

    def forward(self, rows: Tensor) -> Tensor:
        return rows


def rows(seed: int, count: int = 50) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    mixture = torch.rand(6, 6, generator=generator)
    return torch.randn(count, 6, generator=generator) @ mixture + seed


def test_the_frechet_distance_is_that_of_torchmetrics():
    from torchmetrics.image.fid import FrechetInceptionDistance

    reference = FrechetInceptionDistance(feature=_Rows())
    reference.set_dtype(torch.float64)
    reference.update(rows(0).double(), real=True)
    reference.update(rows(1).double(), real=False)
    assert metrics.frechet_distance(rows(1), rows(0)) == pytest.approx(reference.compute().item(), rel=CLOSE)
    assert metrics.frechet_distance(rows(0), rows(0)) == pytest.approx(0.0, abs=CLOSE)


def test_the_kernel_distance_is_that_of_torchmetrics():
    from torchmetrics.image.kid import poly_mmd

    real, fake = rows(0).double(), rows(1).double()
    assert metrics.kernel_distance(fake, real) == pytest.approx(poly_mmd(real, fake).item(), rel=CLOSE)
    halves = [poly_mmd(real[half], fake[half]).item() for half in (slice(25), slice(25, None))]
    assert metrics.kernel_distance(fake, real, subset=25) == pytest.approx(sum(halves) / 2, rel=CLOSE)


def test_distances_of_sets_need_two_rows():
    for distance in (metrics.frechet_distance, metrics.kernel_distance):
        with pytest.raises(ValueError, match="at least two"):
            distance(rows(0, 1), rows(0, 1))
    with pytest.raises(ValueError, match="equal counts"):
        metrics.kernel_distance(rows(0, 3), rows(0, 4))
