"""inpaint(): any Completer, any size, any batch, and not one known pixel changed."""

from __future__ import annotations

from typing import Literal, Protocol, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

from .blending import RING, join, match_colors
from .hires import hole_windows, resize
from .masks.morphology import feather as feather_mask
from .masks.morphology import grow as grow_mask
from .masks.morphology import shrink as shrink_mask
from .masks.normalise import normalize_mask

Strategy = Literal["auto", "whole", "crop"]
Blend = Literal["alpha", "poisson"]
STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)
BLENDS: tuple[Blend, ...] = get_args(Blend)
REACH = 2  # windows up to this many times the trained size are shown to a network at full resolution


class Completer(Protocol):
    """Anything that can fill holes: a loaded network, a classical fill, a foreign model."""

    def complete(self, image: Tensor, mask: Tensor) -> Tensor:
        """`[B,3,H,W]` in 0..1 and `[B,1,H,W]` (exactly 0 or 1, 1 = hole) give `[B,3,H,W]` in 0..1."""
        ...


def inpaint(
    model: Completer,
    image: Tensor,
    mask: Tensor,
    strategy: Strategy = "auto",
    grow: int = 0,
    feather: int = 8,
    blend: Blend = "alpha",
    color_match: bool = False,
) -> Tensor:
    """Fill the holes of pictures.

    Parameters
    ----------
    model
        Fills holes; a network should be in evaluation mode (as `load_model` returns it).
    image
        `[B,C,H,W]`, 0..1, C = 1 (gray), 3 (RGB) or 4 (RGBA); any height and width from 1, any floating-point type.
    mask
        1 = hole. `[H,W]`, `[B,H,W]` or `[B,1,H,W]`, of any size: it is resized to the picture (nearest-exact) and cut
        at 0.5. One mask serves many pictures, one picture serves many masks.
    strategy
        `"whole"`: the model sees the whole frame; `"crop"`: each hole (or group of near holes) is filled in a window
        around it; `"auto"`: whole up to twice the size that the model was trained on, crop beyond.
    grow
        Pixels by which the hole is enlarged first (shrunk when negative), to catch the fringe of what is removed.
    feather
        Width in pixels, inwards from the rim of the hole, over which the fill is led over to the surrounding colours.
    blend
        `"alpha"`: the correction of `feather`; `"poisson"`: the fill's gradients joined to the rim without any step
        (Perez et al. 2003), over the whole hole, `feather` unused.
    color_match
        Shift the fill's mean colour to that of a ring around the hole.

    Returns
    -------
    Tensor
        `[B,C,H,W]`, type and device of `image`. Outside the (grown) hole it equals `image` bit for bit; alpha leaves as
        it came; where the mask is empty, so does everything.

    Raises
    ------
    ValueError
        Shapes or options that do not fit; both batch sizes are named when they differ.
    """
    _check(image, strategy, feather, blend)
    height, width = image.shape[-2:]
    hole = normalize_mask(mask, (height, width)).to(image.device)
    image, hole = _broadcast(image, hole)
    if grow > 0:
        hole = grow_mask(hole, grow)
    elif grow < 0:
        hole = shrink_mask(hole, -grow)
    channels = image.shape[1]
    colors = image[:, :3].float().expand(-1, 3, -1, -1)

    # Hidden values may be anything (NaN behind full transparency, say); no arithmetic may see them.
    colors = torch.where(hole > 0.5, torch.zeros_like(colors), colors)

    trained_size = getattr(getattr(model, "card", None), "trained_size", None)
    if strategy == "auto":
        strategy = "crop" if trained_size is not None and max(height, width) > REACH * trained_size else "whole"
    if not bool(hole.any()):
        filled = colors
    elif strategy == "whole":
        filled = _join(model.complete(colors, hole), colors, hole, feather, blend, color_match)
    else:
        filled = colors.clone()
        for index in range(len(colors)):
            for window in hole_windows(hole[index, 0], trained_size or 1):
                part = (slice(index, index + 1), slice(None), *window.slices())
                prediction = _predict_window(model, colors[part], hole[part], trained_size)
                filled[part] = _join(prediction, colors[part], hole[part], feather, blend, color_match)
    if channels == 1:
        filled = filled.mean(1, keepdim=True)
    if channels == 4:
        filled = torch.cat([filled, image[:, 3:].float()], 1)
    return torch.where(hole > 0.5, filled.to(image.dtype), image)


def _check(image: Tensor, strategy: str, feather: int, blend: str) -> None:
    if image.ndim != 4 or image.shape[1] not in (1, 3, 4) or 0 in image.shape:
        raise ValueError(f"image has shape {list(image.shape)}: expected [B,C,H,W] with C = 1, 3 or 4")
    if not image.is_floating_point():
        raise ValueError(f"image holds {image.dtype}: expected floating-point values in 0..1")
    if strategy not in STRATEGIES:
        raise ValueError(f"unknown strategy {strategy!r}: choose one of {', '.join(STRATEGIES)}")
    if blend not in BLENDS:
        raise ValueError(f"unknown blend {blend!r}: choose one of {', '.join(BLENDS)}")
    if feather < 0:
        raise ValueError(f"feather is {feather}: expected 0 or more pixels")


def _broadcast(image: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    images, masks = image.shape[0], mask.shape[0]
    if images != masks and 1 not in (images, masks):
        raise ValueError(f"{images} images and {masks} masks do not match: give equal counts, or one of either")
    count = max(images, masks)
    return image.expand(count, -1, -1, -1), mask.expand(count, -1, -1, -1)


def _predict_window(model: Completer, image: Tensor, hole: Tensor, trained_size: int | None) -> Tensor:
    height, width = image.shape[-2:]
    limit = max(height, width) if trained_size is None else REACH * trained_size
    if max(height, width) <= limit:
        return model.complete(image, hole)
    scale = limit / max(height, width)
    small = (max(1, round(height * scale)), max(1, round(width * scale)))
    # The bicubic kernel reaches two small pixels into the hole, so those count as hole as well.
    small_hole = F.max_pool2d(F.adaptive_max_pool2d(hole, small), 5, stride=1, padding=2)
    return resize(model.complete(resize(image, *small), small_hole), height, width)


def _join(prediction: Tensor, image: Tensor, hole: Tensor, feather: int, blend: Blend, color_match: bool) -> Tensor:
    if color_match:
        prediction = match_colors(prediction, image, hole, grow_mask(hole, RING))
    if blend == "poisson":
        return join(prediction, image, hole, torch.ones_like(hole))
    if feather > 0:
        return join(prediction, image, hole, 1.0 - feather_mask(hole, feather))
    return prediction
