"""The nearest-neighbor field: for every patch that touches the hole, the most similar patch of the sources."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

CHUNK = 1 << 14  # patches compared at once, so that their vectors stay in the CPU's cache
STRIDES = (1, 2, 4)  # neighbors at these distances propose their matches
NARROWING = 3  # the random search shrinks its radius by this factor each time


def whole_patches(usable: Tensor, radius: int) -> Tensor:
    """Bool `[H,W]`: centers of the patches that lie inside the picture and contain only usable pixels."""
    blocked = F.pad((~usable)[None, None].float(), (radius,) * 4, value=1.0)
    side = 2 * radius + 1
    rows = F.max_pool2d(blocked, (side, 1), stride=1)
    return F.max_pool2d(rows, (1, side), stride=1)[0, 0] < 0.5


def depth(known: Tensor) -> Tensor:
    """`[H,W]`: distance in pixels of every unknown pixel to the nearest known one; large if nothing is known."""
    import cv2

    plane = np.ascontiguousarray((~known).to(torch.uint8).cpu().numpy())
    return torch.from_numpy(cv2.distanceTransform(plane, cv2.DIST_L2, cv2.DIST_MASK_5)).to(known.device)


def nearest(valid: Tensor) -> Tensor:
    """int64 `[H*W]`: row times width plus column of the valid pixel nearest to each; at least one must be valid."""
    import cv2

    plane = np.ascontiguousarray((~valid).to(torch.uint8).cpu().numpy())
    _, labels = cv2.distanceTransformWithLabels(plane, cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL)
    places = np.flatnonzero(plane == 0)
    by_label = np.zeros(int(labels.max()) + 1, dtype=np.int64)
    by_label[labels.ravel()[places]] = places
    return torch.from_numpy(by_label[labels.ravel()]).to(valid.device)


class Field:
    """Matches of the patches that touch a hole, improved step by step (PatchMatch, Barnes et al. 2009).

    Every step processes all patches at once, so it is fast on a GPU as well.

    Parameters
    ----------
    centers
        int64 `[M]`: centers of the target's patches, row times width plus column.
    size
        Height and width of the target.
    valid
        Bool `[Hs,Ws]`: centers of the patches that may be copied.
    sources
        `[Hs*Ws,D]`: their vectors; see `features`.
    start
        int64 `[M]`: initial match of every patch; a valid center.
    generator
        Source of randomness for the search; on the CPU.
    weights
        `[M,C]`: for every patch, factors of the last C components of its difference from a source.

    Attributes
    ----------
    match
        int64 `[M]`: centers in the source.
    distance
        `[M]`: squared distance to the match; infinite before `look_at`.
    place
        int64 `[H*W]`: the row of a center in `match`, -1 where there is no patch.
    """

    def __init__(
        self,
        centers: Tensor,
        size: tuple[int, int],
        valid: Tensor,
        sources: Tensor,
        start: Tensor,
        generator: torch.Generator,
        weights: Tensor | None = None,
    ) -> None:
        self.match = start
        self.distance = sources.new_full((len(centers),), float("inf"))
        self.place = placed(centers, size)
        self._valid = valid.flatten()
        self._width = valid.shape[1]
        self._reach = max(valid.shape) // 2
        self._sources = sources
        self._targets = sources.new_zeros(len(centers), sources.shape[1])
        self._generator = generator
        self._weights = weights
        self._neighbors = {
            (down, right): self._neighbor(centers, size, down, right)
            for stride in STRIDES
            for down, right in ((stride, 0), (0, stride), (-stride, 0), (0, -stride))
        }

    def look_at(self, targets: Tensor) -> None:
        """Recompute the distances for changed vectors `[M,D]` of the target's patches."""
        self._targets = targets
        self.distance = self._measure(torch.arange(len(targets), device=targets.device), self.match)

    def improve(self, reverse: bool) -> None:
        """Try the matches of every patch's neighbors above and left (below and right if reverse), then random ones."""
        sign = -1 if reverse else 1
        for stride in STRIDES:
            self._propagate(sign * stride, 0)
            self._propagate(0, sign * stride)
        reach = self._reach
        while reach >= 1:
            self._search(reach)
            reach //= NARROWING

    def _neighbor(self, centers: Tensor, size: tuple[int, int], down: int, right: int) -> tuple[Tensor, Tensor]:
        """Patches that have a neighbor at this distance, and those neighbors."""
        height, width = size
        rows, columns = centers // width - down, centers % width - right
        inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
        other = self.place[(rows * width + columns).clamp(0, len(self.place) - 1)]
        some = torch.nonzero(inside & (other >= 0)).flatten()
        return some, other[some]

    def _propagate(self, down: int, right: int) -> None:
        patches, others = self._neighbors[down, right]
        # A step past the end of a row lands on centers without a complete patch, which are not valid.
        self._offer(patches, self.match.index_select(0, others) + (down * self._width + right))

    def _search(self, reach: int) -> None:
        size = (2, len(self.match))
        down, right = torch.randint(-reach, reach + 1, size, generator=self._generator).to(self.match.device)
        self._offer(None, self.match + (down * self._width + right))

    def _offer(self, patches: Tensor | None, candidate: Tensor) -> None:
        match = self.match if patches is None else self.match.index_select(0, patches)
        candidate = candidate.clamp_(0, len(self._valid) - 1)
        worth = torch.nonzero((candidate != match) & self._valid.index_select(0, candidate)).flatten()
        candidate = candidate.index_select(0, worth)
        chosen = worth if patches is None else patches.index_select(0, worth)
        distance = self._measure(chosen, candidate)
        better = torch.nonzero(distance < self.distance.index_select(0, chosen)).flatten()
        chosen = chosen.index_select(0, better)
        self.match[chosen] = candidate.index_select(0, better)
        self.distance[chosen] = distance.index_select(0, better)

    def _measure(self, patches: Tensor, match: Tensor) -> Tensor:
        chunk = CHUNK if patches.device.type == "cpu" else max(1, len(patches))
        parts = [
            self._difference(own, other).square_().sum(1)
            for own, other in zip(patches.split(chunk), match.split(chunk), strict=True)
        ]
        return torch.cat(parts)

    def _difference(self, patches: Tensor, match: Tensor) -> Tensor:
        difference = self._targets.index_select(0, patches) - self._sources.index_select(0, match)
        if self._weights is not None:
            difference[:, -self._weights.shape[1] :] *= self._weights.index_select(0, patches)
        return difference


def placed(centers: Tensor, size: tuple[int, int]) -> Tensor:
    """int64 `[H*W]`: the position in `centers`, -1 elsewhere."""
    place = torch.full((size[0] * size[1],), -1, dtype=torch.int64, device=centers.device)
    place[centers] = torch.arange(len(centers), device=centers.device)
    return place
