"""Mask files: which part of the picture is the hole, whatever program drew it; a sentence where that is not clear."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..masks.normalise import normalize_mask
from .images import Picture, decode_image
from .opening import MAX_PIXELS, TURNS, ImageFileError

Plane = NDArray[np.float64]

UNEQUAL = 1.02  # proportions that differ by more than this do not come from rounding a size
COLORFUL = 0.125  # between the channels of a gray JPEG there is less
NOISE = 8.0 / 255.0  # what a JPEG makes of pure black
FAINT = 32.0 / 255.0  # and what is left of it around what was white once
FEW = 16  # values that are listed in a message


@dataclass(frozen=True)
class Mask:
    """A mask that was read.

    Attributes
    ----------
    hole
        float32 `[1,1,H,W]`, exactly 0 or 1, 1 = hole.
    remarks
        Sentences that somebody who uses it should know, without the file's name.
    """

    hole: Tensor
    remarks: tuple[str, ...] = ()


def read_mask(
    path: str | os.PathLike[str],
    like: Picture | None = None,
    *,
    invert: bool = False,
    max_pixels: int = MAX_PIXELS,
) -> Mask:
    """Read a mask file.

    White is the hole: what has at least half brightness. Where alpha varies, it decides: over one color (a shape
    drawn on an empty layer) the opaque part is the hole, over a picture (rubbed out) the transparent one. A mask of one
    color on black, of the numbers 0 and 1, or of any one value above 0, is taken as drawn in white.

    Parameters
    ----------
    path
        A picture of any kind that `decode_image` reads.
    like
        The picture that the mask is for. The mask is brought to its size (nearest-exact), and turned as the picture's
        EXIF orientation says where it has the size of the picture as it is stored.
    invert
        Exchange hole and known.
    max_pixels
        As for `decode_image`.

    Raises
    ------
    ImageFileError
        As `decode_image`, and where it is not clear what the hole is: colors or classes without white.
    """
    source = Path(path)
    picture = decode_image(source, max_pixels)
    remarks = [f"{remark}" for remark in picture.remarks if "values are taken" not in remark and "CMYK" not in remark]
    hole, remark = _find_hole(source, picture)
    remarks += remark
    mask = torch.from_numpy(hole)[None, None].float()
    if like is not None:
        mask, remark = _fit(mask, picture, like)
        remarks += remark
    if invert:
        mask = 1.0 - mask
    return Mask(mask, (*remarks, *_of_share(mask)))


def _find_hole(path: Path, picture: Picture) -> tuple[NDArray[np.bool_], list[str]]:
    if picture.image.isnan().any():
        raise ImageFileError(f"{path}: the mask holds values that are not numbers (NaN or infinity)")
    alpha = None if picture.alpha is None else picture.alpha[0].numpy()
    if alpha is not None and float(alpha.max()) == 0.0:
        raise ImageFileError(
            f"{path}: the mask is fully transparent, which hides what its colors say; save it without alpha"
        )
    if alpha is not None and float(alpha.min()) < float(alpha.max()):
        return _by_alpha(picture, alpha)
    colors = _numbers(picture)
    if picture.gray or float(np.ptp(colors, axis=0).max()) <= max(COLORFUL * float(colors.max()), NOISE):
        return _by_brightness(path, colors.mean(0), picture)
    return _by_color(path, colors)


def _by_alpha(picture: Picture, alpha: NDArray[Any]) -> tuple[NDArray[np.bool_], list[str]]:
    """Of a layer in one color the opaque part, of black and white the white one, of a picture the transparent one."""
    opaque = alpha >= 0.5 * float(alpha.max())
    seen = picture.image.numpy()[:, alpha == alpha.max()]
    if float(np.ptp(seen, axis=1).max()) <= NOISE:
        return opaque, ["the hole is the opaque part, as its alpha says"]
    bright = seen.mean(0)
    if float(np.minimum(bright, 1.0 - bright).max()) <= NOISE:
        return opaque & (picture.image.numpy().mean(0) >= 0.5), ["the hole is what is white and opaque in it"]
    return ~opaque, ["the hole is the transparent part, as its alpha says"]


def _numbers(picture: Picture) -> Plane:
    """Colors `[1 or 3,H,W]` in the scale that the file's numbers are in: 1 is white."""
    if picture.values is None:
        return picture.image.double().numpy()
    values = np.moveaxis(picture.values.values.astype(np.float64), 2, 0)
    if picture.values.low < 0.0:
        return values
    return values / picture.values.high


