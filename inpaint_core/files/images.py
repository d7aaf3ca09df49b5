"""Pictures on disk: a bad file raises a one-line error, and writing is atomic."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..eight_bit import from_uint8, to_uint8
from . import samples
from .atomic import atomic_path
from .metadata import Metadata, read_metadata
from .opening import (
    MAX_PIXELS,
    TURNS,
    Header,
    ImageFileError,
    blame,
    check_file,
    describe,
    note_on_frames,
    open_picture,
    orientation_of,
)
from .samples import Samples

JPEG: dict[str, Any] = {"format": "JPEG", "quality": 95, "subsampling": 0}
WRITABLE_SUFFIXES: dict[str, dict[str, Any]] = {
    ".png": {"format": "PNG"},
    ".jpg": JPEG,
    ".jpeg": JPEG,
    ".jfif": JPEG,
    ".jpe": JPEG,
    ".webp": {"format": "WEBP", "lossless": True, "exact": True},
    ".tif": {"format": "TIFF", "compression": "tiff_lzw"},
    ".tiff": {"format": "TIFF", "compression": "tiff_lzw"},
    ".bmp": {"format": "BMP"},
}
OPAQUE_SUFFIXES = (".jpg", ".jpeg", ".jfif", ".jpe", ".bmp")
TIFF_SUFFIXES = (".tif", ".tiff")


@dataclass(frozen=True)
class Picture:
    """A decoded picture.

    Attributes
    ----------
    image
        float32 `[3,H,W]`, RGB in 0..1, upright (EXIF orientation applied). NaN where the file has no data: values that
        are not finite, or equal to GDAL's "no data" tag.
    alpha
        float32 `[1,H,W]` in 0..1, None where the file has none.
    gray
        Whether the file has one color channel (the three of `image` are equal).
    header
        The file's header.
    values, alpha_values
        The file's own values if 8 bits cannot hold them; otherwise None.
    metadata
        Kept when the picture is written again.
    notes
        Messages to the user about the file, without its name.
    """

    image: Tensor
    alpha: Tensor | None = None
    gray: bool = False
    header: Header | None = None
    values: Samples | None = None
    alpha_values: Samples | None = None
    metadata: Metadata = field(default_factory=Metadata)
    notes: tuple[str, ...] = ()

    @property
    def sixteen_bit(self) -> bool:
        """Whether the file has 16 bits per channel."""
        return self.values is not None and self.values.kind == "uint16"

    @property
    def unknown(self) -> Tensor:
        """Bool `[1,H,W]`: fully transparent or without data, so that the color is meaningless."""
        unknown = self.image.isnan().any(0, keepdim=True)
        return unknown if self.alpha is None else unknown | (self.alpha == 0.0)

    @property
    def planes(self) -> Tensor:
        """The picture with its alpha, if any: `[3,H,W]` or `[4,H,W]`."""
        return self.image if self.alpha is None else torch.cat([self.image, self.alpha])

    @property
    def cut_out(self) -> Tensor:
        """`visible()` with alpha 0 where pixels are unknown: `[3,H,W]`, or `[4,H,W]` if any are."""
        unknown = self.unknown
        return torch.cat([self.visible(), 1.0 - unknown.float()]) if bool(unknown.any()) else self.image

    def visible(self) -> Tensor:
        """The picture with every unknown pixel replaced with the nearest known one, for code that uses all pixels.

        Mid-gray if no pixel is known.
        """
        unknown = self.unknown[0]
        if not bool(unknown.any()):
            return self.image
        if bool(unknown.all()):
            return torch.full_like(self.image, 0.5)
        from scipy.ndimage import distance_transform_edt

        rows, columns = distance_transform_edt(unknown.numpy(), return_distances=False, return_indices=True)
        return self.image[:, torch.from_numpy(rows), torch.from_numpy(columns)]


def decode_image(path: str | os.PathLike[str], max_pixels: int = MAX_PIXELS) -> Picture:
    """Read a picture of any common kind: gray, RGB, alpha, palette, CMYK, 8 or 16 bits, integers or floating point.

    Parameters
    ----------
    path
        The file; if it contains several pictures, the first is used, with a note.
    max_pixels
        Larger pictures are rejected before they are decoded.

    Raises
    ------
    ImageFileError
        No such file, not a picture, damaged, or values that cannot be preserved; TooManyPixelsError.
    """
    source = Path(path)
    check_file(source, max_pixels)
    header = samples.inspect_tiff(source, max_pixels)
    if header is not None:
        deep, metadata = samples.read_tiff(source)
        return _of_values(deep, header, metadata, ())
    with open_picture(source, max_pixels) as opened:
        is_deep = samples.is_deep(opened)
        header = describe(opened)
        values = samples.read_deep(source, opened, header.orientation) if is_deep else None
        picture = upright(opened)
        metadata, problems = read_metadata(opened)
        if values is not None:
            return _of_values(values, header, metadata, problems)
        if picture.mode in ("LAB", "HSV"):
            raise ImageFileError(f"{source}: {picture.mode} colors are not supported; save the picture as RGB")
        if picture.mode == "CMYK":
            problems.append("its CMYK colors were converted to RGB without a color profile")
        alpha = None
        gray = picture.mode in ("L", "1", "LA")
        if header.transparent:
            picture = picture.convert("RGBA")
            alpha = _to_tensor(picture.getchannel("A"))
        colors = _to_tensor(picture.convert("RGB"))
    return Picture(colors, alpha, gray, header, None, None, metadata, _notes(header, None, problems))


def upright(opened: Image.Image) -> Image.Image:
    """Decode all of an opened picture, and rotate it by its orientation."""
    opened.load()
    # Newer versions of Pillow rotate TIFFs themselves and leave no orientation.
    orientation = orientation_of(opened)
    return opened.transpose(TURNS[orientation]) if orientation in TURNS else opened


def write_image(path: str | os.PathLike[str], image: Tensor, like: Picture | None = None) -> list[str]:
    """Write a picture; the format follows the suffix.

    Parameters
    ----------
    path
        .png, .jpg, .webp (lossless), .tif or .bmp; an existing file is replaced only once the new one is complete.
    image
        `[3,H,W]` or `[1,H,W]` in 0..1, optionally followed by alpha. Rounded to 8 bits, or to the number type of
        `like`, whose own values are written wherever `image` equals it.
    like
        The picture that this one was made from: its alpha (unless `image` has one), grayscale, values and metadata are
        kept.

    Returns
    -------
    list of str
        Messages on what is lost because this format cannot hold it, without the file's name.

    Raises
    ------
    ImageFileError
        As `check_writable`, or the encoder failed.
    OSError
        The path cannot be written.
    """
    target = Path(path)
    check_writable(target, like)
    suffix = target.suffix.lower()
    if like is None:
        like = Picture(image[:3])
    colors, alpha = image, like.alpha
    if image.shape[0] in (2, 4):
        colors, alpha = image[:-1], image[-1:]
    if colors.shape[0] == 1 or like.gray:
        colors = _to_gray(colors)
    deep = like.values is not None and (suffix in TIFF_SUFFIXES or (suffix == ".png" and like.sixteen_bit))
    metadata, lost = like.metadata.fit(target, deep)
    if like.values is not None and not deep and like.values.kind != "uint8":
        lost.append(f"its {like.values.kind} values are reduced to the 8 bits of a {suffix} file")
    with atomic_path(target) as temporary:
        if deep:
            values = _file_values(colors, alpha, like)
            with _encoding(target):
                samples.write_values(temporary, values, metadata)
        else:
            picture = _to_pillow(colors, alpha)
            options = WRITABLE_SUFFIXES[suffix] | metadata.save_options(suffix)
            with _encoding(target):
                picture.save(temporary, **options)
    return lost


def check_writable(path: str | os.PathLike[str], like: Picture | None = None) -> None:
    """Reject a name whose format cannot hold a picture like this one, before any work starts.

    Raises
    ------
    ImageFileError
        A suffix not in `WRITABLE_SUFFIXES`, alpha in a format without it, or numbers that only a TIFF can hold.
    """
    target = Path(path)
    suffix = target.suffix.lower()
    if suffix not in WRITABLE_SUFFIXES:
        raise ImageFileError(f"{target}: cannot write {target.suffix or 'a name without suffix'}; use .png")
    if like is None:
        return
    if like.alpha is not None and suffix in OPAQUE_SUFFIXES:
        raise ImageFileError(f"{target}: the picture has transparency, which this format cannot hold; use .png")
    if like.values is not None and like.values.kind not in ("uint8", "uint16") and suffix not in TIFF_SUFFIXES:
        raise ImageFileError(
            f"{target}: the picture holds {like.values.kind} values from {like.values.low:g} to {like.values.high:g}, "
            "which only a TIFF can hold; use .tif (for a folder: --keep-format)"
        )


def to_bytes(image: Tensor) -> np.ndarray:
    """`[C,H,W]` in 0..1 as uint8 `[H,W,C]`: exact for values that came from 8 bits; NaN becomes 0."""
    return to_uint8(image.detach().float().nan_to_num(0.0)).permute(1, 2, 0).cpu().numpy()


def from_bytes(pixels: np.ndarray) -> Tensor:
    """uint8 `[H,W,C]` as float32 `[C,H,W]` in 0..1."""
    return from_uint8(torch.from_numpy(pixels)).permute(2, 0, 1)


def _of_values(deep: samples.DeepPicture, header: Header, metadata: Metadata, problems: Any) -> Picture:
    colors = deep.colors.to_tensor()
    gray = len(colors) == 1
    return Picture(
        colors.expand(3, -1, -1).clone(),
        None if deep.alpha is None else deep.alpha.to_tensor(),
        gray,
        header,
        deep.colors,
        deep.alpha,
        metadata,
        _notes(header, deep.colors, problems),
    )


def _notes(header: Header, values: Samples | None, problems: Any) -> tuple[str, ...]:
    notes = [*problems, *note_on_frames(header)]
    if header.unnamed_band:
        notes.append("its last channel is unspecified and is taken as alpha")
    if values is not None and values.stretched:
        notes.append(f"its {values.kind} values are read as black at {values.low:g} and white at {values.high:g}")
    return tuple(notes)


@contextmanager
def _encoding(target: Path) -> Iterator[None]:
    """Make an encoder's error messages name the requested file instead of the temporary one."""
    failed: OSError | None = None
    with blame(target, "cannot be written"):
        try:
            yield
        except OSError as error:
            if error.errno is None:  # the encoder's own error
                raise
            failed = error  # a disk error
    if failed is not None:
        raise OSError(failed.errno, failed.strerror, str(target))


