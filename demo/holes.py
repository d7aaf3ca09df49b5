"""Where the hole is: drawn with the brush, or superpixels that were clicked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from inpaint_core.files.images import from_bytes, to_bytes
from inpaint_core.masks import slic_labels
from inpaint_core.masks.superpixels import boundary_overlay, select_segments

from .pictures import Pixels, Upload, VisitorError

OPAQUE = 128  # the brush's edge is soft: at least half of a pixel must be covered
CLUSTERED_SIDE = 768  # working resolution of the superpixels, so that a changed number shows at once


def drawn_hole(drawing: Mapping[str, Any] | None, size: tuple[int, int]) -> Tensor:
    """The hole drawn in the editor.

    Parameters
    ----------
    drawing
        The editor's value: `layers`, each uint8 `[h,w,4]`, whose alpha is what was drawn. A browser may send no layers,
        or layers of another size than the picture.
    size
        Height and width of the reduced picture.

    Returns
    -------
    Tensor
        float32 `[h,w]`, exactly 0 or 1, 1 = hole.
    """
    hole = torch.zeros(size)
    layers: Sequence[NDArray[np.uint8]] = (drawing or {}).get("layers") or []
    for layer in layers:
        alpha = torch.from_numpy(np.ascontiguousarray(layer[..., 3])).float()
        if alpha.shape != hole.shape:
            alpha = F.interpolate(alpha[None, None], size, mode="bilinear", align_corners=False)[0, 0]
        hole = torch.maximum(hole, (alpha >= OPAQUE).float())
    return hole


@dataclass(frozen=True, eq=False)
class Superpixels:
    """The superpixels of a reduced picture and those that were clicked.

    Attributes
    ----------
    labels
        int64 `[h,w]`.
    chosen
        Numbers of the clicked ones.
    """

    labels: Tensor
    chosen: frozenset[int] = frozenset()

    @classmethod
    def of(cls, upload: Upload, count: int) -> Superpixels:
        """Divide an upload's reduced picture into about `count` superpixels."""
        return cls(slic_labels(from_bytes(upload.shown), int(count), max_side=CLUSTERED_SIDE))

    def toggle(self, x: float, y: float) -> Superpixels:
        """Select or deselect the superpixel at a point, given in pixels of the reduced picture."""
        height, width = self.labels.shape
        row, column = min(max(int(y), 0), height - 1), min(max(int(x), 0), width - 1)
        return replace(self, chosen=self.chosen ^ {int(self.labels[row, column])})

    def hole(self) -> Tensor:
        """float32 `[h,w]`, exactly 0 or 1: 1 in the chosen ones."""
        if not self.chosen:
            return torch.zeros(self.labels.shape)
        return select_segments(self.labels, indices=sorted(self.chosen))[0, 0]

    def drawn_over(self, upload: Upload) -> Pixels:
        """The reduced picture with the borders of all superpixels, and the chosen ones in red: uint8 `[h,w,3]`."""
        return to_bytes(boundary_overlay(from_bytes(upload.shown), self.labels, self.hole()[None, None])[0])

    def summary(self) -> str:
        """How many there are and how many were chosen."""
        return f"{len(self.chosen)} of {int(self.labels.max()) + 1} superpixels chosen; click one to add or remove it."


def check_hole(hole: Tensor, unknown: Tensor | None, how: str) -> None:
    """Reject a hole from which nothing sensible can be filled.

    Parameters
    ----------
    hole
        `[1,1,H,W]`, 1 = hole.
    unknown
        Bool `[1,H,W]`: pixels that are transparent, or None.
    how
        How to mark a hole, for the message.

    Raises
    ------
    VisitorError
        It is empty, or leaves no known pixel.
    """
    if not bool(hole.any()):
        raise VisitorError(f"There is no hole yet: {how} what should be replaced.")
    covered = hole[0] > 0.5
    if unknown is not None:
        covered = covered | unknown
    if bool(covered.all()):
        raise VisitorError(
            "The hole covers the whole picture, so nothing is left to fill it from: leave a part unmarked."
        )


def marked_hole(
    size: tuple[int, int], by_clicks: bool, drawing: Mapping[str, Any] | None, superpixels: Superpixels | None
) -> Tensor:
    """The hole as drawn or as clicked on a reduced picture of this height and width: float32 `[h,w]`."""
    if not by_clicks:
        return drawn_hole(drawing, size)
    if superpixels is None or superpixels.labels.shape != size:
        return torch.zeros(size)
    return superpixels.hole()
