"""Blending a prediction into the known picture without changing any known pixel.

All corrections are based on the residual `known picture - prediction` at the boundary of the hole, extended into the
hole. Pixels inside the hole are never used, so a removed object cannot show through.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from .poisson import solve_membrane

RING = 8  # width in pixels of the ring around the hole used to match colors


def boundary_residual(prediction: Tensor, image: Tensor, mask: Tensor, width: int = 1) -> tuple[Tensor, Tensor]:
    """The correction that a prediction needs at the boundary of the hole.

    Parameters
    ----------
    prediction, image
        `[1,3,H,W]`.
    mask
        `[1,1,H,W]`, 1 = hole.
    width
        Radius in pixels of the neighborhoods compared when the prediction is unusable outside the hole.

    Returns
    -------
    residual
        `[1,3,H,W]`, 0 where unknown.
    known
        `[1,1,H,W]`, 1 where the residual is known.

    Notes
    -----
    Networks also predict known pixels, where the residual can be read directly. Completers that put known pixels back
    themselves (LaMa in spandrel, classical fills) leave no residual there. Then, at known pixels near the hole, the
    mean of the prediction inside is compared with the mean of the picture outside.
    """
    known = 1.0 - mask
    if not _is_put_back(prediction, image, mask):
        return (image - prediction) * known, known
    inside, outside = (_neighborhood(F.pad(part, (width,) * 4), width) for part in (mask, known))
    colors_inside = _neighborhood(F.pad(prediction * mask, (width,) * 4), width) / inside.clamp(min=1e-6)
    colors_outside = _neighborhood(F.pad(image * known, (width,) * 4), width) / outside.clamp(min=1e-6)
    boundary = known * (inside > 1e-6).float()
    return (colors_outside - colors_inside) * boundary, boundary


def match_colors(prediction: Tensor, image: Tensor, mask: Tensor) -> Tensor:
    """Shift a prediction's colors so that their mean on a ring around the hole equals that of the picture.

    Parameters
    ----------
    prediction, image
        `[1,3,H,W]`.
    mask
        `[1,1,H,W]`, 1 = hole; without known pixels near it the prediction is unchanged.
    """
    residual, known = boundary_residual(prediction, image, mask, RING)
    ring = known * within(mask, RING)
    shift = (residual * ring).sum((2, 3), keepdim=True) / ring.sum((2, 3), keepdim=True).clamp(min=1.0)
    return prediction + shift * (mask if _is_put_back(prediction, image, mask) else 1.0)


def join(prediction: Tensor, image: Tensor, mask: Tensor, weight: Tensor) -> Tensor:
    """Correct a prediction inside the hole by the residual at its boundary.

    Parameters
    ----------
    prediction, image
        `[1,3,H,W]` in 0..1.
    mask
        `[1,1,H,W]`, 1 = hole.
    weight
        `[1,1,H,W]` in 0..1: weight of the residual. 1 everywhere is Poisson blending with the prediction's gradients
        (Perez et al. 2003, eq. 3); a ramp that falls from 1 at the boundary to 0 feathers inward.

    Returns
    -------
    Tensor
        `[1,3,H,W]`, not clamped, meaningful inside the hole.
    """
    residual, known = boundary_residual(prediction, image, mask)
    return prediction + weight * solve_membrane(residual, 1.0 - known)


def within(mask: Tensor, pixels: int) -> Tensor:
    """1 where the hole is at most this many pixels away along rows and columns: `[B,1,H,W]`."""
    side = 2 * pixels + 1
    rows = F.max_pool2d(mask, (side, 1), stride=1, padding=(pixels, 0))
    return F.max_pool2d(rows, (1, side), stride=1, padding=(0, pixels))


def _is_put_back(prediction: Tensor, image: Tensor, mask: Tensor) -> bool:
    return bool(((prediction == image) | (mask > 0.5)).all())


def _neighborhood(padded: Tensor, radius: int) -> Tensor:
    side = 2 * radius + 1
    return F.avg_pool2d(F.avg_pool2d(padded, (side, 1), stride=1), (1, side), stride=1)
