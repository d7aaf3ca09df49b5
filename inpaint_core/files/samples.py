"""Values that 8 bits cannot hold: 16-bit PNG and PPM, integer and floating-point TIFF, read and written exactly."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from .metadata import Metadata, read_tiff_metadata
from .opening import ORIENTATION, TURNS, Header, ImageFileError, blame, check_size

if TYPE_CHECKING:
    import tifffile

Values = NDArray[Any]

TIFF_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, CIELAB = 0, 1, 2, 8  # TIFF's photometric interpretations
ASSOCIATED, UNASSOCIATED = 1, 2  # its types of extra samples that are alpha
NODATA = 42113  # GDAL's tag: the value that means "no data"
# Integers up to these values count as 8, 12 or 16 bits stored in a wider type.
USUAL_GREATEST = (255, 4095, 65535)


@dataclass(frozen=True)
class Samples:
    """A file's own values, and which of them are black and white.

    Attributes
    ----------
    values
        `[H,W,C]` of any number type, upright.
    low, high
        The values that become 0 and 1 in the picture.
    missing
        `[H,W]`, true where a value means "no data"; None if there are no such values.
    """

    values: Values
    low: float
    high: float
    missing: NDArray[np.bool_] | None = None

    @property
    def kind(self) -> str:
        """The number type, such as `uint16`."""
        return str(self.values.dtype)

    @property
    def stretched(self) -> bool:
        """Whether black and white differ from the defaults of the number type."""
        usual = {"uint8": (0.0, 255.0), "uint16": (0.0, 65535.0)}.get(self.kind, (0.0, 1.0))
        return (self.low, self.high) != usual

    def to_tensor(self) -> Tensor:
        """Float32 `[C,H,W]` in 0..1; NaN where a value is missing or not finite."""
        scaled = (self.values.astype(np.float64) - self.low) / (self.high - self.low)
        unknown: NDArray[np.bool_] = ~np.asarray(np.isfinite(self.values).all(2))
        if self.missing is not None:
            unknown |= self.missing
        scaled = np.where(unknown[..., None], np.nan, np.clip(scaled, 0.0, 1.0))
        return torch.from_numpy(scaled.astype(np.float32)).permute(2, 0, 1).contiguous()

    def restore(self, image: Tensor) -> Values:
        """Values of a picture `[C,H,W]` made from this one: the file's own wherever nothing was changed."""
        before = self.to_tensor()
        changed = ((image != before) & ~(image.isnan() & before.isnan())).permute(1, 2, 0).numpy()
        fresh = image.permute(1, 2, 0).double().nan_to_num(0.0).clamp(0.0, 1.0).numpy()
        fresh = fresh * (self.high - self.low) + self.low
        if self.values.dtype.kind in "iu":
            limits = np.iinfo(self.values.dtype)
            fresh = np.clip(np.rint(fresh), float(limits.min), float(limits.max))
        return np.where(changed, fresh.astype(self.values.dtype), self.values)


def of_values(values: Values, missing: NDArray[np.bool_] | None = None) -> Samples:
    """Samples of values `[H,W,C]`, with black and white chosen from their range.

    Integers from 0 up count as 8, 12 or 16 bits, the smallest depth that holds them all; floating-point values in 0..1
    are used as they are, and values up to 255 count as 8 bits; for everything else the lowest value is black and the
    highest white.
    """
    finite = np.isfinite(values).all(2)
    if missing is not None:
        finite &= ~missing
    low, high = _range(values[finite])
    return Samples(values, low, high, missing)


def _range(values: Values) -> tuple[float, float]:
    if not values.size:
        return 0.0, 1.0
    low, high = float(values.min()), float(values.max())
    whole = values.dtype.kind in "iu"
    steps = USUAL_GREATEST if whole else (1.0, 255.0)
    if low >= 0.0 and high <= steps[-1]:
        if whole and high == 0.0:  # an all-black picture does not reveal the bit depth
            return 0.0, float(steps[-1])
        return 0.0, float(next(maximum for maximum in steps if high <= maximum))
    return low, high if high > low else low + 1.0


@dataclass(frozen=True)
class DeepPicture:
    """Values of colors `[H,W,1 or 3]`, and of alpha `[H,W,1]` or None."""

    colors: Samples
    alpha: Samples | None


def is_deep(picture: Image.Image) -> bool:
    """Whether an opened file has values beyond 8 bits; it must not be decoded yet (reading a PNG's EXIF data decodes
    it)."""
    if picture.mode in ("I;16", "I;16B", "I;16L", "I", "F"):
        return True
    several = len(picture.getbands()) > 1
    if picture.format == "PNG":
        return several and ";16" in str(vars(picture)["tile"])
    return picture.format == "PPM" and picture.mode == "RGB" and _maximum_of_ppm(picture) > 255


