"""Pictures and masks on disk: decoded with one sentence for every kind of bad file, written whole or not at all."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from ..eight_bit import from_uint8, to_uint8
from . import sixteen_bit
from .atomic import atomic_path

# What Pillow may try; its other decoders (PostScript, FITS, ...) are not for untrusted files.
READABLE_FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "PPM")
READABLE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".ppm", ".pgm"})
WRITABLE_SUFFIXES: dict[str, dict[str, Any]] = {
    ".png": {"format": "PNG"},
    ".jpg": {"format": "JPEG", "quality": 95, "subsampling": 0},
    ".jpeg": {"format": "JPEG", "quality": 95, "subsampling": 0},
    ".webp": {"format": "WEBP", "lossless": True},
    ".tif": {"format": "TIFF", "compression": "tiff_lzw"},
    ".tiff": {"format": "TIFF", "compression": "tiff_lzw"},
    ".bmp": {"format": "BMP"},
}


class ImageFileError(ValueError):
    """A picture cannot be read or written; the message is one line that names the file and the reason."""


@dataclass(frozen=True)
class Picture:
    """A decoded picture.

    Attributes
    ----------
    image
        float32 `[3,H,W]`, RGB in 0..1, upright (EXIF orientation applied).
    alpha
        float32 `[1,H,W]` in 0..1, None where the file has none.
    gray
        The file had one colour channel (the three of `image` are equal).
    sixteen_bit
        The file had 16 bits a channel.
    icc_profile, exif
        Carried over when the picture is written again; None where the file has none.
    """

    image: Tensor
    alpha: Tensor | None = None
    gray: bool = False
    sixteen_bit: bool = False
    icc_profile: bytes | None = None
    exif: bytes | None = None


def open_upright(path: str | os.PathLike[str]) -> Image.Image:
    """Decode a file with Pillow, all of it, and turn it upright.

    Raises
    ------
    ImageFileError
        No such file, not a picture, truncated, or too many pixels (Pillow's guard against decompression bombs).
    """
    source = Path(path)
    if not source.is_file():
        raise ImageFileError(f"{source}: no such picture file")
    try:
        with Image.open(source, formats=READABLE_FORMATS) as picture:
            picture.load()
            return ImageOps.exif_transpose(picture)
    except UnidentifiedImageError:
        raise ImageFileError(f"{source}: not a picture that can be read ({', '.join(READABLE_FORMATS)})") from None
    except Image.DecompressionBombError as error:
        raise ImageFileError(f"{source}: too many pixels ({error})") from None
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise ImageFileError(f"{source}: the picture is damaged or truncated ({error})") from None


def decode_image(path: str | os.PathLike[str]) -> Picture:
    """Read a picture of any common kind: gray, RGB, with alpha, palette, CMYK, 8 or 16 bits a channel.

    Raises
    ------
    ImageFileError
        As `open_upright`.
    """
    picture = open_upright(path)
    icc_profile = picture.info.get("icc_profile")
    exif = picture.getexif().tobytes() if picture.getexif() else None
    if picture.mode in ("I;16", "I;16B", "I;16L", "I"):
        # Pillow gives 16-bit PNGs as I;16 or, in older versions, as I.
        values = torch.from_numpy(np.asarray(picture, dtype=np.float32) / 65535.0).clamp(0.0, 1.0)
        return Picture(values.expand(3, -1, -1).clone(), None, True, True, icc_profile, exif)
    deep = _sixteen_bit_colors(Path(path), picture)
    if deep is not None:
        colors, opacity = deep[:3], deep[3:] if len(deep) == 4 else None
        return Picture(colors, opacity, picture.mode in ("LA", "La"), True, icc_profile, exif)
    alpha = None
    if picture.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in picture.info:
        gray = picture.mode in ("LA", "La", "L")
        picture = picture.convert("RGBA")
        alpha = _to_tensor(picture.getchannel("A"))
    else:
        gray = picture.mode in ("L", "1", "F")
    if icc_profile is not None and picture.mode == "CMYK":
        icc_profile = None  # a CMYK profile would be wrong for the RGB picture
    return Picture(_to_tensor(picture.convert("RGB")), alpha, gray, False, icc_profile, exif)


def decode_mask(path: str | os.PathLike[str]) -> Tensor:
    """Read a mask file: white (brightness of at least half) = hole; float32 `[1,1,H,W]`, exactly 0 or 1.

    Raises
    ------
    ImageFileError
        As `open_upright`.
    """
    picture = open_upright(path)
    if picture.mode.startswith("I"):
        values = torch.from_numpy(np.asarray(picture, dtype=np.float32) / 65535.0)[None]
    else:
        values = _to_tensor(picture.convert("L"))
    return (values >= 0.5).float()[None]


def write_image(path: str | os.PathLike[str], image: Tensor, like: Picture | None = None) -> None:
    """Write a picture; the format follows the suffix.

    Parameters
    ----------
    path
        .png, .jpg, .webp (lossless), .tif or .bmp; an existing file is replaced only once the new one is complete.
    image
        `[3,H,W]` or `[1,H,W]`, 0..1; rounded to 8 bits, or to 16 for a 16-bit `like` in a PNG or TIFF.
    like
        The picture that this one was made from: its alpha, grayness, ICC profile and EXIF data are kept.

    Raises
    ------
    ImageFileError
        Another suffix, or alpha into a format without it.
    OSError
        The path cannot be written.
    """
    target = Path(path)
    options = WRITABLE_SUFFIXES.get(target.suffix.lower())
    if options is None:
        raise ImageFileError(f"{target}: cannot write {target.suffix or 'a name without suffix'}; use .png")
    deep = like is not None and like.sixteen_bit and target.suffix.lower() in (".png", ".tif", ".tiff")
    if like is not None and deep and (like.alpha is not None or not like.gray):
        channels = image.expand(3, -1, -1) if like.alpha is None else torch.cat([image.expand(3, -1, -1), like.alpha])
        values = (channels.clamp(0.0, 1.0) * 65535.0 + 0.5).permute(1, 2, 0).numpy().astype(np.uint16)
        with atomic_path(target) as temporary:
            sixteen_bit.write_values(temporary, values, like.icc_profile, like.exif)
        return
    picture = _to_pillow(target, image, like)
    if like is not None:
        extra = {"icc_profile": like.icc_profile, "exif": like.exif}
        options = options | {key: value for key, value in extra.items() if value is not None}
    with atomic_path(target) as temporary:
        picture.save(temporary, **options)


def list_images(folder: str | os.PathLike[str]) -> list[Path]:
    """Files of a folder, by name, whose suffix is a picture's."""
    return sorted(
        entry
        for entry in Path(folder).iterdir()
        if entry.suffix.lower() in READABLE_SUFFIXES and entry.is_file() and not entry.name.startswith(".")
    )


def to_bytes(image: Tensor) -> np.ndarray:
    """`[C,H,W]` in 0..1 as uint8 `[H,W,C]`: exact for values that came from 8 bits."""
    return to_uint8(image.detach().float()).permute(1, 2, 0).cpu().numpy()


def _sixteen_bit_colors(path: Path, picture: Image.Image) -> Tensor | None:
    """`[3,H,W]` or `[4,H,W]` in 0..1 of a file with 16 bits a channel that Pillow decoded as 8; None for others."""
    if picture.mode not in ("RGB", "RGBA", "LA"):
        return None
    with Image.open(path, formats=READABLE_FORMATS) as undecoded:
        if not sixteen_bit.has_sixteen_bits(undecoded):
            return None
        values = sixteen_bit.read_values(path, undecoded.getexif().get(sixteen_bit.ORIENTATION, 1))
    if values is None or values.shape[:2] != (picture.height, picture.width):
        return None
    return torch.from_numpy(values.astype(np.float32) / 65535.0).permute(2, 0, 1).contiguous()


def _to_tensor(picture: Image.Image) -> Tensor:
    values = np.array(picture, dtype=np.uint8)
    return from_uint8(torch.from_numpy(values).reshape(picture.height, picture.width, -1).permute(2, 0, 1))


def _to_pillow(target: Path, image: Tensor, like: Picture | None) -> Image.Image:
    gray = image.shape[0] == 1 or (like is not None and like.gray)
    if gray:
        image = image.mean(0, keepdim=True)
    if like is not None and like.sixteen_bit and target.suffix.lower() in (".png", ".tif", ".tiff"):
        return Image.fromarray((image[0].clamp(0.0, 1.0) * 65535.0 + 0.5).numpy().astype(np.uint16))
    if like is not None and like.alpha is not None:
        if target.suffix.lower() in (".jpg", ".jpeg", ".bmp"):
            raise ImageFileError(f"{target}: this format has no transparency, which the picture has; use .png")
        image = torch.cat([image, like.alpha])
    values = to_bytes(image)
    return Image.fromarray(values[..., 0] if values.shape[-1] == 1 else values)
