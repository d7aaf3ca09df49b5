"""Seams: how a prediction is joined to the known picture without touching a single known pixel.

All corrections are made from the residual `known picture - prediction` at the rim of the hole, continued into the hole.
What lies hidden under the hole never enters, so an object that is being removed cannot shine through.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

SWEEPS = 24  # relaxation sweeps per scale; more change the result by less than 1/255 on photographs
RING = 8  # width in pixels of the ring around the hole that colours are matched on


def continue_into_hole(values: Tensor, mask: Tensor) -> Tensor:
    """Continue known values smoothly into the hole.

    Solves Laplace's equation in the hole with the known pixels as boundary, coarse to fine: a membrane, as in Poisson
    image editing (Perez et al. 2003, eq. 2). No flow crosses the frame.

    Parameters
    ----------
    values
        `[B,C,H,W]`; what lies in the hole is ignored.
    mask
        `[B,1,H,W]`, 1 = hole.

    Returns
    -------
    Tensor
        `[B,C,H,W]`: `values` where known, the membrane in the hole, 0 where nothing at all is known.
    """
    known = 1.0 - mask
    levels = [(values * known, known)]
    while levels[-1][1].amin() == 0 and max(levels[-1][1].shape[-2:]) > 1:
        total, weight = levels[-1]
        total, weight = (F.avg_pool2d(item, 2, ceil_mode=True, count_include_pad=False) for item in (total, weight))
        some = (weight > 0).to(values.dtype)
        levels.append((total / weight.clamp(min=1e-12) * some, some))
    result = levels[-1][0]
    for total, known in reversed(levels[:-1]):
        result = F.interpolate(result, size=total.shape[-2:], mode="bilinear", align_corners=False)
        result = torch.where(known > 0, total, result)
        for _ in range(SWEEPS):
            padded = F.pad(result, (1, 1, 1, 1), mode="replicate")
            around = padded[..., :-2, 1:-1] + padded[..., 2:, 1:-1] + padded[..., 1:-1, :-2] + padded[..., 1:-1, 2:]
            result = torch.where(known > 0, total, around / 4.0)
    return result


def match_colors(prediction: Tensor, image: Tensor, mask: Tensor, ring: Tensor) -> Tensor:
    """Shift a prediction's colours so that, on the ring, they have the picture's mean, per picture and channel.

    Parameters
    ----------
    prediction, image
        `[B,3,H,W]`.
    mask
        `[B,1,H,W]`, 1 = hole.
    ring
        `[B,1,H,W]`, 1 on known pixels near the hole; a picture without any is left as it is.
    """
    known_ring = ring * (1.0 - mask)
    count = known_ring.sum((2, 3), keepdim=True)
    difference = torch.where(known_ring > 0, image - prediction, torch.zeros_like(image))
    return prediction + difference.sum((2, 3), keepdim=True) / count.clamp(min=1.0)


def join(prediction: Tensor, image: Tensor, mask: Tensor, weight: Tensor) -> Tensor:
    """Correct a prediction inside the hole by the residual at its rim.

    Parameters
    ----------
    prediction, image
        `[B,3,H,W]` in 0..1.
    mask
        `[B,1,H,W]`, 1 = hole.
    weight
        `[B,1,H,W]` in 0..1: how much of the continued residual is added. 1 everywhere is Poisson blending with the
        prediction's gradients (Perez et al. 2003, eq. 3); a ramp that falls from 1 at the rim to 0 feathers inwards.

    Returns
    -------
    Tensor
        `[B,3,H,W]` in 0..1, meaningful inside the hole.
    """
    residual = torch.where(mask > 0.5, torch.zeros_like(image), image - prediction)
    return (prediction + weight * continue_into_hole(residual, mask)).clamp(0.0, 1.0)