def read_deep(path: Path, picture: Image.Image, orientation: int) -> DeepPicture:
    """Values of a file for which `is_deep` is true; Pillow itself would reduce colors to 8 bits.

    Raises
    ------
    ImageFileError
        The values cannot be read.
    """
    transparent = picture.info.get("transparency")
    picture.load()
    if picture.mode in ("I;16", "I;16B", "I;16L", "I", "F"):  # gray: Pillow keeps its values
        values = _upright(np.asarray(picture), orientation)
        colors = of_values(values.astype(np.float32 if picture.mode == "F" else np.uint16)[..., None])
        if not isinstance(transparent, int):
            return DeepPicture(colors, None)
        opaque = np.where(values != transparent, 65535, 0).astype(np.uint16)[..., None]
        return DeepPicture(colors, Samples(opaque, 0.0, 65535.0))
    values = _upright(_read_with_opencv(path), orientation)
    if values.shape[2] == 3 and isinstance(transparent, tuple):
        opaque = (values != np.array(transparent)).any(2, keepdims=True)
        values = np.concatenate([values, np.where(opaque, 65535, 0).astype(values.dtype)], 2)
    return _divide(values, gray=picture.mode == "LA")


def inspect_tiff(path: Path, max_pixels: int) -> Header | None:
    """The header of a TIFF that Pillow would not read faithfully: not 8 bits, or with an unnamed channel.

    None for other files.

    Raises
    ------
    ImageFileError
        Too many pixels, or colors that cannot be preserved.
    """
    if not _is_tiff(path):
        return None
    with blame(path), _open_tiff(path) as file:
        page = file.pages.first
        _reject_foreign_colors(path, page)
        unnamed = _further_bands(page) == 1 and UNASSOCIATED not in _kinds_of_bands(page)
        if page.dtype is not None and page.dtype.kind == "c":
            raise ImageFileError(f"{path}: its values are complex numbers; save their magnitudes instead")
        if page.dtype is None or page.dtype.kind == "b" or (page.dtype == np.uint8 and not unnamed):
            return None
        orientation = _orientation(page)
        height, width = page.imagelength, page.imagewidth
        check_size(path, width, height, max_pixels)
        if orientation >= 5:
            height, width = width, height
        frames = sum(not one.is_reduced for one in file.pages)
        return Header("TIFF", "", height, width, orientation, frames, _further_bands(page) > 0, unnamed)


def read_tiff(path: Path) -> tuple[DeepPicture, Metadata]:
    """Values and metadata of the first page of a TIFF for which `inspect_tiff` returns a header.

    Raises
    ------
    ImageFileError
        A layout or compression that cannot be read.
    """
    with blame(path), _open_tiff(path) as file:
        page = file.pages.first
        orientation = _orientation(page)
        try:
            values = page.asarray()
        except ValueError:  # a compression that needs another package
            values = _read_with_opencv(path)
        if values.ndim == 3 and page.planarconfig == 2 and values.shape[0] == page.samplesperpixel:
            values = np.moveaxis(values, 0, 2)
        tag = page.tags.get(NODATA)
        values = _upright(values, orientation)
        missing = None if tag is None else _is_missing(values, str(tag.value))
        return _divide(values, gray=page.samplesperpixel <= 2, missing=missing), read_tiff_metadata(page)


def write_values(path: Path, values: Values, metadata: Metadata) -> None:
    """Encode `[H,W,1..4]` as TIFF or 16-bit PNG, by the path's suffix."""
    if path.suffix.lower() == ".png":
        path.write_bytes(_png(values, metadata))
        return
    import tifffile

    channels = values.shape[2]
    resolution: dict[str, Any] = {}
    if metadata.dpi is not None:
        resolution = {"resolution": metadata.dpi, "resolutionunit": "INCH"}
    tifffile.imwrite(
        path,
        values[..., 0] if channels == 1 else values,
        photometric="rgb" if channels >= 3 else "minisblack",
        planarconfig="contig" if channels > 1 else None,
        compression="zlib",
        iccprofile=metadata.icc_profile,
        extrasamples=["unassalpha"] if channels in (2, 4) else None,
        extratags=[(tag, kind, len(value), value, True) for tag, (kind, value) in metadata.geo.items()],
        metadata=None,
        **resolution,
    )


def _divide(values: Values, gray: bool, missing: NDArray[np.bool_] | None = None) -> DeepPicture:
    if values.ndim == 2:
        values = values[..., None]
    if values.shape[2] not in (1, 2, 3, 4):
        raise ValueError(f"{values.shape[2]} channels")
    count = 1 if values.shape[2] <= 2 else 3
    if gray and count == 3:  # gray with alpha, as returned by OpenCV
        values, count = values[..., [0, 3]], 1
    colors = of_values(values[..., :count], missing)
    if values.shape[2] == count:
        return DeepPicture(colors, None)
    alpha = values[..., count:]
    maximum = float(alpha.max())
    # Alpha of 8 or 12 bits has the same depth as the colors.
    if alpha.dtype.kind == "u":
        high = colors.high if maximum <= colors.high else float(np.iinfo(alpha.dtype).max)
    else:
        high = maximum if maximum > 1.0 else 1.0
    return DeepPicture(colors, Samples(alpha, 0.0, high))


