"""Opening picture files: limits are checked before decoding, and a bad file raises a one-line error."""

from __future__ import annotations

import os
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image, UnidentifiedImageError

from ..text import MAX_MESSAGE_LENGTH, one_line
from .suffixes import describe_suffix

# Formats Pillow may try; its other decoders (PostScript, FITS, ...) are not safe for untrusted files.
READABLE_FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "PPM")
MAX_PIXELS = 89_478_485
"""Default limit on the pixels of a picture: a quarter of a GiB as 8-bit RGB."""
MAX_BYTES = 2 * 2**30  # size of a file; more than MAX_PIXELS need at any bit depth
BYTES_PER_PIXEL = 24
ORIENTATION = 0x0112  # EXIF tag
PHOTOMETRIC = 262  # TIFF tag
# Transpositions that make a stored picture upright, by EXIF orientation.
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
    """A picture cannot be read or written; the message is one line that names the file and the reason.

    Names are untrusted, so they are sanitized: see `inpaint_core.text.one_line`.
    """

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message, MAX_MESSAGE_LENGTH))

    def without(self, path: str | os.PathLike[str]) -> str:
        """The reason alone, without this file's name at the start."""
        return str(self).removeprefix(one_line(f"{os.fspath(path)}: ", MAX_MESSAGE_LENGTH) + " ")


class TooManyPixelsError(ImageFileError):
    """A picture has more pixels than the limit allows."""


@dataclass(frozen=True)
class Header:
    """The header of a picture file.

    Attributes
    ----------
    format, mode
        Pillow's names; `mode` is empty if Pillow does not know it (TIFFs with unusual values).
    height, width
        Size of the upright picture in pixels.
    orientation
        EXIF's, 1 to 8; 1 if the file has none or an invalid one.
    frames
        Pictures in the file: pages of a TIFF, frames of an animation.
    transparent
        Whether there is an alpha channel or a transparent color.
    unnamed_band
        Whether it is a TIFF whose last channel is unspecified and therefore taken as alpha.
    zero_is_white
        Whether it is a TIFF in which 0 is white (MinIsWhite).
    """

    format: str
    mode: str
    height: int
    width: int
    orientation: int = 1
    frames: int = 1
    transparent: bool = False
    unnamed_band: bool = False
    zero_is_white: bool = False


def add_limit_argument(parser: Any) -> None:
    """Add `--max-megapixels`; see `pixel_limit`."""
    parser.add_argument(
        "--max-megapixels",
        type=float,
        metavar="N",
        help=f"maximum size of a picture in megapixels (default: {MAX_PIXELS / 1e6:.0f})",
    )


def pixel_limit(megapixels: float | None) -> int:
    """The limit on pixels given by `--max-megapixels`.

    Raises
    ------
    ValueError
        Not a positive number.
    """
    if megapixels is None:
        return MAX_PIXELS
    if not 0.0 < megapixels < 1e6:
        raise ValueError(f"--max-megapixels {megapixels:g}: must be above 0 (million pixels)")
    return round(megapixels * 1e6)


@contextmanager
def blame(path: str | os.PathLike[str], what: str = "the picture is damaged or truncated") -> Iterator[None]:
    """Convert any error while decoding or encoding a file to an ImageFileError that names the file.

    Decoders raise almost any exception for a damaged file: a flipped bit in a header may result in a wrong type, an
    impossible size or a missing key. Code inside must not be cancellable by a host, because its exception would also be
    caught.
    """
    try:
        yield
    except ImageFileError:
        raise
    except MemoryError:
        raise ImageFileError(f"{path}: out of memory: the picture is too large for this machine") from None
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ImageFileError(f"{path}: {what} ({reason[:200]})") from None


