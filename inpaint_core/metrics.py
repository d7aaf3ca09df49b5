"""Image metrics over the whole picture or only in the hole, and distances between sets of pictures."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

# Wang et al. 2004, "Image quality assessment: from error visibility to structural similarity", section III-C.
SSIM_SIGMA = 1.5
SSIM_RADIUS = 5
SSIM_C1, SSIM_C2 = 0.01**2, 0.03**2
MAX_PSNR = 100.0  # in dB; a single exact match would make every mean infinite
KID_SUBSET = 1000


def mean_over(values: Tensor, weight: Tensor | None = None) -> Tensor:
    """Mean of `[B,C,H,W]` per picture, `[B]`; weighted by `[B,1,H,W]` if given, and NaN where the weights are all 0."""
    if weight is None:
        return values.mean((1, 2, 3))
    return (values * weight).sum((1, 2, 3)) / (weight.sum((1, 2, 3)) * values.shape[1])


def mean_squared_error(output: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean squared error per picture.

    Parameters
    ----------
    output, target
        `[B,3,H,W]` in 0..1.
    mask
        `[B,1,H,W]`, 1 = hole: only hole pixels count. None: all do.

    Returns
    -------
    Tensor
        `[B]`; NaN for a picture whose mask is empty.
    """
    return mean_over((output - target) ** 2, mask)


