"""Scanning pictures, and cutting, encoding and writing squares."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TypeVar

import torch
from PIL import Image

from inpaint_core.files.opening import ImageFileError

from ..dataset.near_duplicates import appearance
from ..dataset.pixels import Pixels
from ..dataset.scan import LeftOut, read_pixels, scan_file, stored_shape
from ..dataset.selection import Source
from .ledger import Ledger
from .settings import Settings

THREADS = 8  # more than CPUs, because they mostly wait for the disk
AHEAD = 32  # pictures prefetched
MAX_STEM_LENGTH = 80

Item = TypeVar("Item")
Result = TypeVar("Result")


def scan_files(
    data: Path, paths: Sequence[Path], settings: Settings, quiet: bool
) -> tuple[list[Source], list[LeftOut]]:
    """Usable pictures, and unusable ones with the reason."""
    config = settings.scanning

    def scan(path: Path) -> Source | LeftOut:
        record = scan_file(data, path, config)
        if isinstance(record, LeftOut):
            return record
        pixels = record.pixels if record.pixels is not None else read_pixels(path, config)
        digest = hashlib.sha256(f"{record.height} {record.width} ".encode() + pixels.to_bytes()).hexdigest()
        seen = appearance(pixels.picture)
        partial = pixels.unknown is not None
        return Source(
            *(record.file, path, record.width, record.height, digest, seen, record.notes),
            partial=partial,
            frames=record.frames,
        )

    sources, left_out = [], []
    for found in _in_threads(scan, paths, "scanning", quiet):
        if isinstance(found, Source):
            sources.append(found)
        else:
            left_out.append(found)
    return sources, left_out


def name_squares(source: Source, settings: Settings) -> list[str]:
    """Names of the squares of a picture; they contain its digest to distinguish pictures of the same name."""
    stem = re.sub(r"[^\w.-]+", "_", Path(source.file).stem, flags=re.ASCII)[:MAX_STEM_LENGTH] or "picture"
    name = f"{source.split}/{stem}-{source.pixels[:12]}"
    suffix = _format(source, settings)
    if not settings.tiles:
        return [f"{name}.{suffix}"]
    size = settings.size
    height, width = stored_shape(source.height, source.width, settings.cutting)
    return [f"{name}_{row}_{column}.{suffix}" for row in range(height // size) for column in range(width // size)]


def _format(source: Source, settings: Settings) -> str:
    """File format of a picture's squares; JPEG has no alpha, which marks unknown parts."""
    return "png" if source.partial else settings.format


def write_squares(sources: Sequence[Source], settings: Settings, ledger: Ledger, quiet: bool) -> list[LeftOut]:
    """Cut, encode and write squares; returns pictures that could be read when scanned, but no longer."""

    def cut(source: Source) -> LeftOut | None:
        try:
            pixels = read_pixels(source.path, settings.cutting)
        except ImageFileError as error:
            return LeftOut(source.file, "unreadable", error.without(source.path))
        height, width = pixels.height, pixels.width
        places = tile_places(height, width, size) if settings.tiles else [((height - size) // 2, (width - size) // 2)]
        if len(places) != len(source.written):
            return LeftOut(source.file, "unreadable", "was changed during preparation")
        for name, (top, left) in zip(source.written, places, strict=True):
            ledger.write(name, _encode(pixels.window(top, left, size, size), source, settings))
        return None

    size = settings.size
    kept = [source for source in sources if source.written]
    return [found for found in _in_threads(cut, kept, "writing", quiet) if found is not None]


def tile_places(height: int, width: int, size: int) -> list[tuple[int, int]]:
    """Top and left of as many squares as fit side by side, row by row, centered in the picture."""
    rows, columns = height // size, width // size
    top, left = (height - rows * size) // 2, (width - columns * size) // 2
    return [(top + row * size, left + column * size) for row in range(rows) for column in range(columns)]


def _encode(square: Pixels, source: Source, settings: Settings) -> bytes:
    buffer = io.BytesIO()
    planes = square.picture if square.unknown is None else torch.cat([square.picture, 255 - square.unknown])
    picture = Image.fromarray(planes.permute(1, 2, 0).numpy())
    if _format(source, settings) == "jpg":
        picture.save(buffer, "JPEG", quality=settings.quality, subsampling=0)
    else:
        picture.save(buffer, "PNG")
    return buffer.getvalue()


def _in_threads(work: Callable[[Item], Result], items: Sequence[Item], what: str, quiet: bool) -> Iterator[Result]:
    """Results in order, with a few computed ahead."""
    from tqdm import tqdm

    with (
        ThreadPoolExecutor(THREADS) as pool,
        tqdm(total=len(items), desc=what, unit="picture", disable=True if quiet else None) as bar,
    ):
        waiting: list[Future[Result]] = []
        remaining = iter(items)
        try:
            while True:
                waiting += [pool.submit(work, item) for item in islice(remaining, AHEAD - len(waiting))]
                if not waiting:
                    return
                yield waiting.pop(0).result()
                bar.update()
        finally:
            for future in waiting:
                future.cancel()
