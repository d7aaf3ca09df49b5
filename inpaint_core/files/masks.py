"""Mask files from any program: finds the hole, or raises an error if it is ambiguous."""

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

UNEQUAL = 1.02  # rounding does not change an aspect ratio by more than this
COLORFUL = 0.125  # the channels of a gray JPEG differ by less
NOISE = 8.0 / 255.0  # compression noise of a JPEG in pure black
FAINT = 32.0 / 255.0  # and around white areas
FEW = 16  # values listed in a message


@dataclass(frozen=True)
class Mask:
    """A mask read from a file.

    Attributes
    ----------
    hole
        float32 `[1,1,H,W]`, exactly 0 or 1, 1 = hole.
    notes
        Messages to the user about the mask, without the file's name.
    """

    hole: Tensor
    notes: tuple[str, ...] = ()


def read_mask(
    path: str | os.PathLike[str],
    like: Picture | None = None,
    *,
    invert: bool = False,
    max_pixels: int = MAX_PIXELS,
) -> Mask:
    """Read a mask file.

    White, meaning a brightness of at least 50%, is the hole. Varying alpha takes precedence: over a single color (a
    shape drawn on an empty layer) the opaque part is the hole, over a picture (part of it erased) the transparent part.
    A mask of one color on black, of the numbers 0 and 1, or of any single value above 0 is read as if drawn in white.

    Parameters
    ----------
    path
        Any file that `decode_image` reads.
    like
        The picture that the mask is for. The mask is resized to it (nearest-exact), and rotated by the picture's EXIF
        orientation if it has the size of the picture as stored.
    invert
        Swap hole and known.
    max_pixels
        As for `decode_image`.

    Raises
    ------
    ImageFileError
        As `decode_image`, or the hole is ambiguous: colors or classes without white.
    """
    source = Path(path)
    picture = decode_image(source, max_pixels)
    notes = [f"{note}" for note in picture.notes if "values are taken" not in note and "CMYK" not in note]
    if picture.header is not None and picture.header.zero_is_white:
        notes.append("0 means white (MinIsWhite), so the hole is where it is 0 (--invert swaps black and white)")
    hole, note = _find_hole(source, picture)
    notes += note
    mask = torch.from_numpy(hole)[None, None].float()
    if like is not None:
        mask, note = _fit(mask, picture, like)
        notes += note
    if invert:
        mask = 1.0 - mask
    return Mask(mask, (*notes, *_of_share(mask)))


def _find_hole(path: Path, picture: Picture) -> tuple[NDArray[np.bool_], list[str]]:
    if picture.image.isnan().any():
        raise ImageFileError(
            f"{path}: the mask contains values that are not finite (NaN or infinity); save it without them"
        )
    alpha = None if picture.alpha is None else picture.alpha[0].numpy()
    if alpha is not None and float(alpha.max()) == 0.0:
        raise ImageFileError(
            f"{path}: the mask is fully transparent, so its colors are meaningless; save it without alpha"
        )
    if alpha is not None and float(alpha.min()) < float(alpha.max()):
        return _by_alpha(picture, alpha)
    colors = _numbers(picture)
    if picture.gray or float(np.ptp(colors, axis=0).max()) <= max(COLORFUL * float(colors.max()), NOISE):
        return _by_brightness(path, colors.mean(0), picture)
    return _by_color(path, colors)


def _by_alpha(picture: Picture, alpha: NDArray[Any]) -> tuple[NDArray[np.bool_], list[str]]:
    """The opaque part of a layer in one color, the white part of black and white, the transparent part of a picture."""
    opaque = alpha >= 0.5 * float(alpha.max())
    seen = picture.image.numpy()[:, alpha == alpha.max()]
    if float(np.ptp(seen, axis=1).max()) <= NOISE:
        return opaque, ["the hole is the opaque part, according to its alpha"]
    bright = seen.mean(0)
    if float(np.minimum(bright, 1.0 - bright).max()) <= NOISE:
        return opaque & (picture.image.numpy().mean(0) >= 0.5), ["the hole is the part that is white and opaque"]
    return ~opaque, ["the hole is the transparent part, according to its alpha"]


