"""The user's own masks, from a folder and its subfolders."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ...files.folders import Listing, list_pictures
from ...files.opening import ImageFileError, note_on_frames, read_header
from .controls import Control
from .generator import Generator
from .request import Canvas, Options, Request, adjust, count_holes

TRIES = 16  # files to try before the one closest to the requested ratio is adjusted
CACHED_FILES = 1024  # at one bit per pixel, 32 KiB for 512x512


class FolderOptions(Options):
    """Where the masks are.

    Turn `hole_is_white` off for the masks of pytorch-inpainting-with-partial-conv and SneakySketchers.
    """

    folder: Path = Field(..., description="A folder of masks of any size.")
    hole_is_white: bool = Field(True, description="Off: black marks the hole.")
    flip: bool = Field(False, description="Mirror at random, along both axes.")

    def check_files(self) -> list[str]:
        """See `check_masks`."""
        return check_masks(self.folder)


def draw(request: Request, options: FolderOptions, rng: np.random.Generator) -> Canvas:
    """A mask from the folder, cropped to the requested aspect ratio and resized (nearest-exact).

    If there is no mask of the requested ratio among the files tried, the boundary of the closest one is moved until it
    matches. Unreadable files are skipped.
    """
    files = list_masks(options.folder)
    nearest, smallest_error = None, float("inf")
    problem = ""
    for _ in range(TRIES):
        try:
            canvas = _load(files[int(rng.integers(len(files)))], request, options, rng)
        except ImageFileError as error:
            problem = str(error)
            continue
        count = count_holes(canvas)
        if request.target is None or request.accepts(count):
            return canvas
        error_of_count = abs(count - request.target)
        if error_of_count < smallest_error:
            nearest, smallest_error = canvas, error_of_count
    if nearest is None:
        raise ValueError(f"{options.folder}: none of {TRIES} masks could be read ({problem})")
    return adjust(nearest, request)


def list_masks(folder: Path) -> tuple[Path, ...]:
    """Sorted mask files in a folder and its subfolders, including those named after pictures next to them.

    Raises
    ------
    ValueError
        No such folder, or no pictures in it.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder")
    listing = _list(folder, folder.stat().st_mtime_ns)
    files = masks_of(listing)
    if not files:
        raise ValueError(f"{folder}: no masks in this folder{listing.found()}")
    return files


def masks_of(listing: Listing) -> tuple[Path, ...]:
    """Masks in a folder: if some are named after pictures next to them, only these; otherwise all files."""
    beside = sorted(mask for masks in listing.masks.values() for mask in masks)
    owners = set(listing.masks)
    return tuple(sorted([*beside, *(path for path in listing.pictures if path not in owners)]))


def check_masks(folder: Path) -> list[str]:
    """Check every mask of a folder once, before they are needed.

    Returns
    -------
    list of str
        A message for each file that is skipped or has no hole.

    Raises
    ------
    ValueError
        As `list_masks`, or none of them can be read.
    """
    files = list_masks(folder)
    problems, usable = [], 0
    for path in files:
        try:
            bits, _ = _decode(path)
        except ImageFileError as error:
            problems.append(f"skipped: {error}")
            continue
        usable += 1
        problems += [f"{path}: {sentence}" for sentence in note_on_frames(read_header(path))]
        if not bits.any():
            problems.append(f"{path}: the mask has no hole")
    if not usable:
        raise ValueError(f"{folder}: none of {len(files)} masks can be read (first: {problems[0]})")
    return [*_list(folder, folder.stat().st_mtime_ns).notes(), *problems]


@lru_cache(maxsize=16)
def _list(folder: Path, _changed: int) -> Listing:
    return list_pictures(folder, recursive=True)


@lru_cache(maxsize=CACHED_FILES)
def _decode(path: Path) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    from ...files.masks import read_mask

    mask = read_mask(path).hole[0, 0].numpy()
    return np.packbits(mask.astype(np.bool_)), (mask.shape[0], mask.shape[1])


def _load(path: Path, request: Request, options: FolderOptions, rng: np.random.Generator) -> Canvas:
    import cv2

    bits, shape = _decode(path)
    mask: Canvas = np.unpackbits(bits, count=shape[0] * shape[1]).reshape(shape)
    zoom = min(shape[0] / request.height, shape[1] / request.width)
    height, width = max(1, round(zoom * request.height)), max(1, round(zoom * request.width))
    top, left = int(rng.integers(shape[0] - height + 1)), int(rng.integers(shape[1] - width + 1))
    mask = mask[top : top + height, left : left + width]
    if (height, width) != (request.height, request.width):
        size = (request.width, request.height)
        mask = np.asarray(cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST_EXACT), np.uint8)
    if not options.hole_is_white:
        mask = 1 - mask
    if options.flip:
        rows, columns = (1 - 2 * int(side) for side in rng.integers(0, 2, 2))
        mask = mask[::rows, ::columns]
    canvas = request.blank()
    request.inner(canvas)[:] = request.inner(mask)
    return canvas


GENERATOR = Generator(
    "folder", "your own masks", FolderOptions, draw, controls=(Control("folder"), Control("hole_is_white"))
)
