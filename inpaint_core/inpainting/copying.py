"""Sources of patches, and copying detail into a fill."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor

from ..masks.normalise import normalize_mask
from .mixing import mix_fills
from .patches import fill_from_patches
from .surroundings import limit_to_surroundings
from .windows import Region, Window, hole_regions, whole_frame

Sources = Sequence[Tensor] | Literal["frames"]
MAX_FRAMES = 4  # frames of a clip used as sources: the same for every frame, so that a static clip stays static
PATCH_CONTEXT = 1.0  # patches are copied from within this fraction of the hole's longer side on each side of it
PATCH_WINDOW = 256  # and from windows of at least this side


class Material:
    """Material to copy into the holes of pictures.

    Parameters
    ----------
    image
        `[B,C,H,W]`: the pictures.
    unknown
        `[B,1,H,W]`, 1 = hole, or unknown for other reasons.
    allowed
        As for `inpaint`.
    sources
        As for `inpaint`.

    Raises
    ------
    ValueError
        A source is not a picture, or the number of masks does not match the pictures.
    """

    def __init__(self, image: Tensor, unknown: Tensor, allowed: Tensor | None, sources: Sources) -> None:
        self._allowed: Tensor | None = None
        if allowed is not None:
            planes = normalize_mask(allowed, (image.shape[-2], image.shape[-1])).to(image.device)
            if len(planes) not in (1, len(image)):
                raise ValueError(f"{len(planes)} masks of allowed sources and {len(image)} pictures do not match")
            self._allowed = planes.expand(len(image), -1, -1, -1)
        self._frames: Tensor | None = None
        self._pictures: list[Tensor] = []
        if isinstance(sources, str):
            if sources != "frames":
                raise ValueError(f'sources is {sources!r}: expected pictures [C,h,w], or "frames"')
            chosen = torch.linspace(0, len(image) - 1, min(MAX_FRAMES, len(image))).round().long()
            hidden = unknown[chosen.to(unknown.device)] > 0.5
            self._frames = torch.where(hidden, float("nan"), image[chosen.to(image.device), :3].float())
        else:
            self._pictures = [_like(source, image) for source in sources]

    @property
    def restricted(self) -> bool:
        """Whether only a part of the pictures may be copied, which may be far from the hole."""
        return self._allowed is not None

    @property
    def has_frames(self) -> bool:
        """Whether other frames are sources: they show what is hidden, which no network knows."""
        return self._frames is not None

    @property
    def elsewhere(self) -> bool:
        """Whether there are sources besides the pictures themselves."""
        return self._frames is not None or bool(self._pictures)

    def allowed(self, picture: int, window: Window) -> Tensor | None:
        """`[1,1,h,w]`, 1 = may be copied; None: everything known."""
        return None if self._allowed is None else self._allowed[picture][window.inside][None]

    def sources(self, window: Window, channels: int) -> list[Tensor]:
        """Other pictures `[channels,h,w]`; for frames, their part in this window. Unknown pixels are NaN."""
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
    """Replace the fills of `[C,H,W]`, in place, with patches that resemble them at a coarse scale, or with a mixture of
    both (see `mix_fills`) unless the caller chose what may be copied.

    Parameters
    ----------
    plane
        `[H,W]`, 1 = hole to replace.
    unknown
        `[H,W]`: further pixels that must not be copied.
    index
        Index of the picture, for its material.
    check
        Called between passes.
    """
    colors = picture[:3]
    filled = colors.clone()
    for region in _regions(plane, material):
        part = colors[region.window.inside][None].float().nan_to_num(0.0, 0.0, 0.0)
        # Unknown pixels outside the hole are not sources either, and their fill is discarded.
        holes = unknown[region.window.inside][None, None]
        copied = fill_from_patches(
            part,
            holes,
            allowed=material.allowed(index, region.window),
            sources=material.sources(region.window, len(colors)),
            guide=part,
            follow=not material.has_frames,
            seed=seed,
            check=check,
        )
        if not material.elsewhere:
            if not material.restricted:
                copied = mix_fills(part[0], copied[0], holes[0])[None]
            copied = limit_to_surroundings(copied, part, holes)
        target = filled[region.window.inside]
        target.copy_(torch.where(region.own & (plane[region.window.inside] > 0.5), copied[0].to(filled.dtype), target))
    colors.copy_(filled)


def _regions(plane: Tensor, material: Material) -> list[Region]:
    if not bool(plane.any()):
        return []
    return [whole_frame(plane)] if material.restricted else hole_regions(plane, PATCH_WINDOW, PATCH_CONTEXT)


def _like(source: Tensor, image: Tensor) -> Tensor:
    """Colors `[C,h,w]` of another picture with the channels of `image`; transparent pixels become NaN."""
    if source.ndim != 3 or source.shape[0] not in (1, 3, 4) or 0 in source.shape or not source.is_floating_point():
        raise ValueError(
            f"a source has shape {list(source.shape)} and type {source.dtype}: expected floating-point [C,H,W] with C "
            "= 1, 3 or 4"
        )
    colors = source[:3].to(image.device, torch.float32)
    if source.shape[0] == 4:
        colors = torch.where(source[3:].to(image.device) > 0.0, colors, float("nan"))
    return colors.mean(0, keepdim=True) if image.shape[1] == 1 else colors.expand(3, -1, -1)
