"""Seams: how a prediction is joined to the known picture without touching a single known pixel.

All corrections are made from the residual `known picture - prediction` at the rim of the hole, continued into the hole.
What lies hidden under the hole never enters, so an object that is being removed cannot shine through.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from .poisson import solve_membrane

RING = 8  # width in pixels of the ring around the hole that colors are matched on


def rim_residual(prediction: Tensor, image: Tensor, mask: Tensor, width: int = 1) -> tuple[Tensor, Tensor]:
    """What has to be added to a prediction at the rim of the hole.

    Parameters
    ----------
    prediction, image
        `[1,3,H,W]`.
    mask
        `[1,1,H,W]`, 1 = hole.
    width
        Radius in pixels of the neighborhoods that are compared when the prediction is no use outside the hole.

    Returns
    -------
    residual
        `[1,3,H,W]`, 0 where it is not known.
    known
        `[1,1,H,W]`, 1 where it is.

    Notes
    -----
    Networks predict known pixels as well, and there the residual can be read off. Completers that put the known pixels
    back by themselves (LaMa as spandrel runs it, classical fills) leave none: then the mean of the prediction inside is
    compared with the mean of the picture outside, on known pixels that the hole is within reach of.
    """
    known = 1.0 - mask
    if not _is_put_back(prediction, image, mask):
        return (image - prediction) * known, known
    inside, outside = (_neighborhood(F.pad(part, (width,) * 4), width) for part in (mask, known))
    colors_inside = _neighborhood(F.pad(prediction * mask, (width,) * 4), width) / inside.clamp(min=1e-6)
    colors_outside = _neighborhood(F.pad(image * known, (width,) * 4), width) / outside.clamp(min=1e-6)
    rim = known * (inside > 1e-6).float()
    return (colors_outside - colors_inside) * rim, rim


def match_colors(prediction: Tensor, image: Tensor, mask: Tensor) -> Tensor:
    """Shift a prediction's colors so that, on a ring around the hole, they have the picture's mean.

    Parameters
    ----------
    prediction, image
        `[1,3,H,W]`.
    mask
        `[1,1,H,W]`, 1 = hole; a picture without any known pixel near it is left as it is.
    """
    residual, known = rim_residual(prediction, image, mask, RING)
    ring = known * within(mask, RING)
    shift = (residual * ring).sum((2, 3), keepdim=True) / ring.sum((2, 3), keepdim=True).clamp(min=1.0)
    return prediction + shift * (mask if _is_put_back(prediction, image, mask) else 1.0)


def join(prediction: Tensor, image: Tensor, mask: Tensor, weight: Tensor) -> Tensor:
    """Correct a prediction inside the hole by the residual at its rim.

    Parameters
    ----------
    prediction, image
        `[1,3,H,W]` in 0..1.
    mask
        `[1,1,H,W]`, 1 = hole.
    weight
        `[1,1,H,W]` in 0..1: how much of the continued residual is added. 1 everywhere is Poisson blending with the
        prediction's gradients (Perez et al. 2003, eq. 3); a ramp that falls from 1 at the rim to 0 feathers inwards.

    Returns
    -------
    Tensor
        `[1,3,H,W]`, not clamped, meaningful inside the hole.
    """
    residual, known = rim_residual(prediction, image, mask)
    return prediction + weight * solve_membrane(residual, 1.0 - known)


def within(mask: Tensor, pixels: int) -> Tensor:
    """1 where the hole is at most so many pixels away, along rows and columns: `[B,1,H,W]`."""
    side = 2 * pixels + 1
    rows = F.max_pool2d(mask, (side, 1), stride=1, padding=(pixels, 0))
    return F.max_pool2d(rows, (1, side), stride=1, padding=(0, pixels))


def _is_put_back(prediction: Tensor, image: Tensor, mask: Tensor) -> bool:
    return bool(((prediction == image) | (mask > 0.5)).all())


def _neighborhood(padded: Tensor, radius: int) -> Tensor:
    side = 2 * radius + 1
    return F.avg_pool2d(F.avg_pool2d(padded, (side, 1), stride=1), (1, side), stride=1)
