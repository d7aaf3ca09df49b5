"""Uploaded pictures: opened by the library, shown reduced, written at full size."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from inpaint_core.files.images import Picture, decode_image, to_bytes, write_image
from inpaint_core.files.opening import ImageFileError, TooManyPixelsError
from inpaint_core.text import one_line

Pixels = NDArray[np.uint8]

SHOWN_SIDE = 1024  # longer side in pixels of what the browser shows; the work is done at full size
BACKDROP = 0.8  # gray behind transparent parts
NO_PICTURE = "There is no picture yet: upload one, or choose an example."


class VisitorError(ValueError):
    """Something that the visitor can correct; the message is one sentence for them."""


@dataclass(frozen=True)
class Limits:
    """What the page accepts.

    Attributes
    ----------
    megapixels
        Maximum size of a picture in million pixels.
    megabytes
        Maximum size of an uploaded file in million bytes.
    """

    megapixels: float = 30.0
    megabytes: float = 64.0

    @property
    def pixels(self) -> int:
        """Maximum number of pixels."""
        return round(self.megapixels * 1e6)


@dataclass(frozen=True, eq=False)
class Upload:
    """A visitor's picture.

    Attributes
    ----------
    path
        The file as it was uploaded.
    height, width
        Full size in pixels.
    shown
        uint8 `[h,w,3]`: the picture with a longer side of at most `SHOWN_SIDE`, upright.
    notes
        Messages about the file.
    """

    path: Path
    height: int
    width: int
    shown: Pixels = field(repr=False)
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The file's name on one line."""
        return one_line(self.path.name, 80)

    @property
    def shown_size(self) -> tuple[int, int]:
        """Height and width of the reduced picture."""
        return self.shown.shape[0], self.shown.shape[1]


def open_upload(path: str | os.PathLike[str] | None, limits: Limits) -> Upload:
    """Read an uploaded file.

    Raises
    ------
    VisitorError
        There is no file, it is not a picture, or it is too large.
    """
    if path is None:
        raise VisitorError(NO_PICTURE)
    source = Path(path)
    picture = _decode(source, limits)
    height, width = picture.image.shape[1:]
    return Upload(source, height, width, reduce(picture.planes), picture.notes)


def read_upload(upload: Upload | None, limits: Limits) -> Picture:
    """Decode a picture again at full size; the page keeps only the reduced one in memory.

    Raises
    ------
    VisitorError
        There is no picture, or its file was removed since.
    """
    if upload is None:
        raise VisitorError(NO_PICTURE)
    if not upload.path.exists():
        raise VisitorError(f"{upload.name} was removed from the server after an hour: upload it again.")
    return _decode(upload.path, limits)


def _decode(source: Path, limits: Limits) -> Picture:
    name = one_line(source.name, 80)
    try:
        if source.stat().st_size > limits.megabytes * 1e6:
            raise VisitorError(f"{name} has more than {limits.megabytes:g} megabytes: upload a smaller file.")
        return decode_image(source, limits.pixels)
    except TooManyPixelsError:
        raise VisitorError(
            f"{name} has more than the {limits.megapixels:g} megapixels that this page accepts: reduce it first."
        ) from None
    except ImageFileError as error:
        raise VisitorError(f"{name}: {error.without(source)}; upload a PNG, JPEG, WebP or TIFF picture.") from None
    except OSError:
        raise VisitorError(f"{name} cannot be read: upload it again.") from None


def reduce(planes: Tensor) -> Pixels:
    """A picture for the browser.

    Parameters
    ----------
    planes
        `[3,H,W]` or, with alpha, `[4,H,W]` in 0..1; NaN is shown as gray.

    Returns
    -------
    Pixels
        uint8 `[h,w,3]`, its longer side at most `SHOWN_SIDE`; transparent parts are over gray.
    """
    colors = planes[:3].nan_to_num(BACKDROP)
    if len(planes) == 4:
        colors = BACKDROP + (colors - BACKDROP) * planes[3:]
    height, width = colors.shape[-2:]
    if max(height, width) > SHOWN_SIDE:
        scale = SHOWN_SIDE / max(height, width)
        size = (max(1, round(height * scale)), max(1, round(width * scale)))
        colors = F.interpolate(colors[None], size, mode="area")[0]
    return to_bytes(colors)


def write_result(results: Path, upload: Upload, ending: str, image: Tensor, like: Picture | None) -> Path:
    """Write a result at full size.

    Parameters
    ----------
    results
        An existing folder, in which the result gets a folder of its own, whose name nobody can guess.
    upload
        The picture that it was made from, which gives the name.
    ending
        Ending of the name, such as "filled".
    image
        `[C,H,W]` in 0..1.
    like
        The decoded picture, whose bit depth, alpha and metadata are kept (see `write_image`), or None.

    Returns
    -------
    Path
        A PNG; a TIFF for values that only a TIFF can hold.
    """
    values = None if like is None else like.values
    suffix = ".png" if values is None or values.kind in ("uint8", "uint16") else ".tif"
    target = Path(tempfile.mkdtemp(dir=results)) / f"{upload.path.stem}_{ending}{suffix}"
    write_image(target, image, like=like)
    return target


def enlarge_mask(mask: Tensor, size: tuple[int, int]) -> Tensor:
    """A mask on the reduced picture, at full size, with smooth edges.

    Parameters
    ----------
    mask
        `[h,w]`, 1 = hole.
    size
        Full height and width.

    Returns
    -------
    Tensor
        float32 `[1,1,H,W]`, exactly 0 or 1.
    """
    whole = mask.float()[None, None]
    if whole.shape[-2:] != size:
        whole = F.interpolate(whole, size, mode="bilinear", align_corners=False)
    return (whole >= 0.5).float()