def check_file(path: str | os.PathLike[str], max_pixels: int = MAX_PIXELS) -> None:
    """Reject what cannot be a picture without opening it: a pipe would block forever, and a huge file would fill the
    memory.

    Raises
    ------
    ImageFileError
        No such file, a broken link, a folder, pipe or device, or a file larger than any accepted picture.
    """
    try:
        found = os.stat(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        if isinstance(error, FileNotFoundError) and not os.path.islink(path):
            raise ImageFileError(f"{path}: no such picture file") from None
        raise ImageFileError(f"{path}: cannot be read ({reason})") from None
    if not stat.S_ISREG(found.st_mode):
        raise ImageFileError(f"{path}: not a picture file, but a folder, pipe or device")
    if found.st_size > max(MAX_BYTES, BYTES_PER_PIXEL * max_pixels):
        raise ImageFileError(f"{path}: {found.st_size / 2**30:.0f} GiB is too large for a picture file")


@contextmanager
def open_picture(path: str | os.PathLike[str], max_pixels: int = MAX_PIXELS) -> Iterator[Image.Image]:
    """A picture opened with Pillow, of which only the header has been read.

    Raises
    ------
    ImageFileError
        As `check_file`, not a picture, or a damaged header; TooManyPixelsError for more than `max_pixels`. Errors
        raised inside the context are also attributed to the file; see `blame`.
    """
    check_file(path, max_pixels)
    with blame(path), open(path, "rb") as file:
        try:
            picture = _identify(file)
            if picture.format == "PNG":
                check_chunks(path, file)
        except UnidentifiedImageError:
            known = describe_suffix(Path(path).suffix) or ", ".join(READABLE_FORMATS)
            raise ImageFileError(f"{path}: not a picture that can be read ({known})") from None
        check_size(path, picture.width, picture.height, max_pixels)
        with picture:
            yield picture


def check_chunks(path: str | os.PathLike[str], file: BinaryIO) -> None:
    """Reject a PNG with a corrupt chunk that the pixels depend on; the decoder does not check.

    Truncated files are left to the decoder.

    Raises
    ------
    ImageFileError
        A checksum is wrong.
    """
    place = file.tell()
    file.seek(8)
    while len(start := file.read(8)) == 8:
        length, name = int.from_bytes(start[:4], "big"), start[4:]
        checksum = zlib.crc32(name)
        while length > 0 and (part := file.read(min(length, 1 << 20))):
            checksum = zlib.crc32(part, checksum)
            length -= len(part)
        stored = file.read(4)
        needed = name[:1].isupper() or name == b"tRNS"
        if needed and len(stored) == 4 and int.from_bytes(stored, "big") != checksum:
            raise ImageFileError(f"{path}: the picture is damaged (the checksum of {ascii(name)[2:-1]} is wrong)")
        if name == b"IEND":
            break
    file.seek(place)


def check_size(path: str | os.PathLike[str], width: int, height: int, max_pixels: int) -> None:
    """Reject a picture with too many pixels.

    Raises
    ------
    TooManyPixelsError
        The message explains how to raise the limit.
    """
    if width * height > max_pixels:
        needed = -(-width * height // 10**6)
        raise TooManyPixelsError(
            f"{path}: too many pixels: {width}x{height} is {needed} megapixels, but the limit is "
            f"{max_pixels // 10**6}; raise it with --max-megapixels {needed} (for training: --data.max_megapixels "
            f"{needed})"
        )


def read_header(path: str | os.PathLike[str], max_pixels: int = MAX_PIXELS) -> Header:
    """Read a file's header without decoding its pixels.

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


def note_on_frames(header: Header) -> list[str]:
    """A note that a file contains more pictures than the one used, and how many."""
    if header.frames <= 1:
        return []
    return [
        f"it contains {header.frames} {'pages' if header.format == 'TIFF' else 'frames'}, of which only the first is "
        "used"
    ]


def describe(picture: Image.Image) -> Header:
    """The header of a picture that Pillow has opened but not decoded."""
    orientation = orientation_of(picture)
    width, height = picture.size
    # For a TIFF, newer versions of Pillow give the size of the upright picture.
    swapped = orientation >= 5 and not (picture.format == "TIFF" and _turns_tiffs(picture))
    return Header(
        picture.format or "",
        picture.mode,
        width if swapped else height,
        height if swapped else width,
        orientation,
        getattr(picture, "n_frames", 1),
        picture.mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in picture.info,
        zero_is_white=getattr(picture, "tag_v2", {}).get(PHOTOMETRIC) == 0,
    )


def orientation_of(picture: Image.Image) -> int:
    """EXIF's orientation; 1 if there is none, if it is not a number from 1 to 8, or if EXIF is damaged."""
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
    """EXIF data, empty if the file has none; None if it is damaged."""
    try:
        return picture.getexif()
    except Exception:  # see `blame`; the pixels do not depend on it
        return None


def _identify(file: Any) -> Image.Image:
    """Like `Image.open`, except for the pixel limit, which is global in Pillow and only a warning up to twice its
    value."""
    Image.init()
    prefix = file.read(16)
    for name in READABLE_FORMATS:
        factory, accepts = Image.OPEN[name]
        accepted = accepts is None or accepts(prefix)
        if not accepted or isinstance(accepted, str):  # a string describes what is missing to read it
            continue
        file.seek(0)
        try:
            return factory(file, "")
        except SyntaxError:
            continue  # not this decoder's format
    raise UnidentifiedImageError


def _turns_tiffs(picture: Image.Image) -> bool:
    stored = getattr(picture, "tag_v2", {}).get(256)
    return stored is not None and stored != picture.size[0]
