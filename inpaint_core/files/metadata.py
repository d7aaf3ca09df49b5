"""Metadata of a picture file that is kept when it is written again."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image, TiffImagePlugin

from .opening import ORIENTATION, read_exif

MAX_PROFILE_BYTES = 1 << 20  # in a PNG; Pillow refuses to unpack more
# TIFF tags on origin and author; the other tags describe the layout of pixels in the original file.
DESCRIPTIVE_TAGS = (270, 271, 272, 305, 306, 315, 33432)
EXIF_BLOCK, GPS_BLOCK = 0x8769, 0x8825
# GeoTIFF's: pixel scale, tie points, transformation, key directory, its numbers and text; and two of GDAL's.
GEO_TAGS = (33550, 33922, 34264, 34735, 34736, 34737, 42112, 42113)
NO_RESOLUTION = (".webp",)


@dataclass(frozen=True)
class Metadata:
    """A file's metadata.

    Attributes
    ----------
    icc_profile, exif
        None where the file has none.
    dpi
        Dots per inch across and down.
    geo
        Georeferencing of a TIFF: tag -> (TIFF type number, values).
    """

    icc_profile: bytes | None = None
    exif: bytes | None = None
    dpi: tuple[float, float] | None = None
    geo: dict[int, tuple[int, Any]] = field(default_factory=dict)

    def fit(self, target: Path, deep: bool) -> tuple[Metadata, list[str]]:
        """The part that a file of this name can hold, and messages on what is lost.

        Parameters
        ----------
        target
            The file to write.
        deep
            Whether its values need more than 8 bits, which Pillow does not write.
        """
        suffix, lost = target.suffix.lower(), []
        profile, exif, dpi, geo = self.icc_profile, self.exif, self.dpi, self.geo
        if profile is not None and (suffix == ".bmp" or (suffix == ".png" and len(profile) > MAX_PROFILE_BYTES)):
            profile = None
            lost.append(
                f"its color profile is lost: too large for a {suffix} file"
                if suffix == ".png"
                else f"its color profile is lost, because {suffix} cannot hold it"
            )
        if exif is not None and (suffix == ".bmp" or (deep and suffix != ".png")):
            exif = None
            lost.append(f"its EXIF data is lost in the {suffix} file")
        if dpi is not None and suffix in NO_RESOLUTION:
            dpi = None
            lost.append(f"its resolution of {self.dpi[0]:.0f} dpi is lost, because {suffix} cannot hold it")  # type: ignore[index]
        if geo and suffix not in (".tif", ".tiff"):
            geo = {}
            lost.append(f"its georeferencing is lost, because {suffix} cannot hold it; write a .tif to keep it")
        return Metadata(profile, exif, dpi, geo), lost

    def save_options(self, suffix: str) -> dict[str, Any]:
        """Arguments of Pillow's `save` for a file of this kind."""
        options: dict[str, Any] = {"icc_profile": self.icc_profile, "dpi": self.dpi}
        if suffix in (".tif", ".tiff"):
            options["tiffinfo"] = self._tiff_tags()
        else:
            options["exif"] = self.exif
        return {name: value for name, value in options.items() if value}

    def _tiff_tags(self) -> TiffImagePlugin.ImageFileDirectory_v2:
        directory = TiffImagePlugin.ImageFileDirectory_v2()
        if self.exif is not None:
            exif = Image.Exif()
            exif.load(self.exif)
            for tag in exif:
                if tag in (EXIF_BLOCK, GPS_BLOCK):
                    directory[tag] = exif.get_ifd(tag)
                else:
                    directory[tag] = exif[tag]
        for tag, (kind, value) in self.geo.items():
            directory.tagtype[tag] = kind
            directory[tag] = value
        return directory


def read_metadata(picture: Image.Image) -> tuple[Metadata, list[str]]:
    """Metadata of a decoded picture, and messages on damaged parts, which are dropped."""
    problems = []
    info = picture.info
    profile = info.get("icc_profile")
    exif = _carried_exif(picture)
    if exif is None:
        problems.append("its EXIF data is damaged and was dropped")
    return (
        Metadata(
            profile if isinstance(profile, bytes) and profile and picture.mode != "CMYK" else None,
            exif or None,
            _resolution(info.get("dpi")),
            _geo_tags(getattr(picture, "tag_v2", None)),
        ),
        problems,
    )


def read_tiff_metadata(page: Any) -> Metadata:
    """Metadata of a page opened with tifffile."""
    profile = page.tags.get(34675)
    geo = {}
    for number in GEO_TAGS:
        tag = page.tags.get(number)
        if tag is not None:
            value = tag.value if isinstance(tag.value, (tuple, str, bytes)) else (tag.value,)
            geo[number] = (int(tag.dtype), value)
    return Metadata(profile.value if profile is not None else None, None, _tiff_resolution(page), geo)


def _carried_exif(picture: Image.Image) -> bytes | None:
    """EXIF data without the orientation, which has been applied; empty if there is none, None if damaged."""
    exif = read_exif(picture)
    if exif is None:
        return None
    try:
        if picture.format != "TIFF":
            exif.pop(ORIENTATION, None)
            return exif.tobytes() if exif else b""
        carried = Image.Exif()
        for tag in DESCRIPTIVE_TAGS:
            if tag in exif:
                carried[tag] = exif[tag]
        for block in (EXIF_BLOCK, GPS_BLOCK):
            values = exif.get_ifd(block)
            if values:
                carried.get_ifd(block).update(values)
        return carried.tobytes() if carried else b""
    except Exception:  # corrupt EXIF data can raise almost any exception; the pixels do not depend on it
        return None


def _resolution(dpi: Any) -> tuple[float, float] | None:
    try:
        across, down = (float(value) for value in dpi)
    except (TypeError, ValueError, ArithmeticError):
        return None
    return (across, down) if 0.0 < across < 1e6 and 0.0 < down < 1e6 else None


def _geo_tags(directory: Any) -> dict[int, tuple[int, Any]]:
    if directory is None:
        return {}
    return {tag: (directory.tagtype[tag], directory[tag]) for tag in GEO_TAGS if tag in directory}


def _tiff_resolution(page: Any) -> tuple[float, float] | None:
    unit = page.tags.get(296)
    factor = {2: 1.0, 3: 2.54}.get(int(unit.value) if unit is not None else 2)
    sides = [page.tags.get(number) for number in (282, 283)]
    if factor is None or None in sides:
        return None
    try:
        across, down = (factor * tag.value[0] / tag.value[1] for tag in sides)
    except (TypeError, IndexError, ArithmeticError):
        return None
    return _resolution((across, down))