def _file_values(colors: Tensor, alpha: Tensor | None, like: Picture) -> np.ndarray:
    assert like.values is not None
    shown = colors.expand(like.values.values.shape[2], -1, -1)
    values = like.values.restore(shown)
    if alpha is None:
        return values
    if like.alpha_values is None:
        maximum = like.values.high
        return np.concatenate([values, (alpha.permute(1, 2, 0).numpy() * maximum).astype(values.dtype)], 2)
    return np.concatenate([values, like.alpha_values.restore(alpha)], 2)


def _to_gray(colors: Tensor) -> Tensor:
    """`[1,H,W]`: the mean of the channels, exactly their value where they are equal."""
    equal = (colors == colors[:1]).all(0, keepdim=True)
    return torch.where(equal, colors[:1], colors.mean(0, keepdim=True))


def _to_tensor(picture: Image.Image) -> Tensor:
    values = np.array(picture, dtype=np.uint8)
    return from_uint8(torch.from_numpy(values).reshape(picture.height, picture.width, -1).permute(2, 0, 1))


def _to_pillow(colors: Tensor, alpha: Tensor | None) -> Image.Image:
    values = to_bytes(colors if alpha is None else torch.cat([colors, alpha]))
    return Image.fromarray(values[..., 0] if values.shape[-1] == 1 else values)
