"""Colour pictures of 16 bits a channel, which Pillow reads as 8: PNG and TIFF, through OpenCV and tifffile."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Values = NDArray[np.uint16]

ORIENTATION = 0x0112  # EXIF tag
# What the EXIF standard's orientations 1 to 8 need to become upright, on [H,W,...].
UPRIGHT = {
    2: lambda values: values[:, ::-1],
    3: lambda values: values[::-1, ::-1],
    4: lambda values: values[::-1],
    5: lambda values: np.swapaxes(values, 0, 1),
    6: lambda values: np.rot90(values, -1),
    7: lambda values: np.swapaxes(values[::-1, ::-1], 0, 1),
    8: lambda values: np.rot90(values),
}


def has_sixteen_bits(picture: Image.Image) -> bool:
    """Whether a picture that Pillow has opened but not decoded has 16 bits a channel and several channels."""
    return picture.format in ("PNG", "TIFF") and len(picture.getbands()) > 1 and ";16" in str(vars(picture)["tile"])


def read_values(path: Path, orientation: int) -> Values | None:
    """Decode `[H,W,3]` RGB or `[H,W,4]` RGBA, upright; None where OpenCV cannot."""
    import cv2

    encoded = np.fromfile(path, np.uint8)
    values = cv2.imdecode(encoded, cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION)
    if values is None or values.dtype != np.uint16 or values.ndim != 3:
        return None
    upright = UPRIGHT.get(orientation, lambda same: same)(values)
    order = [2, 1, 0, 3][: values.shape[2]]
    return np.ascontiguousarray(upright[..., order])


def write_values(path: Path, values: Values, icc_profile: bytes | None, exif: bytes | None) -> None:
    """Encode `[H,W,3]` or `[H,W,4]` as PNG or TIFF, by the path's suffix."""
    if path.suffix.lower() == ".png":
        path.write_bytes(_png(values, icc_profile, exif))
        return
    import tifffile

    tifffile.imwrite(
        path,
        values,
        photometric="rgb",
        compression="zlib",
        iccprofile=icc_profile,
        extrasamples=["unassalpha"] if values.shape[2] == 4 else None,
    )


def _png(values: Values, icc_profile: bytes | None, exif: bytes | None) -> bytes:
    import cv2

    order = [2, 1, 0, 3][: values.shape[2]]
    encoded = cv2.imencode(".png", np.ascontiguousarray(values[..., order]))[1].tobytes()
    # The signature and the header chunk are 33 bytes; what describes the colours has to stand before the pixels.
    chunks = b""
    if icc_profile is not None:
        chunks += _chunk(b"iCCP", b"ICC Profile\0\0" + zlib.compress(icc_profile))
    if exif is not None:
        chunks += _chunk(b"eXIf", exif.removeprefix(b"Exif\0\0"))
    return encoded[:33] + chunks + encoded[33:]


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