def _is_missing(values: Values, text: str) -> NDArray[np.bool_] | None:
    try:
        nodata = float(text.strip("\0 "))
    except ValueError:
        return None  # GDAL also ignores it
    plane = values if values.ndim == 2 else values[..., 0]
    return np.asarray(plane == np.asarray(nodata).astype(values.dtype)) if np.isfinite(nodata) else None


def _upright(values: Values, orientation: int) -> Values:
    turn: dict[Image.Transpose, Callable[[Values], Values]] = {
        Image.Transpose.FLIP_LEFT_RIGHT: lambda a: a[:, ::-1],
        Image.Transpose.ROTATE_180: lambda a: a[::-1, ::-1],
        Image.Transpose.FLIP_TOP_BOTTOM: lambda a: a[::-1],
        Image.Transpose.TRANSPOSE: lambda a: np.swapaxes(a, 0, 1),
        Image.Transpose.ROTATE_270: lambda a: np.rot90(a, -1),
        Image.Transpose.TRANSVERSE: lambda a: np.swapaxes(a[::-1, ::-1], 0, 1),
        Image.Transpose.ROTATE_90: np.rot90,
    }
    return np.ascontiguousarray(turn[TURNS[orientation]](values) if orientation in TURNS else values)


def _read_with_opencv(path: Path) -> Values:
    import cv2

    encoded = np.fromfile(path, np.uint8)
    values = cv2.imdecode(encoded, cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION)
    if values is None:
        raise ImageFileError(f"{path}: its values or compression cannot be read; save it without compression")
    if values.ndim == 3 and values.shape[2] >= 3:
        values = values[..., [2, 1, 0, 3][: values.shape[2]]]
    return np.asarray(values)


def _maximum_of_ppm(picture: Image.Image) -> int:
    arguments = vars(picture)["tile"][0][3]
    return arguments[-1] if isinstance(arguments, tuple) and isinstance(arguments[-1], int) else 255


def _is_tiff(path: Path) -> bool:
    with blame(path), path.open("rb") as file:
        return file.read(4) in TIFF_SIGNATURES


def _open_tiff(path: Path) -> tifffile.TiffFile:
    import tifffile

    return tifffile.TiffFile(path)


def _orientation(page: Any) -> int:
    tag = page.tags.get(ORIENTATION)
    return tag.value if tag is not None and tag.value in TURNS else 1


def _kinds_of_bands(page: Any) -> list[int]:
    return [int(kind) for kind in page.extrasamples or ()]


def _further_bands(page: Any) -> int:
    """Number of channels beyond gray or RGB."""
    if page.photometric not in (BLACK_IS_ZERO, RGB):
        return 0
    return int(page.samplesperpixel) - (3 if page.photometric == RGB else 1)


def _reject_foreign_colors(path: Path, page: Any) -> None:
    """Reject colors that would have to be converted, because known pixels would not be preserved."""
    if page.photometric == CIELAB:
        raise ImageFileError(f"{path}: CIELAB colors are not supported; save the picture as RGB")
    if ASSOCIATED in _kinds_of_bands(page):
        raise ImageFileError(
            f"{path}: its colors are premultiplied by alpha, which loses precision; save it with straight alpha"
        )
    if _further_bands(page) > 1:
        raise ImageFileError(
            f"{path}: {page.samplesperpixel} channels, but at most gray or RGB with alpha is supported; save only "
            "those channels"
        )
    if page.photometric == WHITE_IS_ZERO and page.dtype is not None and page.dtype.itemsize > 1:
        raise ImageFileError(f"{path}: 0 means white (MinIsWhite), which is only supported for 8 bits; invert it first")


def _png(values: Values, metadata: Metadata) -> bytes:
    import cv2

    order = [2, 1, 0, 3][: values.shape[2]] if values.shape[2] > 2 else [0, 0, 0, 1][: 1 + 3 * (values.shape[2] == 2)]
    encoded = cv2.imencode(".png", np.ascontiguousarray(values[..., order]))[1].tobytes()
    # The signature and the header chunk are 33 bytes; chunks that describe the colors must come before the pixels.
    chunks = b""
    if metadata.icc_profile is not None:
        chunks += _chunk(b"iCCP", b"ICC Profile\0\0" + zlib.compress(metadata.icc_profile))
    if metadata.exif is not None:
        chunks += _chunk(b"eXIf", metadata.exif.removeprefix(b"Exif\0\0"))
    if metadata.dpi is not None:
        across, down = (round(dots / 0.0254) for dots in metadata.dpi)
        chunks += _chunk(b"pHYs", struct.pack(">IIB", across, down, 1))
    return encoded[:33] + chunks + encoded[33:]


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
