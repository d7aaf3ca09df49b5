"""inpaint(): any Completer, any size, any batch, with known pixels unchanged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple, Protocol, get_args

import torch
from torch import Tensor

from ..batches import common_count
from ..masks.morphology import feather as feather_mask
from ..masks.morphology import grow_or_shrink
from ..masks.normalise import normalize_mask
from . import multiscale
from .blending import join, match_colors
from .copying import Material, Sources, copy_detail
from .grain import match_grain
from .memory import Allowance, is_out_of_memory
from .surroundings import limit_to_surroundings
from .windows import Region, Window, hole_regions, whole_frame

Strategy = Literal["auto", "whole", "crop", "resize", "tile"]
Blend = Literal["alpha", "poisson"]
Detail = Literal["network", "patches", "auto"]
STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)
BLENDS: tuple[Blend, ...] = get_args(Blend)
DETAILS: tuple[Detail, ...] = get_args(Detail)

SLIGHT = 1.25  # up to this reduction, a fill is as good as one at full size
MAX_REDUCTION = 2.0  # at less than 1 / MAX_REDUCTION of the full size, a fill looks too soft and is refined
SHALLOW = 8  # if every hole pixel is within trained size / SHALLOW of a known one, tiles include enough surroundings
SURROUNDINGS = 32  # blending uses the hole and this many pixels around it
MIN_WINDOW = 64  # for models without a trained size, such as classical fills

Progress = Callable[[int, int, Tensor], None]
"""Called after every pass with steps done, total steps (windows, then pictures whose detail is copied), and the current
state of the picture `[C,H,W]` last worked on. An exception raised here aborts the call: this is how a host cancels."""


class Completer(Protocol):
    """Anything that can fill holes: a loaded network, a classical fill, a third-party model.

    If it has a `trained_size`, as an attribute or on its `card`, it gets windows of about that size (see `inpaint`); if
    it has a `device` and a `to`, it can be moved to the CPU when memory runs out. Fills that are not networks may have
    `min_window` (pixels) and `min_context` (fraction of the hole's side), the minimum surroundings that they use, and
    `takes_check`: their `complete` accepts a `check` that is called between passes. With `takes_sources`, it also
    accepts `allowed` and `sources` (see `patches.fill_from_patches`), and gets windows at full size regardless of
    `size`. A model whose `detail` is `"patches"` gives better fills with patches (see `inpaint`); with an `as_guide`,
    it returns another model, whose fills are better for that.
    """

    def complete(self, image: Tensor, mask: Tensor) -> Tensor:
        """`[B,3,H,W]` in 0..1 and `[B,1,H,W]` (exactly 0 or 1, 1 = hole) give `[B,3,H,W]` in 0..1."""
        ...


@torch.no_grad()
def inpaint(
    model: Completer,
    image: Tensor,
    mask: Tensor,
    strategy: Strategy = "auto",
    grow: int = 0,
    feather: int = 8,
    blend: Blend = "alpha",
    color_match: bool = False,
    detail: Detail = "auto",
    *,
    allowed: Tensor | None = None,
    sources: Sources = (),
    size: int | None = None,
    context: float = 0.5,
    grain: float = 0.0,
    seed: int = 0,
    frames_per_batch: int | None = None,
    progress: Progress | None = None,
) -> Tensor:
    """Fill the holes of pictures.

    Parameters
    ----------
    model
        Fills holes: what `load_model` returns, a classical fill, anything with `complete(image, mask)`.
    image
        `[B,C,H,W]`, 0..1, C = 1 (gray), 3 (RGB) or 4 (RGBA); any height and width from 1, any floating-point type.
        Pixels that are fully transparent or not finite are unknown: outside the hole they are unchanged, and nothing is
        filled from them.
    mask
        1 = hole. `[H,W]`, `[B,H,W]` or `[B,1,H,W]`, of any size: it is resized to the picture (nearest-exact) and
        thresholded at 0.5. A single mask is used for all pictures, and a single picture for all masks.
    strategy
        `"whole"`: the model sees the whole frame at once. `"resize"`: the whole frame, reduced to `size` if it is
        larger. `"crop"`: each hole (nearby holes together) in a window around it, reduced to `size` if it is larger.
        `"tile"`: the same windows, large ones in overlapping tiles; if a hole is too deep for that, coarse to fine in
        tiles. `"auto"`: for each hole, the cheapest of these without visible loss: directly if its window is small
        enough, in tiles if the hole is thin, reduced to half at most, otherwise coarse to fine.
    grow
        Pixels by which the hole is first grown (shrunk if negative), to cover the fringe of a removed object.
    feather
        Width in pixels of the band inside the boundary of the hole where the fill is blended into the surrounding
        colors.
    blend
        `"alpha"`: the correction of `feather`; `"poisson"`: the fill's gradients are joined seamlessly to the boundary
        (Perez et al. 2003), over the whole hole; `feather` is unused.
    color_match
        Shift the fill's mean color to that of a ring around the hole.
    detail
        `"network"`: the model's own fill. `"patches"`: the model's fill guides patches copied from the surroundings
        (see `patches.fill_from_patches`) and is mixed with them (see `mixing.mix_fills`); if `allowed` or `sources` are
        given, only the patches are used. `"auto"`: patches for Liminal's networks, whose fills they improve, and the
        model's own fill for all others.
    allowed
        1 = patches may be copied from here, in any form accepted for `mask`; None: from all known pixels. Only allowed
        if patches are copied, as the detail or by the classical fill `"patches"`.
    sources
        Other pictures `[C,h,w]` of any size to copy patches from, except for pixels that are transparent or not finite.
        `"frames"`: the known parts of the other pictures of the batch, as the frames of a clip; the model's fill then
        guides nothing, because other frames show what it can only guess.
    size
        Longer side in pixels of what the model sees at once (ignored by `"whole"`). None: derived from its training
        size and the available memory. An explicit size is never changed.
    context
        Windows extend beyond the hole by this fraction of its longer side on every side.
    grain
        0..1: fraction of the noise missing from the model's fill that is added. Patches have their own noise.
    seed
        Seed for the grain and the patch search.
    frames_per_batch
        Windows per batch. None: one on a CPU, elsewhere as many as memory allows. An explicit number is never changed.
    progress
        See `Progress`.

    Returns
    -------
    Tensor
        `[B,C,H,W]`, type and device of `image`. Outside the (grown) hole it equals `image` bit for bit; alpha is
        unchanged; with an empty mask, everything is. Inside, values stay near the range of the surroundings, and where
        all surrounding channels are equal, so are those of the fill: flat stays flat, gray stays gray.

    Raises
    ------
    TypeError
        `model` is not a Completer.
    ValueError
        Invalid shapes or options, or batch sizes that do not match; `allowed` or `sources` without patches to copy; a
        fill that is not finite.
    MemoryError
        Memory ran out. Smaller batches, smaller windows and the CPU did not help, or were not tried because `size` or
        `frames_per_batch` was given. The message lists what was tried.
    """
    _check_completer(model)
    _check(image, strategy, feather, blend, detail, size, context, grain, frames_per_batch)
    if detail == "auto":
        detail = getattr(model, "detail", "network")
    if (allowed is not None or len(sources)) and detail != "patches" and not getattr(model, "takes_sources", False):
        raise ValueError('allowed and sources only apply to patches: use detail="patches", or the fill "patches"')
    if detail == "patches" and hasattr(model, "as_guide"):
        model = model.as_guide()
    hole = normalize_mask(mask, (image.shape[-2], image.shape[-1])).to(image.device)
    count = common_count(len(image), len(hole), ("images", "masks"))
    if grow:
        hole = grow_or_shrink(hole, grow)
    output = image.expand(count, -1, -1, -1).clone(memory_format=torch.contiguous_format)
    settings = _Settings(strategy, feather, blend, color_match, context, grain, seed)
    allowance = Allowance(_device_of(model, image), _trained_side(model), size, frames_per_batch)
    unknown = _unknown(output, hole)
    material = Material(output, unknown, allowed, sources)
    work = _Work(model, output, hole, unknown, settings, allowance, material, progress)
    work.run(more=len(output) if detail == "patches" else 0)
    if detail == "patches":
        for index, picture in enumerate(output):
            plane, show = hole[index % len(hole), 0], partial(work.show, index)
            copy_detail(picture, plane, unknown[index, 0], index, material, seed, show)
            work.done += 1
            show()
    return output


@dataclass(frozen=True)
class _Settings:
    strategy: Strategy
    feather: int
    blend: Blend
    color_match: bool
    context: float
    grain: float
    seed: int


class _Job(NamedTuple):
    picture: int
    region: Region
    depth: float


class _Work:
    """State of one call of `inpaint`: windows of all pictures, filled in place pass by pass."""

    def __init__(
        self,
        model: Completer,
        output: Tensor,
        hole: Tensor,
        unknown: Tensor,
        settings: _Settings,
        allowance: Allowance,
        material: Material,
        progress: Progress | None,
    ) -> None:
        self.model = model
        self.output = output
        self.hole = hole
        self.unknown = unknown
        self.settings = settings
        self.allowance = allowance
        self.material = material
        self.copies: bool = getattr(model, "takes_sources", False)
        self.progress = progress
        self.done, self.total = 0, 0

    def run(self, more: int = 0) -> None:
        """Fill all windows; `more` further steps follow."""
        jobs = self._plan()
        self.total = len(jobs) + more
        home: torch.device | None = None
        try:
            while self.done < len(jobs):
                batch = self._next_batch(jobs[self.done :])
                try:
                    self._fill(batch)
                except (RuntimeError, MemoryError) as error:
                    if not is_out_of_memory(error):
                        raise
                    home = self._take_less(batch, error) or home
                    continue
                self.done += len(batch)
                self.show(batch[-1].picture)
        finally:
            if home is not None:
                self.model.to(home)  # type: ignore[attr-defined]

    def show(self, picture: int) -> None:
        """Report progress with this picture."""
        if self.progress is not None:
            self.progress(self.done, self.total, self.output[picture])

    def _plan(self) -> list[_Job]:
        framewise = self.settings.strategy in ("whole", "resize") or (self.copies and self.material.restricted)
        min_window: int = getattr(self.model, "min_window", MIN_WINDOW)
        trained = _trained_side(self.model) or min_window
        min_side = min(trained, self.allowance.side or trained)
        jobs: list[_Job] = []
        for index in range(len(self.hole)):
            plane = self.hole[index, 0]
            if not bool(plane.any()):
                continue
            context = max(self.settings.context, getattr(self.model, "min_context", 0.0))
            regions = [whole_frame(plane)] if framewise else hole_regions(plane, min_side, context)
            pictures = range(len(self.output)) if len(self.hole) == 1 else [index]
            for picture in pictures:
                unknown = self.unknown[picture, 0]
                shown = [region if framewise else _with_known(region, unknown) for region in regions]
                depths = [multiscale.hole_depth(unknown[region.window.inside]) for region in shown]
                jobs += [_Job(picture, *item) for item in zip(shown, depths, strict=True)]
        # Sorted by size, so that windows of equal size can be batched.
        return sorted(jobs, key=lambda job: (job.region.window.height, job.region.window.width))

    def _scheme(self, job: _Job) -> multiscale.Scheme:
        window = job.region.window
        longest = max(window.height, window.width)
        side = self.allowance.side
        if self.settings.strategy == "whole" or self.copies or side is None or longest <= self.allowance.limit(longest):
            return "direct"
        if self.settings.strategy in ("crop", "resize"):
            return "reduced"
        thin = job.depth <= side / SHALLOW
        if self.settings.strategy == "auto" and longest <= (SLIGHT if thin else MAX_REDUCTION) * side:
            return "reduced"
        if thin:
            return "tiles"
        return "coarse-to-fine"

    def _next_batch(self, jobs: Sequence[_Job]) -> list[_Job]:
        first = jobs[0]
        scheme = self._scheme(first)
        window = first.region.window
        # Tiles are batched within their window.
        alone = self.copies or scheme not in ("direct", "reduced")
        most = 1 if alone else self.allowance.batch(self._pixels(window.height, window.width))
        batch = [first]
        for job in jobs[1:most]:
            other = job.region.window
            if (other.height, other.width) != (window.height, window.width) or self._scheme(job) != scheme:
                break
            batch.append(job)
        return batch

    def _pixels(self, height: int, width: int) -> int:
        limit = self.allowance.limit(max(height, width)) if self.settings.strategy != "whole" else max(height, width)
        return min(height, limit) * min(width, limit)

    def _fill(self, jobs: list[_Job]) -> None:
        holes = torch.stack([self.unknown[job.picture][job.region.window.inside] for job in jobs])
        pictures = torch.stack([self.output[job.picture][job.region.window.inside] for job in jobs])
        colors = pictures[:, :3].float().expand(-1, 3, -1, -1)
        # Hidden values can be anything (such as NaN under full transparency) and must not enter any computation.
        colors = torch.where(holes > 0.5, torch.zeros_like(colors), colors)
        window = jobs[0].region.window
        longest = max(window.height, window.width)
        side = self.allowance.side or longest
        tile_batch = self.allowance.batch(min(side, longest) ** 2)
        options: dict[str, Any] = {}
        if getattr(self.model, "takes_check", False):
            options["check"] = partial(self.show, jobs[0].picture)
        if self.copies:
            options["allowed"] = self.material.allowed(jobs[0].picture, window)
            options["sources"] = self.material.sources(window, channels=3)
        complete: multiscale.Complete = partial(self.model.complete, **options)
        prediction = multiscale.fill(complete, colors, holes, self._scheme(jobs[0]), side, tile_batch)
        for row, job in enumerate(jobs):
            one = slice(row, row + 1)
            self._join(prediction[one], colors[one], holes[one], job)

    def _join(self, prediction: Tensor, colors: Tensor, hole: Tensor, job: _Job) -> None:
        settings = self.settings
        window = job.region.window
        box = _box_around(job.region.own, SURROUNDINGS)
        prediction, colors, hole = prediction[box.inside], colors[box.inside], hole[box.inside]
        if settings.color_match:
            prediction = match_colors(prediction, colors, hole)
        if settings.blend == "poisson":
            prediction = join(prediction, colors, hole, torch.ones_like(hole))
        elif settings.feather > 0:
            prediction = join(prediction, colors, hole, 1.0 - feather_mask(hole, settings.feather))
        if settings.grain > 0.0:
            seed = (settings.seed * 1_000_003 + window.top) * 1_000_003 + window.left
            prediction = match_grain(prediction, colors, hole, settings.grain, seed)
        target = self.output[job.picture][window.inside][box.inside]
        if len(target) == 1:
            prediction = prediction.mean(1, keepdim=True)
        kept = target[:3]  # alpha is unchanged
        if not (self.copies and self.material.elsewhere):
            prediction = limit_to_surroundings(prediction, colors[:, : prediction.shape[1]], hole)
        filled, own = prediction[0].clamp(0.0, 1.0).to(target.dtype), job.region.own[box.inside]
        if not bool(torch.isfinite(filled[:, own]).all()):
            raise ValueError("the model's fill is not finite, so its weights are damaged; use another checkpoint")
        kept.copy_(torch.where(own, filled, kept))

    def _take_less(self, batch: list[_Job], error: BaseException) -> torch.device | None:
        """Reduce the allowance. Returns the device to move the model back to if it was moved to the CPU."""
        window = batch[0].region.window
        longest = max(window.height, window.width)
        scheme = self._scheme(batch[0])
        side = self.allowance.side or longest
        shown = len(batch) if scheme in ("direct", "reduced") else self.allowance.batch(min(side, longest) ** 2)
        if self.allowance.shrink(shown, longest, resizable=self.settings.strategy != "whole"):
            return None
        if self.allowance.may_move() and hasattr(self.model, "to"):
            home = self.allowance.device
            self.model.to("cpu")
            self.allowance = self.allowance.on_cpu()
            return home
        raise MemoryError(self.allowance.failure()) from error


def _unknown(image: Tensor, hole: Tensor) -> Tensor:
    """The holes `[B,1,H,W]` of every picture, and its other unknown pixels."""
    unknown = hole.expand(len(image), -1, -1, -1)
    hidden = ~torch.isfinite(image).all(1, keepdim=True)
    if image.shape[1] == 4:
        hidden |= image[:, 3:] <= 0.0
    return torch.maximum(unknown, hidden.to(unknown)) if bool(hidden.any()) else unknown


def _with_known(region: Region, unknown: Tensor) -> Region:
    """The region in the whole frame, if its window shows no known pixel."""
    if not bool(unknown[region.window.inside].all()) or bool(unknown.all()):
        return region
    own = torch.zeros(unknown.shape, dtype=torch.bool, device=region.own.device)
    own[region.window.inside] = region.own
    return Region(Window(0, 0, *unknown.shape), own)


def _box_around(own: Tensor, margin: int) -> Window:
    rows, columns = torch.nonzero(own.any(1)).flatten().tolist(), torch.nonzero(own.any(0)).flatten().tolist()
    height, width = own.shape
    return Window(
        max(0, rows[0] - margin),
        max(0, columns[0] - margin),
        min(height, rows[-1] + 1 + margin),
        min(width, columns[-1] + 1 + margin),
    )


def _device_of(model: Completer, image: Tensor) -> torch.device:
    device = getattr(model, "device", None)
    return device if isinstance(device, torch.device) else image.device


def _trained_side(model: Completer) -> int | None:
    return getattr(getattr(model, "card", model), "trained_size", None)


def _check_completer(model: object) -> None:
    if callable(getattr(model, "complete", None)):
        return
    kind = type(model).__name__
    if isinstance(model, torch.nn.Module):
        raise TypeError(
            f"model is a bare network ({kind}): wrap it as "
            "inpaint_core.checkpoints.InpaintingModel(ModelCard(architecture=...), network), or use load_model"
        )
    raise TypeError(f"model is a {kind}, which has no complete(image, mask): use a loaded model or a ClassicalFill")


def _check(
    image: Tensor,
    strategy: str,
    feather: int,
    blend: str,
    detail: str,
    size: int | None,
    context: float,
    grain: float,
    frames_per_batch: int | None,
) -> None:
    if image.ndim != 4 or image.shape[1] not in (1, 3, 4) or 0 in image.shape:
        raise ValueError(f"image has shape {list(image.shape)}: expected [B,C,H,W] with C = 1, 3 or 4")
    if not image.is_floating_point():
        raise ValueError(f"image holds {image.dtype}: expected floating-point values in 0..1")
    if strategy not in STRATEGIES:
        raise ValueError(f"unknown strategy {strategy!r}: choose one of {', '.join(STRATEGIES)}")
    if blend not in BLENDS:
        raise ValueError(f"unknown blend {blend!r}: choose one of {', '.join(BLENDS)}")
    if detail not in DETAILS:
        raise ValueError(f"unknown detail {detail!r}: choose one of {', '.join(DETAILS)}")
    if feather < 0:
        raise ValueError(f"feather is {feather}: expected 0 or more pixels")
    if size is not None and size < 16:
        raise ValueError(f"size is {size}: expected at least 16 pixels")
    if not 0.0 <= context <= 8.0:
        raise ValueError(f"context is {context}: expected a fraction of the hole's side in 0..8")
    if not 0.0 <= grain <= 1.0:
        raise ValueError(f"grain is {grain}: expected 0..1")
    if frames_per_batch is not None and frames_per_batch < 1:
        raise ValueError(f"frames_per_batch is {frames_per_batch}: expected at least 1")
