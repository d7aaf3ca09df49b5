"""Fills without a network, as Completers: baselines for networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from ..models.pull_push import pull_push
from .patches import Check, fill_from_patches
from .patchmatch import check_patchmatch, fill_by_patchmatch

ClassicalMethod = Literal["mean", "smooth", "telea", "navier-stokes", "biharmonic", "patches", "patchmatch"]
FILL_NAMES: tuple[ClassicalMethod, ...] = get_args(ClassicalMethod)
CLASSICAL_METHODS: tuple[ClassicalMethod, ...] = FILL_NAMES[:-1]  # those that need no additional package
COPYING: tuple[ClassicalMethod, ...] = ("patches", "patchmatch")
RADIUS = 5  # radius in pixels around each hole pixel used by the Telea and Navier-Stokes fills
MIN_SIDE = 3


class ClassicalFill:
    """A Completer without weights.

    Parameters
    ----------
    method
        `"mean"`: the mean color of the known pixels; `"smooth"`: smooth interpolation from coarse to fine (pull-push,
        Gortler et al. 1996), the starting point of the pack's networks; `"telea"`: fast marching (Telea 2004);
        `"navier-stokes"`: isophotes continued by fluid dynamics (Bertalmio et al. 2001); `"biharmonic"`: the smoothest
        surface through the boundary (Damelin & Hoang 2018), clamped to the range of known values; its cost grows
        steeply with the hole; `"patches"`: patches copied from the surroundings (see `patches.fill_from_patches`);
        `"patchmatch"`: the same with the library PyPatchMatch (see `patchmatch.fill_by_patchmatch`).
    seed
        Seed of the patch search.

    Raises
    ------
    ValueError
        Unknown method, or `"patchmatch"` without its library.

    Notes
    -----
    Telea and Navier-Stokes are OpenCV's. They work in 8 bits if all known values have 8 bits, otherwise in 16. Known
    values that are not finite are returned unchanged and count as unknown. If nothing at all is known, every method
    returns mid-gray.
    """

    def __init__(self, method: ClassicalMethod, seed: int = 0) -> None:
        if method not in FILL_NAMES:
            raise ValueError(f"unknown classical fill {method!r}: choose one of {', '.join(FILL_NAMES)}")
        if method == "patchmatch":
            check_patchmatch()
        self.method = method
        self.seed = seed
        self.takes_check = method == "patches"
        self.takes_sources = method in COPYING
        self.min_window, self.min_context = (256, 1.0) if method in COPYING else (64, 0.0)

    def complete(
        self,
        image: Tensor,
        mask: Tensor,
        check: Check | None = None,
        allowed: Tensor | None = None,
        sources: Sequence[Tensor] = (),
    ) -> Tensor:
        """Fill the holes of `[B,3,H,W]` (0..1) where `[B,1,H,W]` is 1; known pixels are unchanged.

        `check` is called between the passes of slow methods; an exception that it raises aborts the fill. `allowed`
        restricts and `sources` extends what patches are copied from, as in `patches.fill_from_patches`.
        """
        if self.method in COPYING:
            unknown = ((mask > 0.5) | ~torch.isfinite(image).all(1, keepdim=True)).to(mask)
            image_known = image.nan_to_num(0.0, 0.0, 0.0)
            if self.method == "patchmatch":
                filled = fill_by_patchmatch(image_known, unknown, allowed=allowed, sources=sources, seed=self.seed)
            else:
                filled = fill_from_patches(
                    image_known, unknown, allowed=allowed, sources=sources, seed=self.seed, check=check
                )
            return torch.where(mask > 0.5, filled, image)
        return torch.stack([self._fill(picture, hole[0] > 0.5) for picture, hole in zip(image, mask, strict=True)])

    def _fill(self, picture: Tensor, asked: Tensor) -> Tensor:
        if not asked.any():
            return picture
        hole = asked | ~torch.isfinite(picture).all(0)
        filled = torch.full_like(picture, 0.5) if hole.all() else self._filled(picture, hole)
        return torch.where(asked, filled, picture)

    def _filled(self, picture: Tensor, hole: Tensor) -> Tensor:
        if self.method == "mean":
            mean = picture[:, ~hole].mean(1).view(3, 1, 1)
            return torch.where(hole, mean, picture)
        known = torch.where(hole, torch.zeros_like(picture), picture).float()
        if self.method == "smooth":
            return torch.where(hole, pull_push(known[None], hole[None, None].float())[0].to(picture), picture)
        known = known.cpu()
        values = np.ascontiguousarray(known.permute(1, 2, 0).numpy())
        method = _biharmonic if self.method == "biharmonic" else self._opencv
        filled = method(values, hole.cpu().numpy())
        result = torch.from_numpy(filled.astype(np.float32)).permute(2, 0, 1).clamp(0.0, 1.0)
        return torch.where(hole, result.to(picture), picture)

    def _opencv(self, values: np.ndarray, hole: np.ndarray) -> np.ndarray:
        import cv2

        flag = cv2.INPAINT_TELEA if self.method == "telea" else cv2.INPAINT_NS
        # OpenCV reads out of bounds if a picture is one or two pixels high or wide.
        rows, columns = (MIN_SIDE if side < MIN_SIDE else 0 for side in hole.shape)
        padding = ((rows, rows), (columns, columns))
        values = np.pad(values.clip(0.0, 1.0), (*padding, (0, 0)), "edge")
        flags = np.pad(hole.astype(np.uint8), padding, "edge")
        levels = values * 255.0
        if np.abs(levels - np.round(levels)).max() < 1e-3:
            filled = cv2.inpaint(np.round(levels).astype(np.uint8), flags, RADIUS, flag) / 255.0
        else:
            deep = np.round(values * 65535.0).astype(np.uint16)
            planes = [cv2.inpaint(np.ascontiguousarray(deep[..., n]), flags, RADIUS, flag) for n in range(3)]
            filled = np.stack(planes, 2) / 65535.0
        return filled[rows : filled.shape[0] - rows, columns : filled.shape[1] - columns]


def _biharmonic(values: np.ndarray, hole: np.ndarray) -> np.ndarray:
    from skimage.restoration import inpaint_biharmonic

    filled = inpaint_biharmonic(values.astype(np.float64), hole, channel_axis=-1, split_into_regions=True)
    known = values[~hole]
    return filled.clip(known.min(0), known.max(0))
