"""Grain: adds the noise of the surroundings to fills, which are smoother than photographs."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from .blending import within

RING = 24  # width in pixels of the surroundings where noise is measured
# Difference of two discrete Laplacians: zero on planes and gentle slopes, so that only noise is left (Immerkaer 1996,
# doi:10.1006/cviu.1996.0060). It turns white noise with standard deviation 1 into noise with standard deviation 6.
NOISE_KERNEL = ((1.0, -2.0, 1.0), (-2.0, 4.0, -2.0), (1.0, -2.0, 1.0))
NOISE_GAIN = 6.0
MEDIAN_TO_DEVIATION = 1.4826  # for a normal distribution, the median of |x| times this is the standard deviation


def noise_deviation(image: Tensor, where: Tensor) -> Tensor:
    """Estimate the standard deviation of the noise per channel.

    Parameters
    ----------
    image
        `[3,H,W]`.
    where
        Bool `[H,W]`: pixels to use, whose eight neighbors must be usable too.

    Returns
    -------
    Tensor
        `[3]`; 0 if there are too few pixels. Because a median is used, edges do not count as noise.
    """
    kernel = image.new_tensor(NOISE_KERNEL)[None, None]
    response = F.conv2d(image[:, None], kernel)[:, 0]
    inner = F.max_pool2d((~where).float()[None, None], 3, stride=1)[0, 0] < 0.5
    if int(inner.sum()) < 16:
        return image.new_zeros(3)
    return response[:, inner].abs().median(dim=1).values * (MEDIAN_TO_DEVIATION / NOISE_GAIN)


def match_grain(prediction: Tensor, image: Tensor, mask: Tensor, strength: float, seed: int) -> Tensor:
    """Add the noise that the surroundings have but the fill lacks.

    Parameters
    ----------
    prediction, image
        `[1,3,H,W]` in 0..1.
    mask
        `[1,1,H,W]`, 1 = hole.
    strength
        0..1.
    seed
        Seed of the noise.

    Returns
    -------
    Tensor
        `[1,3,H,W]`, not clamped. Unchanged if nothing is known around the hole.
    """
    height, width = mask.shape[-2:]
    if min(height, width) < 3:
        return prediction
    hole = mask[0, 0] > 0.5
    around = within(mask, RING)[0, 0] > 0.5
    wanted = noise_deviation(image[0], around & ~hole)
    present = noise_deviation(prediction[0], hole)
    missing = (wanted.square() - present.square()).clamp(min=0.0).sqrt() * strength
    generator = torch.Generator().manual_seed(seed % 2**63)
    noise = torch.randn(1, 3, height, width, generator=generator).to(prediction)
    return prediction + noise * missing.view(1, 3, 1, 1)
