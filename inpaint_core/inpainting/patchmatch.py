"""Patch completion by PyPatchMatch, an optional native library (extra `patchmatch`, MIT)."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ..eight_bit import from_uint8, to_uint8
from ..models.pull_push import pull_push
from .patches.field import whole_patches

RADIUS = 3  # pixels: patches are squares of 7 x 7
MISSING = (
    'the fill "patchmatch" needs the package pypatchmatch 2.2 or newer: pip install "pypatchmatch>=2.2"; the fill '
    '"patches" works without it'
)


def check_patchmatch() -> None:
    """Check that the library is usable.

    Raises
    ------
    ValueError
        It is not installed, or its native part does not load; the message explains what to do.
    """
    if importlib.util.find_spec("patchmatch") is None:
        raise ValueError(MISSING)
    from patchmatch import patch_match

    if not patch_match.patchmatch_available:
        raise ValueError(MISSING)


def fill_by_patchmatch(
    image: Tensor, mask: Tensor, *, allowed: Tensor | None = None, sources: Sequence[Tensor] = (), seed: int = 0
) -> Tensor:
    """Fill holes like `patches.fill_from_patches`, with PyPatchMatch (Barnes et al. 2009; Wexler et al. 2007).

    Parameters
    ----------
    image, mask, allowed, sources
        As in `patches.fill_from_patches`; `[B,3,H,W]` in 0..1. Fills have 8 bits.
    seed
        Seed of the random search, the same for every picture of a batch.

    Returns
    -------
    Tensor
        `[B,3,H,W]`, equal to `image` bit for bit outside the hole; filled smoothly if there is no patch to copy.

    Notes
    -----
    Time grows with the picture: `inpaint` shows windows around the holes.
    """
    parts = []
    for index, picture in enumerate(image):
        hole = mask[index, 0] > 0.5
        usable = ~hole if allowed is None else (allowed[index, 0] > 0.5) & ~hole
        filled = _fill(picture, hole, usable, sources, seed) if bool(hole.any()) else picture
        parts.append(torch.where(hole, filled.to(picture), picture))
    return torch.stack(parts)


def _fill(picture: Tensor, hole: Tensor, usable: Tensor, sources: Sequence[Tensor], seed: int) -> Tensor:
    from patchmatch import patch_match

    height, width = hole.shape
    pictures = [torch.where(hole, 0.0, picture.float()), *(source.to(picture).float() for source in sources)]
    known = [usable, *(torch.isfinite(source).all(0) for source in pictures[1:])]
    # Stacked vertically on a canvas at least a patch wide; the gaps between them are neither filled nor copied.
    wide = max(2 * RADIUS + 1, *(part.shape[-1] for part in pictures), 0)
    tall = max(0, 2 * RADIUS + 1 - sum(part.shape[-2] for part in pictures))
    values = torch.cat([F.pad(part.nan_to_num(0.0), (0, wide - part.shape[-1])) for part in pictures], 1)
    copied = torch.cat([F.pad(part, (0, wide - part.shape[-1])) for part in known], 0)
    values, copied = F.pad(values, (0, 0, 0, tall)), F.pad(copied, (0, 0, 0, tall))
    if not bool(whole_patches(copied, RADIUS).any()):
        if not bool((~hole).any()):
            return torch.full_like(picture, 0.5)
        return pull_push(pictures[0][None], hole[None, None].float())[0]
    filled = torch.zeros_like(copied)
    filled[:height, :width] = hole
    patch_match.set_random_seed(seed)
    result = patch_match.inpaint(
        np.ascontiguousarray(to_uint8(values).permute(1, 2, 0).cpu().numpy()),
        filled.cpu().numpy(),
        global_mask=(~(copied | filled)).cpu().numpy(),
        patch_size=RADIUS,
    )
    return from_uint8(torch.from_numpy(result[:height, :width].copy())).permute(2, 0, 1)
