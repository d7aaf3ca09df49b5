"""Patch completion: holes filled with patches copied from the rest of the picture, or from other pictures.

Coarse to fine, the patches that touch the hole are matched to whole known ones, and the pixels of the hole become the
mean of what the matches propose, until both agree (Wexler, Shechtman & Irani 2007; Newson et al. 2017). A finer level
is initialized with its own patches at the upscaled correspondences: pixels are never upscaled.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import EllipsisType

import torch
from torch import Tensor
from torch.nn import functional as F

from ...models.pull_push import pull_push
from .features import principal_kernel, project, project_patches
from .field import Field, nearest, placed, whole_patches
from .guide import COARSEST, guide_features, guide_levels, guide_weights
from .pyramid import Picture, doubled
from .votes import vote

RADIUS = 2  # pixels: patches are squares of 5 x 5
MIN_LEVEL_SIDE = 16  # pixels: shortest side of the coarsest level
DIMENSIONS = 32  # dimensions of the vectors used to compare patches
# rounds of matching and voting per level, from the finest; the coarse levels matter most
ROUNDS = (3, 5, 8, 12, 16, 20)
CHEAP = 1 << 16  # patches over all rounds of a level: small holes get more rounds, up to the largest number above
AGREEMENT = 2  # for the last votes; see `vote`
MAX_SOURCE_PIXELS = 1 << 21  # larger levels reuse the correspondences of the previous level, to limit memory
SURROUNDINGS = 1.0  # sources are taken from this fraction of the hole's longer side on every side of it,
MIN_SURROUNDINGS = 96  # and from at least this many pixels
STILL = 0.05  # largest mean squared difference of frames without motion, as a fraction of the variance

log = logging.getLogger("liminal")
Check = Callable[[], None]


@torch.no_grad()
def fill_from_patches(
    image: Tensor,
    mask: Tensor,
    *,
    allowed: Tensor | None = None,
    sources: Sequence[Tensor] = (),
    guide: Tensor | None = None,
    follow: bool = True,
    seed: int = 0,
    check: Check | None = None,
) -> Tensor:
    """Fill holes with patches of known surroundings.

    Parameters
    ----------
    image
        `[B,C,H,W]`, any size and number of channels; the contents of the hole are ignored.
    mask
        `[B,1,H,W]`, 1 = hole.
    allowed
        `[B,1,H,W]`, 1 = may be copied, at any distance from the hole; None: everything known near it.
    sources
        Other pictures `[C,h,w]` of any size to copy from, except for pixels that are not finite. What one of the same
        size shows in place of the hole is tried first if both agree elsewhere, as frames of a still camera do.
    guide
        `[B,C,H,W]`: another fill, used as a guide for the coarse structure.
    follow
        False: the guide is only used if there is no patch to copy.
    seed
        Seed of the random search, the same for every picture of a batch.
    check
        Called between passes; an exception that it raises aborts the fill.

    Returns
    -------
    Tensor
        `[B,C,H,W]`: equal to `image` bit for bit outside the hole. If there is no patch to copy, which is logged, the
        hole contains the guide or, without one, a smooth fill (pull-push).

    Notes
    -----
    Time and memory depend on the surroundings of the hole, not on the picture's size.
    """
    parts = []
    for index in range(len(image)):
        hole = mask[index, 0] > 0.5
        may = ~hole if allowed is None else (allowed[index, 0] > 0.5) & ~hole
        others = sources if allowed is None else [*sources, *_far(image[index], hole, may)]
        parts.append(
            _fill(image[index], hole, may, others, None if guide is None else guide[index], follow, seed, check)
        )
    return torch.stack(parts)


def _fill(
    image: Tensor,
    hole: Tensor,
    usable: Tensor,
    sources: Sequence[Tensor],
    guide: Tensor | None,
    follow: bool,
    seed: int,
    check: Check | None,
) -> Tensor:
    if not bool(hole.any()):
        return image
    inside = _surroundings(hole)
    part, part_hole = image[inside], hole[inside]
    values = torch.where(part_hole, 0.0, part.float())
    own = Picture(values, ~part_hole, usable[inside])
    frames, others = [], []
    for source in sources:
        other = _known_picture(source.to(values))
        frame = other.cropped(inside) if source.shape == image.shape else None
        if frame is not None and _is_still(frame, own):
            frames.append(_padded(frame)[0])
        else:
            others.append(other)
    own, margin = _padded(own)
    around = None if guide is None else F.pad(guide[inside].float(), margin)
    filled = _Completion(own, frames, others, around if follow else None, seed, check).run()
    if filled is None:
        log.info(
            "There is no complete patch to copy, so the hole is filled %s", "smoothly" if guide is None else "as before"
        )
        filled = _smooth(own) if around is None else around
    filled = filled[:, : part_hole.shape[0], : part_hole.shape[1]]
    result = image.clone()
    result[inside] = torch.where(part_hole, filled.to(image.dtype), part)
    return result


def _smooth(picture: Picture) -> Tensor:
    if not bool(picture.known.any()):
        return torch.full_like(picture.values, 0.5)
    return pull_push(picture.values[None], (~picture.known)[None, None].float())[0]


def _surroundings(hole: Tensor) -> tuple[EllipsisType, slice, slice]:
    rows, columns = torch.nonzero(hole.any(1)).flatten(), torch.nonzero(hole.any(0)).flatten()
    top, bottom, left, right = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
    margin = max(int(SURROUNDINGS * max(bottom - top, right - left)), MIN_SURROUNDINGS)
    return ..., slice(max(0, top - margin), bottom + margin), slice(max(0, left - margin), right + margin)


def _far(image: Tensor, hole: Tensor, usable: Tensor) -> list[Tensor]:
    """Allowed material outside the surroundings of the hole, as another picture."""
    if not bool(hole.any()):
        return []
    far = usable.clone()
    far[_surroundings(hole)] = False
    if not bool(far.any()):
        return []
    rows, columns = torch.nonzero(far.any(1)).flatten(), torch.nonzero(far.any(0)).flatten()
    inside = ..., slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
    return [torch.where(usable[inside], image[inside].float(), float("nan"))]


def _known_picture(values: Tensor) -> Picture:
    known = torch.isfinite(values).all(0)
    return Picture(torch.where(known, values, 0.0), known, known)


def _is_still(frame: Picture, own: Picture) -> bool:
    """Whether two pictures agree where both are known, as if a still camera had taken them."""
    both = own.known & frame.known
    if not bool(both.any()):
        return False
    values = own.values[:, both]
    return bool((values - frame.values[:, both]).square().mean() <= STILL * values.var(1, correction=0).mean())


def _padded(picture: Picture) -> tuple[Picture, tuple[int, int, int, int]]:
    """Padded with hole pixels to at least the size of a patch."""
    height, width = picture.known.shape
    side = 2 * RADIUS + 1
    margin = (0, max(0, side - width), 0, max(0, side - height))
    values, known, usable = (F.pad(part, margin) for part in (picture.values, picture.known, picture.usable))
    return Picture(values, known, usable), margin


@dataclass(frozen=True)
class _Canvas:
    """What may be copied at one level: the picture itself and others, stacked vertically."""

    values: Tensor
    valid: Tensor
    tops: Tensor
    sizes: Tensor
    near: Tensor | None

    @classmethod
    def of(cls, pictures: Sequence[Picture]) -> _Canvas:
        width = max(picture.known.shape[1] for picture in pictures)

        def stacked(parts: Sequence[Tensor]) -> Tensor:
            return torch.cat([F.pad(part, (0, width - part.shape[-1])) for part in parts], dim=-2)

        valid = stacked([whole_patches(picture.usable, RADIUS) for picture in pictures])
        sizes = torch.tensor([picture.known.shape for picture in pictures], device=valid.device)
        tops = sizes[:, 0].cumsum(0) - sizes[:, 0]
        near = nearest(valid) if bool(valid.any()) else None
        return cls(stacked([picture.values for picture in pictures]), valid, tops, sizes, near)

    def locate(self, match: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Index of the picture, and row and column in it."""
        rows, columns = match // self.valid.shape[1], match % self.valid.shape[1]
        which = torch.bucketize(rows, self.tops, right=True) - 1
        return which, rows - self.tops[which], columns

    def same_place(self, rows: Tensor, columns: Tensor, frames: int) -> Tensor:
        """int64 `[K,M]`: the patches that may be copied nearest to these `[M]` places in the first K other pictures."""
        others = torch.arange(1, frames + 1, device=rows.device)[:, None].expand(-1, len(rows))
        return self.snap(others, rows.expand_as(others), columns.expand_as(others))

    def snap(self, which: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """The nearest patch that may be copied."""
        assert self.near is not None
        rows = torch.minimum(rows.clamp(min=0), self.sizes[which, 0] - 1) + self.tops[which]
        columns = torch.minimum(columns.clamp(min=0), self.sizes[which, 1] - 1)
        return self.near[rows * self.valid.shape[1] + columns]


@dataclass(frozen=True)
class _Matches:
    """The nearest-neighbor field of one level, kept for the next."""

    size: tuple[int, int]
    place: Tensor
    match: Tensor
    canvas: _Canvas

    def doubled(self, rows: Tensor, columns: Tensor, canvas: _Canvas) -> Tensor:
        """Initial matches of the patches with these centers at the next larger size."""
        height, width = self.size
        small_rows, small_columns = (
            (rows // 2).clamp(RADIUS, height - 1 - RADIUS),
            (columns // 2).clamp(RADIUS, width - 1 - RADIUS),
        )
        patch = self.place[small_rows * width + small_columns]
        which, match_rows, match_columns = self.canvas.locate(self.match[patch.clamp(min=0)])
        here = patch < 0  # the patch was known at that level: it matches itself
        which = torch.where(here, 0, which)
        match_rows = torch.where(here, small_rows, match_rows)
        match_columns = torch.where(here, small_columns, match_columns)
        down, right = rows - 2 * small_rows, columns - 2 * small_columns
        return canvas.snap(which, 2 * match_rows + down, 2 * match_columns + right)


class _Completion:
    """One picture, from the coarsest level to the finest; `frames` show the same place, without motion."""

    def __init__(
        self,
        own: Picture,
        frames: list[Picture],
        others: list[Picture],
        guide: Tensor | None,
        seed: int,
        check: Check | None,
    ) -> None:
        self.frames = len(frames)
        self.levels = [own]
        self.others = [[*frames, *others]]
        while self._goes_on(guide is not None):
            self.levels.append(self.levels[-1].halved())
            self.others.append([other.halved() for other in self.others[-1]])
        self.guides = None if guide is None else guide_levels(guide, self.levels)
        self.generator = torch.Generator().manual_seed(seed)
        self.check = check

    def _goes_on(self, guided: bool) -> bool:
        last = self.levels[-1].known
        if bool(last.all()) or min(last.shape) < 2 * MIN_LEVEL_SIDE:
            return False
        return not guided or max(last.shape) > COARSEST

    def run(self) -> Tensor | None:
        coarsest = self.levels[-1]
        target = _smooth(coarsest) if self.guides is None else self.guides[-1]
        before: _Matches | None = None
        for index in reversed(range(len(self.levels))):
            level = self.levels[index]
            if index < len(self.levels) - 1:
                target = doubled(target, level)
            if bool(level.known.all()):
                continue
            canvas = _Canvas.of([level, *self.others[index]])
            if canvas.near is None:
                before = None
                continue
            target, before = self._level(index, target, canvas, before)
        return None if before is None else target

    def _level(self, index: int, target: Tensor, canvas: _Canvas, before: _Matches | None) -> tuple[Tensor, _Matches]:
        level = self.levels[index]
        size = (level.known.shape[0], level.known.shape[1])
        width = size[1]
        everywhere = whole_patches(torch.ones_like(level.known), RADIUS)
        centers = torch.nonzero((everywhere & ~whole_patches(level.known, RADIUS)).flatten()).flatten()
        pixels = torch.nonzero(~level.known.flatten()).flatten()
        rows, columns = centers // width, centers % width
        if before is None:
            start = canvas.snap(torch.zeros_like(rows), rows, columns)
        else:
            start = before.doubled(rows, columns, canvas)
        place = placed(centers, size)
        colors = canvas.values.permute(1, 2, 0).contiguous()

        def voted(match: Tensor, last: bool = False) -> Tensor:
            filled = level.values.clone()
            agreement = AGREEMENT if last and index == 0 else 1
            filled.flatten(1)[:, pixels] = vote(pixels, size, place, match, colors, RADIUS, agreement)
            return filled

        if canvas.valid.numel() > MAX_SOURCE_PIXELS:
            return voted(start, last=True), _Matches(size, place, start, canvas)
        if before is not None:
            target = voted(start)
        for frame in self.others[index][: self.frames]:
            target = torch.where(~level.known & frame.known, frame.values, target)
        usable = torch.nonzero(canvas.valid.flatten()).flatten()
        kernel = principal_kernel(canvas.values, usable, RADIUS, DIMENSIONS, self.generator)
        vectors = project(canvas.values, kernel)
        extra = weights = None
        if self.guides is not None:
            vectors, extra = self._guided(index, vectors, canvas, centers)
            weights = guide_weights(level.known, 2**index).flatten()[centers, None].expand_as(extra)
        field = Field(centers, size, canvas.valid, vectors, start, self.generator, weights)
        rounds = max(ROUNDS[min(index, len(ROUNDS) - 1)], min(ROUNDS[-1], CHEAP // len(centers)))
        for number in range(1, rounds + 1):
            looks = project_patches(target, kernel, centers)
            field.look_at(looks if extra is None else torch.cat([looks, extra], dim=1))
            if number == 1 and self.frames > 0:
                field.offer(canvas.same_place(rows, columns, self.frames))
            for reverse in (False, True):
                if self.check is not None:
                    self.check()
                field.improve(reverse)
            target = voted(field.match, last=number == rounds)
        return target, _Matches(size, place, field.match, canvas)

    def _guided(self, index: int, vectors: Tensor, canvas: _Canvas, centers: Tensor) -> tuple[Tensor, Tensor]:
        """Vectors of the sources `[N,D+C]`, and the part `[M,C]` to append to those of the target's patches."""
        assert self.guides is not None
        own = guide_features(self.guides[index], RADIUS)
        width = canvas.valid.shape[1]
        parts = [own.view(*self.levels[index].known.shape, -1)]
        for other in self.others[index]:
            parts.append(guide_features(other.values, RADIUS).view(*other.known.shape, -1))
        stacked = torch.cat([F.pad(part, (0, 0, 0, width - part.shape[1])) for part in parts])
        return torch.cat([vectors, stacked.flatten(0, 1)], dim=1), own[centers]
