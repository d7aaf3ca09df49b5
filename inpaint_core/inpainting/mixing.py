"""Mix a fill with patches copied over it: neither alone is as close to a photograph as both together."""

from __future__ import annotations

import torch
from torch import Tensor

from ..masks.morphology import feather
from .patches.guide import blur

SHARE = 0.4  # of the patches near the boundary of the hole
DEPTH = 64  # pixels from the boundary where only patches are left
DETAIL_DEPTH = 32  # the same for detail, which networks draw too regularly far from the boundary
SIGMA = 2.0  # pixels: structures smaller than this are the detail, whose contrast is restored
NEIGHBORHOOD = 4.0  # pixels: standard deviation of the window in which contrast is measured
BOOST = 1.15  # of the patches' contrast, which the mean of overlapping patches reduces
MAX_GAIN = 2.0
MIN_CONTRAST = 1e-3  # below it, detail is noise, which is not amplified


def mix_fills(fill: Tensor, copied: Tensor, hole: Tensor) -> Tensor:
    """A weighted mean of a fill and of patches that resemble it, with the local contrast of the patches; deep in the
    hole, the patches alone.

    Near the boundary, where the surroundings determine much of what is missing, a mean is a better guess than either.
    It has less contrast, however: the detail of two independent textures partly cancels out. Therefore, detail is
    amplified to `BOOST` times the contrast that the patches have there, by `MAX_GAIN` at most. Deep in the hole, the
    fill is a blur that would show as a haze over the patches, and even before, its detail repeats itself.

    Parameters
    ----------
    fill, copied
        `[C,H,W]` in 0..1, equal outside the hole.
    hole
        `[1,H,W]`, 1 = hole.

    Returns
    -------
    Tensor
        `[C,H,W]` in 0..1. The gain is the same for all channels, so gray stays gray.
    """
    fill_coarse, copied_coarse = blur(fill, SIGMA), blur(copied, SIGMA)
    coarse = torch.lerp(fill_coarse, copied_coarse, _share(hole, DEPTH).to(fill))
    detail = torch.lerp(fill - fill_coarse, copied - copied_coarse, _share(hole, DETAIL_DEPTH).to(fill))
    wanted = BOOST * _contrast(copied - copied_coarse)
    return (coarse + detail * (wanted / _contrast(detail)).clamp(1.0, MAX_GAIN)).clamp(0.0, 1.0)


def _share(hole: Tensor, depth: float) -> Tensor:
    """`[1,H,W]`: the patches' share, `SHARE` at the boundary of the hole and 1 from `depth` pixels on."""
    return SHARE + (1.0 - SHARE) * feather(hole[None], depth)[0]


def _contrast(detail: Tensor) -> Tensor:
    """`[1,H,W]`: root mean square over the channels and the neighborhood."""
    return blur(detail.square().mean(0, keepdim=True), NEIGHBORHOOD).clamp(min=0.0).sqrt() + MIN_CONTRAST