def psnr(output: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
    """Peak signal-to-noise ratio in dB per picture, for a peak of 1: `-10 log10(MSE)`.

    Arguments and shape as in `mean_squared_error`; infinite where the pictures are equal.
    """
    return -10.0 * torch.log10(mean_squared_error(output, target, mask))


def l1_percent(output: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean absolute difference per picture in percent of the range, as reported by Liu et al. 2018 (arXiv 1804.07723).

    Arguments and shape as in `mean_squared_error`.
    """
    return 100.0 * mean_over((output - target).abs(), mask)


def ssim_map(output: Tensor, target: Tensor) -> Tensor:
    """Structural similarity around every pixel, separately for each channel.

    Parameters
    ----------
    output, target
        `[B,3,H,W]` in 0..1, both sides of at least 6 pixels.

    Returns
    -------
    Tensor
        `[B,3,H,W]`, at most 1. Gaussian window of 11x11 pixels with a standard deviation of 1.5, K1 = 0.01, K2 = 0.03,
        range 1, population variances, mirrored edges (Wang et al. 2004).

    Raises
    ------
    ValueError
        A side below 6 pixels.
    """
    if min(output.shape[-2:]) <= SSIM_RADIUS:
        raise ValueError(f"SSIM needs sides of at least {SSIM_RADIUS + 1} pixels, not {list(output.shape[-2:])}")
    offsets = torch.arange(-SSIM_RADIUS, SSIM_RADIUS + 1, dtype=output.dtype, device=output.device)
    window = torch.exp(-(offsets**2) / (2.0 * SSIM_SIGMA**2))
    window = window / window.sum()
    # Shifted to -0.5..0.5: variances are differences of mean squares, which lose precision for large values.
    x, y = output - 0.5, target - 0.5
    planes = torch.cat([x, y, x * x, y * y, x * y], 1)
    count = planes.shape[1]
    planes = F.pad(planes, (SSIM_RADIUS,) * 4, mode="reflect")
    planes = F.conv2d(planes, window.view(1, 1, 1, -1).expand(count, 1, 1, -1), groups=count)
    planes = F.conv2d(planes, window.view(1, 1, -1, 1).expand(count, 1, -1, 1), groups=count)
    mean_x, mean_y, xx, yy, xy = planes.chunk(5, 1)
    variances = xx - mean_x**2 + yy - mean_y**2
    covariance = xy - mean_x * mean_y
    mean_x, mean_y = mean_x + 0.5, mean_y + 0.5
    luminance = (2.0 * mean_x * mean_y + SSIM_C1) / (mean_x**2 + mean_y**2 + SSIM_C1)
    return luminance * (2.0 * covariance + SSIM_C2) / (variances + SSIM_C2)


def ssim(output: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
    """Structural similarity per picture: the mean of `ssim_map` over channels and pixels.

    Arguments and shape as in `mean_squared_error`. Windows around hole pixels include known pixels, so the value in the
    hole also measures how well the fill matches its surroundings.
    """
    return mean_over(ssim_map(output, target), mask)


def perceptual_maps(output: Sequence[Tensor], target: Sequence[Tensor]) -> list[Tensor]:
    """Squared difference between two pictures' normalized feature vectors at every position.

    Parameters
    ----------
    output, target
        Feature maps `[B,C,h,w]` of each stage (see `inpaint_core.losses.features`).

    Returns
    -------
    list of Tensor
        `[B,1,h,w]` in 0..4 for each stage.
    """
    return [((_unit(a) - _unit(b)) ** 2).sum(1, keepdim=True) for a, b in zip(output, target, strict=True)]


def perceptual_distance(maps: Sequence[Tensor], mask: Tensor | None = None) -> Tensor:
    """Distance between two pictures in the features of a network, per picture.

    The maps are averaged over positions, and the averages of the stages are summed: eq. 1 of Zhang et al. 2018 (arXiv
    1801.03924) with all weights 1. Values are not comparable with those of other networks, or of LPIPS with its learned
    weights.

    Parameters
    ----------
    maps
        See `perceptual_maps`.
    mask
        `[B,1,H,W]`, 1 = hole: a position is weighted by the fraction of its pixels that are hole. None: all count
        equally.

    Returns
    -------
    Tensor
        `[B]`, at least 0; NaN for a picture whose mask is empty.
    """
    total = maps[0].new_zeros(len(maps[0]))
    for squared in maps:
        share = None if mask is None else F.adaptive_avg_pool2d(mask, (squared.shape[-2], squared.shape[-1]))
        total = total + mean_over(squared, share)
    return total


def frechet_distance(first: Tensor, second: Tensor) -> float:
    """Fréchet distance between two sets of features, each modeled as a Gaussian (Heusel et al. 2017, arXiv 1706.08500).

    Parameters
    ----------
    first, second
        `[N,D]` and `[M,D]`, one row per picture. With fewer than about D rows, the covariances are rank-deficient and
        the distance is overestimated; it decreases with more rows, so only compare sets of equal size.

    Returns
    -------
    float
        `|mean1 - mean2|^2 + tr(cov1 + cov2 - 2 sqrt(cov1 cov2))`.

    Raises
    ------
    ValueError
        Fewer than two rows.
    """
    _check_rows(first, second)
    a, b = first.double(), second.double()
    covariance_a, covariance_b = torch.cov(a.T).reshape(a.shape[1], -1), torch.cov(b.T).reshape(b.shape[1], -1)
    root_trace = torch.linalg.eigvals(covariance_a @ covariance_b).sqrt().real.sum()
    squared = (a.mean(0) - b.mean(0)).square().sum()
    return float(squared + covariance_a.trace() + covariance_b.trace() - 2.0 * root_trace)


def kernel_distance(first: Tensor, second: Tensor, subset: int = KID_SUBSET) -> float:
    """Unbiased squared maximum mean discrepancy with the kernel `(x y / D + 1)^3` (Binkowski et al. 2018,
    arXiv 1801.01401).

    Parameters
    ----------
    first, second
        `[N,D]`, one row per picture. Unlike the Fréchet distance, the result is unbiased for small sets, and can be
        slightly negative.
    subset
        The rows are divided in order into equal blocks of about this size, whose distances are averaged.

    Raises
    ------
    ValueError
        Fewer than two rows, or different counts.
    """
    _check_rows(first, second)
    if len(first) != len(second):
        raise ValueError(f"sets of {len(first)} and {len(second)} rows: the kernel distance needs equal counts")
    blocks = max(1, round(len(first) / subset))
    pairs = zip(first.double().tensor_split(blocks), second.double().tensor_split(blocks), strict=True)
    return sum(_kernel_distance(a, b) for a, b in pairs) / blocks


def _kernel_distance(a: Tensor, b: Tensor) -> float:
    count = len(a)
    within = sum(kernel.sum() - kernel.diagonal().sum() for kernel in (_cubic(a, a), _cubic(b, b)))
    return float(within / (count * (count - 1)) - 2.0 * _cubic(a, b).mean())


def _cubic(a: Tensor, b: Tensor) -> Tensor:
    return (a @ b.T / a.shape[1] + 1.0) ** 3


def _check_rows(first: Tensor, second: Tensor) -> None:
    if min(len(first), len(second)) < 2:
        raise ValueError(
            f"sets of {len(first)} and {len(second)} rows: a distance between sets needs at least two each"
        )


def _unit(features: Tensor) -> Tensor:
    return features / (features.norm(dim=1, keepdim=True) + 1e-10)
