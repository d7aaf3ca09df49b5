"""File suffixes: readable pictures and clips, and packages that read others."""

from __future__ import annotations

from collections.abc import Mapping

READABLE_SUFFIXES = frozenset(
    {
        *(".png", ".apng", ".jpg", ".jpeg", ".jfif", ".jpe", ".webp", ".tif", ".tiff", ".bmp", ".gif"),
        *(".ppm", ".pgm", ".pbm", ".pnm"),
    }
)
READABLE_CLIPS = frozenset({".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg"})
# Packages that read files with these suffixes; this pack uses none of them.
RAW_PHOTOGRAPHS = (".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf", ".pef")
READ_BY: dict[str, str] = {
    ".heic": "pillow-heif",
    ".heif": "pillow-heif",
    ".hif": "pillow-heif",
    ".avif": "pillow-avif-plugin",
    ".jxl": "pillow-jxl-plugin",
    ".psd": "psd-tools",
    ".exr": "OpenEXR",
    ".dcm": "pydicom",
    ".jp2": "glymur",
    **dict.fromkeys(RAW_PHOTOGRAPHS, "rawpy"),
}


def list_others(others: Mapping[str, int]) -> str:
    """`3 .heic (the package pillow-heif reads them; save them as PNG or JPEG first), 1 .txt`."""
    parts = []
    for suffix, count in others.items():
        package = READ_BY.get(suffix)
        advice = f" (the package {package} reads them; save them as PNG or JPEG first)" if package else ""
        parts.append(f"{count} {suffix}{advice}")
    return ", ".join(parts)


def describe_suffix(suffix: str) -> str:
    """Describe a file with this suffix that is not a readable picture, and what to do; empty if unknown."""
    if suffix.lower() in READABLE_CLIPS:
        return "a video; save its frames as pictures first"
    package = READ_BY.get(suffix.lower())
    return "" if package is None else f"the package {package} reads it; save it as PNG or JPEG first"
