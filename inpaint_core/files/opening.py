"""Picture files opened and looked at: limits before anything is decoded, one sentence for every kind of bad file."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError

# What Pillow may try; its other decoders (PostScript, FITS, ...) are not for untrusted files.
READABLE_FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "PPM")
MAX_PIXELS = 89_478_485
"""Pixels that a picture may have unless a command is told otherwise: a quarter of a GiB as 8-bit RGB."""
MAX_BYTES = 2 * 2**30  # of a file; more than MAX_PIXELS take in any depth
BYTES_PER_PIXEL = 24
ORIENTATION = 0x0112  # EXIF tag
# What the EXIF standard's orientations make of a picture as it is stored to show it upright.
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class ImageFileError(ValueError):
    """A picture cannot be read or written; the message is one line that names the file and the reason."""


class TooManyPixelsError(ImageFileError):
    """A picture has more pixels than are accepted."""


@dataclass(frozen=True)
class Header:
    """What a file says about its picture.

    Attributes
    ----------
    format, mode
        As Pillow names them; `mode` is empty where Pillow does not know it (TIFF of unusual values).
    height, width
        Of the upright picture in pixels.
    orientation
        EXIF's, 1 to 8; 1 where the file has none or one that means nothing.
    frames
        Pictures in the file: pages of a TIFF, frames of an animation.
    transparent
        There is an alpha channel or a transparent color.
    unnamed_band
        It is a TIFF that does not say what its last band is; that is taken for alpha.
    """

    format: str
    mode: str
    height: int
    width: int
    orientation: int = 1
    frames: int = 1
    transparent: bool = False
    unnamed_band: bool = False


def add_limit_argument(parser: Any) -> None:
    """Declare `--max-megapixels`; see `pixel_limit`."""
    parser.add_argument(
        "--max-megapixels",
        type=float,
        metavar="N",
        help=f"accept pictures of up to so many million pixels (default: {MAX_PIXELS / 1e6:.0f})",
    )


def pixel_limit(megapixels: float | None) -> int:
    """Pixels that a picture may have, of what was given as `--max-megapixels`.

    Raises
    ------
    ValueError
        Not a positive number.
    """
    if megapixels is None:
        return MAX_PIXELS
    if not 0.0 < megapixels < 1e6:
        raise ValueError(f"--max-megapixels {megapixels:g}: give a number of million pixels above 0")
    return round(megapixels * 1e6)


@contextmanager
def blame(path: str | os.PathLike[str], what: str = "the picture is damaged or truncated") -> Iterator[None]:
    """Turn whatever is raised while one file is decoded or encoded into an ImageFileError that names the file.

    Decoders raise nearly anything at a damaged file: a flipped bit in a header reaches them as a wrong type, an
    impossible size or a missing key. Nothing inside may be cancelled by a host, whose exception would be taken, too.
    """
    try:
        yield
    except ImageFileError:
        raise
    except MemoryError:
        raise ImageFileError(f"{path}: memory ran out; the picture is too large for this machine") from None
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ImageFileError(f"{path}: {what} ({reason[:200]})") from None


def check_file(path: str | os.PathLike[str], max_pixels: int = MAX_PIXELS) -> None:
    """Refuse what no picture can be, without opening it: a pipe would wait for ever, a giant fills the memory.

    Raises
    ------
    ImageFileError
        No such file, a link that leads nowhere, a folder, pipe or device, or a file larger than any picture.
    """
    try:
        found = os.stat(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        if isinstance(error, FileNotFoundError) and not os.path.islink(path):
            raise ImageFileError(f"{path}: no such picture file") from None
        raise ImageFileError(f"{path}: cannot be read ({reason})") from None
    if not stat.S_ISREG(found.st_mode):
        raise ImageFileError(f"{path}: no such picture file; this is a folder, pipe or device")
    if found.st_size > max(MAX_BYTES, BYTES_PER_PIXEL * max_pixels):
        raise ImageFileError(f"{path}: {found.st_size / 2**30:.0f} GiB are more than any picture that is read takes")


@contextmanager
def open_picture(path: str | os.PathLike[str], max_pixels: int = MAX_PIXELS) -> Iterator[Image.Image]:
    """A picture opened with Pillow, whose header has been read and nothing else.

    Raises
    ------
    ImageFileError
        As `check_file`, not a picture, or a damaged header; TooManyPixelsError for more than `max_pixels`. What is
        raised inside the context is taken for the file's fault as well: see `blame`.
    """
    check_file(path, max_pixels)
    with blame(path), open(path, "rb") as file:
        try:
            picture = _identify(file)
        except UnidentifiedImageError:
            raise ImageFileError(f"{path}: not a picture that can be read ({', '.join(READABLE_FORMATS)})") from None
        check_size(path, picture.width, picture.height, max_pixels)
        with picture:
            yield picture


def check_size(path: str | os.PathLike[str], width: int, height: int, max_pixels: int) -> None:
    """Refuse a picture of too many pixels.

    Raises
    ------
    TooManyPixelsError
        The message says how the limit is raised.
    """
    if width * height > max_pixels:
        needed = -(-width * height // 10**6)
        raise TooManyPixelsError(
            f"{path}: too many pixels: {width}x{height} are {needed} megapixels, {max_pixels // 10**6} are accepted; "
            f"raise the limit with --max-megapixels {needed} (in a training --data.max_megapixels {needed})"
        )


def read_header(path: str | os.PathLike[str], max_pixels: int = MAX_PIXELS) -> Header:
    """Look at a file without decoding its pixels.

    Raises
    ------
    ImageFileError
        As `open_picture`.
    """
    from . import samples

    check_file(path, max_pixels)
    tiff = samples.inspect_tiff(Path(path), max_pixels)
    if tiff is not None:
        return tiff
    with open_picture(path, max_pixels) as picture:
        return describe(picture)


def describe(picture: Image.Image) -> Header:
    """The header of a picture that Pillow has opened but not decoded."""
    orientation = orientation_of(picture)
    width, height = picture.size
    # Of a TIFF, newer versions of Pillow state the size of the upright picture.
    swapped = orientation >= 5 and not (picture.format == "TIFF" and _turns_tiffs(picture))
    return Header(
        picture.format or "",
        picture.mode,
        width if swapped else height,
        height if swapped else width,
        orientation,
        getattr(picture, "n_frames", 1),
        picture.mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in picture.info,
    )


def orientation_of(picture: Image.Image) -> int:
    """EXIF's orientation; 1 where there is none, where it is no number from 1 to 8, and where EXIF is damaged."""
    exif = read_exif(picture)
    value: Any = exif.get(ORIENTATION) if exif is not None else None
    if isinstance(value, tuple) and len(value) == 1:
        value = value[0]
    try:
        number = int(value) if value is not None and float(value) == int(value) else 1
    except (TypeError, ValueError, ArithmeticError):
        return 1
    return number if number in TURNS else 1


def read_exif(picture: Image.Image) -> Image.Exif | None:
    """EXIF data, empty where the file has none; None where they are damaged."""
    try:
        return picture.getexif()
    except Exception:  # see `blame`; the pixels do not depend on it
        return None


def _identify(file: Any) -> Image.Image:
    """As `Image.open`, but for the limit on pixels, which is global there and mere warning up to twice its value."""
    Image.init()
    prefix = file.read(16)
    for name in READABLE_FORMATS:
        factory, accepts = Image.OPEN[name]
        accepted = accepts is None or accepts(prefix)
        if not accepted or isinstance(accepted, str):  # a string says what is missing to read it
            continue
        file.seek(0)
        try:
            return factory(file, "")
        except SyntaxError:
            continue  # of another format, says the decoder
    raise UnidentifiedImageError


def _turns_tiffs(picture: Image.Image) -> bool:
    stored = getattr(picture, "tag_v2", {}).get(256)
    return stored is not None and stored != picture.size[0]