def _by_brightness(path: Path, gray: Plane, picture: Picture) -> tuple[NDArray[np.bool_], list[str]]:
    levels = np.unique(gray)
    if len(levels) == 2 and levels[0] == 0.0 and levels[1] > 0.0:
        usual = levels[1] >= 0.5
        return gray > 0.0, [] if usual else [f"the hole is what is {_spell(levels[1:], picture)} in it, not 0"]
    if levels[0] < 0.0:
        raise ImageFileError(f"{path}: the mask holds {_held(levels, picture)}: make the hole white and the rest black")
    hole = gray >= 0.5
    lossy = picture.header is not None and picture.header.format == "JPEG"
    noise = float(levels[-1]) <= FAINT and (lossy or len(levels) > FEW)
    if not hole.any() and float(levels[-1]) > 0.0 and not noise:
        raise ImageFileError(
            f"{path}: the mask holds {_held(levels, picture)}, nothing of half brightness or more: which is the hole? "
            "Make it white and the rest black"
        )
    dark = levels[(levels > 0.0) & (levels < 0.5)]
    if len(levels) <= FEW and len(dark) and hole.any():
        return hole, [f"it holds {_held(levels, picture)}; what is of at least half brightness is taken for the hole"]
    return hole, []


def _by_color(path: Path, colors: Plane) -> tuple[NDArray[np.bool_], list[str]]:
    """The hole of a mask drawn in one color on black."""
    flat = colors.reshape(3, -1)
    drawn = flat[:, int(flat.max(0).argmax())]
    share = (drawn @ flat) / (drawn @ drawn)
    if float(np.abs(flat - np.outer(drawn, share)).max()) > 2.0 * NOISE:
        count = len(np.unique((flat.T * 255.0).round(), axis=0))
        raise ImageFileError(
            f"{path}: the mask holds {count} colors and not one on black, so it is not clear which is the hole; "
            "paint the hole white and the rest black"
        )
    name = "#" + "".join(f"{round(value * 255):02x}" for value in drawn.clip(0.0, 1.0))
    return (share >= 0.5).reshape(colors.shape[1:]), [f"the hole is what is drawn in {name} on black"]


def _fit(mask: Tensor, picture: Picture, like: Picture) -> tuple[Tensor, list[str]]:
    """Bring a mask to a picture's size, turned where it was drawn on the picture as it is stored."""
    remarks = []
    height, width = like.image.shape[-2:]
    orientation = like.header.orientation if like.header is not None else 1
    turned = picture.header is not None and picture.header.orientation != 1
    if orientation >= 5 and not turned and tuple(mask.shape[-2:]) == (width, height) and height != width:
        mask = _turn(mask, orientation)
        remarks.append("it was turned as the EXIF orientation turns the picture, whose stored size it has")
    rows, columns = mask.shape[-2:]
    if max(rows * width, columns * height) > UNEQUAL * min(rows * width, columns * height):
        remarks.append(
            f"it is {columns}x{rows} pixels and was stretched over a picture of {width}x{height}, which has other "
            "proportions: check that the hole lies in the right place"
        )
    fitted = normalize_mask(mask, (height, width))
    if bool(mask.any()) and not bool(fitted.any()):
        remarks.append(f"its hole is too small to be left at the picture's size of {width}x{height}")
    return fitted, remarks


def _turn(mask: Tensor, orientation: int) -> Tensor:
    from PIL import Image

    turned = Image.fromarray(mask[0, 0].numpy().astype(np.uint8)).transpose(TURNS[orientation])
    return torch.from_numpy(np.array(turned))[None, None].float()


def _of_share(mask: Tensor) -> list[str]:
    if not bool(mask.any()):
        return ["it has no hole: nothing in it is white (--invert exchanges black and white)"]
    if bool(mask.all()):
        return ["it covers everything: all of it is white (--invert exchanges black and white)"]
    return []


def _held(levels: Plane, picture: Picture) -> str:
    if len(levels) <= FEW:
        return f"the values {_spell(levels, picture)}"
    return f"values from {_spell(levels[:1], picture)} to {_spell(levels[-1:], picture)}"


def _spell(levels: Plane, picture: Picture) -> str:
    scale = 255.0 if picture.values is None else 1.0 if picture.values.low < 0.0 else picture.values.high
    return ", ".join(f"{level * scale:g}" for level in levels)
