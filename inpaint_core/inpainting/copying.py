"""What patches may be copied from, and detail copied into a fill."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor

from ..masks.normalise import normalize_mask
from .patches import fill_from_patches
from .surroundings import keep_to_surroundings
from .windows import Region, Window, hole_regions, whole_frame

Sources = Sequence[Tensor] | Literal["frames"]
MOST_FRAMES = 4  # of a clip that are copied from: the same ones for every frame, so that a still clip stays still
PATCH_CONTEXT = 1.0  # patches are copied from this share of the hole's longer side on every side of it
PATCH_WINDOW = 256  # and from windows of at least this side


class Material:
    """What may be copied into the holes of some pictures.

    Parameters
    ----------
    image
        `[B,C,H,W]`: the pictures.
    unknown
        `[B,1,H,W]`, 1 = hole, or not known for other reasons.
    allowed
        As `inpaint` takes it.
    sources
        As `inpaint` takes them.

    Raises
    ------
    ValueError
        A source that is no picture, or masks of another number than the pictures.
    """

    def __init__(self, image: Tensor, unknown: Tensor, allowed: Tensor | None, sources: Sources) -> None:
        self._allowed: Tensor | None = None
        if allowed is not None:
            planes = normalize_mask(allowed, (image.shape[-2], image.shape[-1])).to(image.device)
            if len(planes) not in (1, len(image)):
                raise ValueError(f"{len(planes)} masks of what may be copied and {len(image)} pictures do not match")
            self._allowed = planes.expand(len(image), -1, -1, -1)
        self._frames: Tensor | None = None
        self._pictures: list[Tensor] = []
        if isinstance(sources, str):
            if sources != "frames":
                raise ValueError(f'sources is {sources!r}: give pictures [C,h,w], or "frames"')
            chosen = torch.linspace(0, len(image) - 1, min(MOST_FRAMES, len(image))).round().long()
            hidden = unknown[chosen.to(unknown.device)] > 0.5
            self._frames = torch.where(hidden, float("nan"), image[chosen.to(image.device), :3].float())
        else:
            self._pictures = [_like(source, image) for source in sources]

    @property
    def restricted(self) -> bool:
        """Only a part of the pictures may be copied, which may lie far from the hole."""
        return self._allowed is not None

    @property
    def elsewhere(self) -> bool:
        """There are sources besides the pictures themselves."""
        return self._frames is not None or bool(self._pictures)

    def allowed(self, picture: int, window: Window) -> Tensor | None:
        """`[1,1,h,w]`, 1 = may be copied; None: all that is known."""
        return None if self._allowed is None else self._allowed[picture][window.inside][None]

    def sources(self, window: Window, channels: int) -> list[Tensor]:
        """Other pictures `[channels,h,w]`; of frames, what lies in this window. What is unknown is NaN."""
        if self._frames is not None:
            return [frame.expand(channels, -1, -1) for frame in self._frames[window.inside]]
        return [picture.expand(channels, -1, -1) for picture in self._pictures]


def copy_detail(
    picture: Tensor,
    plane: Tensor,
    unknown: Tensor,
    index: int,
    material: Material,
    seed: int,
    check: Callable[[], None],
) -> None:
    """Replace the fills of `[C,H,W]`, in place, by patches that resemble them in the large.

    Parameters
    ----------
    plane
        `[H,W]`, 1 = hole: what is replaced.
    unknown
        `[H,W]`: what besides may not be copied.
    index
        Of the picture, for its material.
    check
        Called between passes.
    """
    colors = picture[:3]
    filled = colors.clone()
    for region in _regions(plane, material):
        part = colors[region.window.inside][None].float().nan_to_num(0.0, 0.0, 0.0)
        # What is unknown besides the hole is no source either; of its fill nothing is kept.
        holes = unknown[region.window.inside][None, None]
        copied = fill_from_patches(
            part,
            holes,
            allowed=material.allowed(index, region.window),
            sources=material.sources(region.window, len(colors)),
            guide=part,
            seed=seed,
            check=check,
        )
        if not material.elsewhere:
            copied = keep_to_surroundings(copied, part, holes)
        target = filled[region.window.inside]
        target.copy_(torch.where(region.own & (plane[region.window.inside] > 0.5), copied[0].to(filled.dtype), target))
    colors.copy_(filled)


def _regions(plane: Tensor, material: Material) -> list[Region]:
    if not bool(plane.any()):
        return []
    return [whole_frame(plane)] if material.restricted else hole_regions(plane, PATCH_WINDOW, PATCH_CONTEXT)


def _like(source: Tensor, image: Tensor) -> Tensor:
    """Colours `[C,h,w]` of another picture with the channels of `image`; what is transparent becomes NaN."""
    if source.ndim != 3 or source.shape[0] not in (1, 3, 4) or 0 in source.shape or not source.is_floating_point():
        raise ValueError(
            f"a source has shape {list(source.shape)} and type {source.dtype}: expected floating-point [C,H,W] with "
            "C = 1, 3 or 4"
        )
    colors = source[:3].to(image.device, torch.float32)
    if source.shape[0] == 4:
        colors = torch.where(source[3:].to(image.device) > 0.0, colors, float("nan"))
    return colors.mean(0, keepdim=True) if image.shape[1] == 1 else colors.expand(3, -1, -1)