def _numbers(picture: Picture) -> Plane:
    """Colors `[1 or 3,H,W]` on the file's own scale: 1 is white."""
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
        return gray > 0.0, [] if usual else [f"the hole is where the mask is {_spell(levels[1:], picture)}, not 0"]
    if levels[0] < 0.0:
        raise ImageFileError(
            f"{path}: the mask contains {_held(levels, picture)}; paint the hole white and the rest black"
        )
    hole = gray >= 0.5
    lossy = picture.header is not None and picture.header.format == "JPEG"
    noise = float(levels[-1]) <= FAINT and (lossy or len(levels) > FEW)
    if not hole.any() and float(levels[-1]) > 0.0 and not noise:
        raise ImageFileError(
            f"{path}: the mask contains {_held(levels, picture)}, none with a brightness of at least 50%, so the hole "
            "is ambiguous; paint it white and the rest black"
        )
    dark = levels[(levels > 0.0) & (levels < 0.5)]
    if len(levels) <= FEW and len(dark) and hole.any():
        return hole, [f"it contains {_held(levels, picture)}; everything with a brightness of at least 50% is the hole"]
    return hole, []


def _by_color(path: Path, colors: Plane) -> tuple[NDArray[np.bool_], list[str]]:
    """The hole of a mask drawn in one color on black."""
    flat = colors.reshape(3, -1)
    drawn = flat[:, int(flat.max(0).argmax())]
    share = (drawn @ flat) / (drawn @ drawn)
    if float(np.abs(flat - np.outer(drawn, share)).max()) > 2.0 * NOISE:
        count = len(np.unique((flat.T * 255.0).round(), axis=0))
        raise ImageFileError(
            f"{path}: the mask contains {count} colors instead of one on black, so the hole is ambiguous; paint it "
            "white and the rest black"
        )
    name = "#" + "".join(f"{round(value * 255):02x}" for value in drawn.clip(0.0, 1.0))
    return (share >= 0.5).reshape(colors.shape[1:]), [f"the hole is the part drawn in {name} on black"]


def _fit(mask: Tensor, picture: Picture, like: Picture) -> tuple[Tensor, list[str]]:
    """Resize a mask to a picture, rotating it if it was drawn on the picture as stored."""
    notes = []
    height, width = like.image.shape[-2:]
    orientation = like.header.orientation if like.header is not None else 1
    turned = picture.header is not None and picture.header.orientation != 1
    if orientation >= 5 and not turned and tuple(mask.shape[-2:]) == (width, height) and height != width:
        mask = _turn(mask, orientation)
        notes.append("it was rotated by the picture's EXIF orientation, because it has the picture's size as stored")
    rows, columns = mask.shape[-2:]
    if max(rows * width, columns * height) > UNEQUAL * min(rows * width, columns * height):
        notes.append(
            f"it has {columns}x{rows} pixels and was stretched to the size of the picture, {width}x{height}, which "
            "has a different aspect ratio; check that the hole is in the right place"
        )
    fitted = normalize_mask(mask, (height, width))
    if bool(mask.any()) and not bool(fitted.any()):
        notes.append(f"its hole is so small that it disappears at the picture's size of {width}x{height}")
    return fitted, notes


def _turn(mask: Tensor, orientation: int) -> Tensor:
    from PIL import Image

    turned = Image.fromarray(mask[0, 0].numpy().astype(np.uint8)).transpose(TURNS[orientation])
    return torch.from_numpy(np.array(turned))[None, None].float()


def _of_share(mask: Tensor) -> list[str]:
    if not bool(mask.any()):
        return ["it has no hole because nothing in it is white (--invert swaps black and white)"]
    if bool(mask.all()):
        return ["it covers the whole picture because all of it is white (--invert swaps black and white)"]
    return []


def _held(levels: Plane, picture: Picture) -> str:
    if len(levels) <= FEW:
        return f"the values {_spell(levels, picture)}"
    return f"values from {_spell(levels[:1], picture)} to {_spell(levels[-1:], picture)}"


def _spell(levels: Plane, picture: Picture) -> str:
    scale = 255.0 if picture.values is None else 1.0 if picture.values.low < 0.0 else picture.values.high
    return ", ".join(f"{level * scale:g}" for level in levels)
