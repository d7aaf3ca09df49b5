"""The nearest-neighbor field: for every patch that touches the hole, the most similar patch of the sources."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

CHUNK = 1 << 14  # vectors compared at once, so that they stay in the CPU's cache
CHUNK_ON_GPU = 1 << 21  # limits memory
STRIDES = (1, 2, 4)  # neighbors at these distances propose their matches
NARROWING = 3  # the random search shrinks its radius by this factor each time
TABLE = 1 << 16  # random steps that the patches of a field share


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

    All patches are processed at once, first all matches that neighbors propose, then all random ones: few operations,
    as a GPU needs.

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
        self._radii = _radii(max(valid.shape) // 2).to(valid.device)
        self._sources = sources
        self._targets = sources.new_zeros(len(centers), sources.shape[1])
        self._generator = generator
        self._weights = weights
        self._neighbors = {sign: self._neighborhood(centers, size, sign) for sign in (1, -1)}
        self._table = torch.rand((2, TABLE), generator=generator).to(start.device)

    def look_at(self, targets: Tensor) -> None:
        """Recompute the distances for changed vectors `[M,D]` of the target's patches."""
        self._targets = targets
        self.distance = self._measure(self.match[None])[0]

    def improve(self, reverse: bool) -> None:
        """Try the matches of every patch's neighbors above and left (below and right if reverse), then random ones."""
        others, steps = self._neighbors[-1 if reverse else 1]
        self.offer(self.match.index_select(0, others.flatten()).view_as(others).add_(steps))
        self.offer(self.match + self._random_steps())

    def _neighborhood(self, centers: Tensor, size: tuple[int, int], sign: int) -> tuple[Tensor, Tensor]:
        """Neighbors of every patch in K directions, and the steps from them to it in the source, int64 `[K,M]` each;
        the patch itself and 0 where there is no neighbor."""
        height, width = size
        own = torch.arange(len(centers), device=centers.device)
        others, steps = [], []
        for stride in STRIDES:
            for down, right in ((sign * stride, 0), (0, sign * stride)):
                rows, columns = centers // width - down, centers % width - right
                inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
                other = self.place[(rows * width + columns).clamp(0, len(self.place) - 1)]
                there = inside & (other >= 0)
                others.append(torch.where(there, other, own))
                # A step past the end of a row lands on centers without a complete patch, which are not valid.
                steps.append(there * (down * self._width + right))
        return torch.stack(others), torch.stack(steps)

    def _random_steps(self) -> Tensor:
        """int64 `[K,M]`: a random step of every patch for each radius of the search."""
        device = self.match.device
        shifts = torch.randint(TABLE, (len(self._radii), 1), generator=self._generator).to(device)
        rows = (torch.arange(len(self.match), device=device) + shifts) % TABLE
        chances = self._table.index_select(1, rows.flatten()).view(2, *rows.shape)
        down, right = ((chances * (2 * self._radii + 1)).long() - self._radii).unbind(0)
        return down * self._width + right

    def offer(self, candidates: Tensor) -> None:
        """Replace each match by the best of its candidates `[K,M]`, if that is valid and better."""
        candidates = candidates.clamp_(0, len(self._valid) - 1)
        valid = self._valid.index_select(0, candidates.flatten()).view_as(candidates)
        distances = torch.where(valid, self._measure(candidates), float("inf"))
        distance, which = distances.min(0)
        better = distance < self.distance
        self.match = torch.where(better, candidates.gather(0, which[None])[0], self.match)
        self.distance = torch.where(better, distance, self.distance)

    def _measure(self, candidates: Tensor) -> Tensor:
        """Squared distances `[K,M]` of every patch to its candidates."""
        count = CHUNK if candidates.device.type == "cpu" else CHUNK_ON_GPU
        count = max(1, count // len(candidates))
        parts = []
        for first in range(0, candidates.shape[1], count):
            part = candidates[:, first : first + count]
            found = self._sources.index_select(0, part.flatten()).view(*part.shape, self._sources.shape[1])
            difference = found.sub_(self._targets[first : first + count])
            if self._weights is not None:
                difference[..., -self._weights.shape[1] :] *= self._weights[first : first + count]
            parts.append(difference.square_().sum(-1))
        return torch.cat(parts, dim=1)


def _radii(largest: int) -> Tensor:
    """int64 `[K,1]`: the radii of the random search in pixels, down to 1."""
    radii = []
    while largest >= 1:
        radii.append(largest)
        largest //= NARROWING
    return torch.tensor(radii)[:, None]


def placed(centers: Tensor, size: tuple[int, int]) -> Tensor:
    """int64 `[H*W]`: the position in `centers`, -1 elsewhere."""
    place = torch.full((size[0] * size[1],), -1, dtype=torch.int64, device=centers.device)
    place[centers] = torch.arange(len(centers), device=centers.device)
    return place
