"""Fills without a network, as Completers: the baselines that a network has to beat."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from ..models.pull_push import pull_push
from .patches import Check, fill_from_patches

Method = Literal["mean", "smooth", "telea", "navier-stokes", "biharmonic", "patches"]
CLASSICAL_METHODS: tuple[Method, ...] = get_args(Method)
RADIUS = 5  # pixels around each hole pixel that Telea's and the Navier-Stokes fill look at


class ClassicalFill:
    """A Completer that needs no weights.

    Parameters
    ----------
    method
        `"mean"`: the mean colour of the known pixels; `"smooth"`: colours that run into each other, from coarse to fine
        (pull-push, Gortler et al. 1996), which is what the networks of the pack start from; `"telea"`: fast marching
        (Telea 2004); `"navier-stokes"`: isophotes continued by fluid dynamics (Bertalmio et al. 2001); `"biharmonic"`:
        the smoothest surface through the rim (Damelin & Hoang 2018), whose cost grows steeply with the hole, kept to
        the range of what is known; `"patches"`: patches copied from the surroundings, see `patches.fill_from_patches`.
    seed
        Of the search for patches.

    Raises
    ------
    ValueError
        Unknown method.

    Notes
    -----
    Telea and Navier-Stokes are OpenCV's and work in 8 bits. Where nothing at all is known, every method gives mid-gray.
    """

    def __init__(self, method: Method, seed: int = 0) -> None:
        if method not in CLASSICAL_METHODS:
            raise ValueError(f"unknown classical fill {method!r}: choose one of {', '.join(CLASSICAL_METHODS)}")
        self.method = method
        self.seed = seed
        self.takes_check = method == "patches"
        self.least_window, self.least_context = (256, 1.0) if method == "patches" else (64, 0.0)

    def complete(self, image: Tensor, mask: Tensor, check: Check | None = None) -> Tensor:
        """Fill the holes of `[B,3,H,W]` (0..1) where `[B,1,H,W]` is 1; known pixels come back as they are.

        `check` is called between the passes of slow methods; what it raises ends the work.
        """
        if self.method == "patches":
            return fill_from_patches(image, mask, seed=self.seed, check=check)
        return torch.stack([self._fill(picture, hole[0] > 0.5) for picture, hole in zip(image, mask, strict=True)])

    def _fill(self, picture: Tensor, hole: Tensor) -> Tensor:
        if not hole.any():
            return picture
        if hole.all():
            return torch.full_like(picture, 0.5)
        if self.method == "mean":
            mean = picture[:, ~hole].mean(1).view(3, 1, 1)
            return torch.where(hole, mean, picture)
        known = torch.where(hole, torch.zeros_like(picture), picture).float()
        if self.method == "smooth":
            return torch.where(hole, pull_push(known[None], hole[None, None].float())[0].to(picture), picture)
        known = known.cpu()
        values = np.ascontiguousarray(known.permute(1, 2, 0).numpy())
        filled = _biharmonic(values, hole.cpu().numpy()) if self.method == "biharmonic" else self._opencv(values, hole)
        result = torch.from_numpy(filled.astype(np.float32)).permute(2, 0, 1).clamp(0.0, 1.0)
        return torch.where(hole, result.to(picture), picture)

    def _opencv(self, values: np.ndarray, hole: Tensor) -> np.ndarray:
        import cv2

        flag = cv2.INPAINT_TELEA if self.method == "telea" else cv2.INPAINT_NS
        eight_bit = np.round(values.clip(0.0, 1.0) * 255.0).astype(np.uint8)
        return cv2.inpaint(eight_bit, hole.to(torch.uint8).cpu().numpy(), RADIUS, flag) / 255.0


def _biharmonic(values: np.ndarray, hole: np.ndarray) -> np.ndarray:
    from skimage.restoration import inpaint_biharmonic

    filled = inpaint_biharmonic(values.astype(np.float64), hole, channel_axis=-1, split_into_regions=True)
    known = values[~hole]
    return filled.clip(known.min(0), known.max(0))
