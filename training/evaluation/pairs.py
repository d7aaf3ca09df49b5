"""Pairs of pictures and holes: each pair is a function of its number, and all are recorded before measurements
start."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from torch import Tensor

from inpaint_core.eight_bit import from_uint8, to_uint8
from inpaint_core.files.folders import Listing
from inpaint_core.files.images import decode_image
from inpaint_core.files.masks import Mask, read_mask
from inpaint_core.files.opening import MAX_PIXELS, ImageFileError
from inpaint_core.masks import GENERATORS, generate
from inpaint_core.masks.generators.folder import list_masks
from inpaint_core.masks.generators.registry import names_without_options
from inpaint_core.masks.hole_ratio import margin_in_pixels
from inpaint_core.masks.normalise import normalize_mask

from ..dataset.layout import find_unseen
from ..dataset.scan import DatasetError
from ..dataset.windows import Crop, cut_planes
from ..randomness import derive_seed, numpy_generator

Bucket = tuple[float, float]
BUCKETS: tuple[Bucket, ...] = ((0.01, 0.1), (0.1, 0.2), (0.2, 0.3), (0.3, 0.4), (0.4, 0.5), (0.5, 0.6))
"""Hole ratios `(low, high]` of Liu et al. 2018 (arXiv 1804.07723), table 1."""
BORDER = 50.0
"""Known margin along every edge, in pixels of a 512-pixel picture, for the pairs with a border."""
MAX_PER_CELL = 1000  # for the default count; --count has no limit
MIN_CROP = 0.5  # of the largest square of a picture, for crops after the first


@dataclass(frozen=True)
class Cell:
    """One column of a table: hole ratios in `(low, high]`, and whether holes keep a distance from the edge."""

    bucket: Bucket
    border: bool


@dataclass(frozen=True)
class Pair:
    """A picture and a hole.

    Attributes
    ----------
    number
        From 0.
    image
        File relative to the folder of pictures.
    crop
        0: the largest central square; above 0: a random one.
    cell
        Index of its cell.
    mask
        File relative to the folder of masks, or the name of a generator.
    mask_seed
        Seed for a generator; None for a file.
    """

    number: int
    image: str
    crop: int
    cell: int
    mask: str
    mask_seed: int | None


class Pairs:
    """All pairs of an evaluation, cycling through the cells, so that every cell gets the same pictures in the same
    order.

    Parameters
    ----------
    data
        Folder of pictures, including subfolders; if it is split into train, val and test, only test is used. They are
        shuffled with the seed, so that a `count` below their number gives a random sample.
    masks
        A folder of masks (white = hole; subfolders included), or the name of a generator.
    size
        Side of the square that pictures and masks are resized to. The first crop of a picture is the largest central
        square; once every picture has been used in a cell, random squares of half to all of that side. Masks are
        resized by nearest-exact and assigned to the bucket of their resulting ratio.
    count
        Number of pairs; None: every picture once per cell, but at most 1000 per cell.
    buckets
        Hole ratios. Those without masks in the folder are skipped.
    borders
        For each of these, one cell per bucket: True keeps `BORDER` free of holes, False lets them touch the edge.
    seed
        Seed for crops, generated masks and the order of pictures and mask files.
    progress
        Called with (files checked, total files), pictures first.
    invert
        Black = hole in the folder of masks.
    max_pixels
        Larger pictures are skipped.
    say
        Called with a message for each unusable file.

    Raises
    ------
    ValueError
        No such folder, no pictures, no masks for any cell, a ratio that a generator cannot draw.
    """

    def __init__(
        self,
        data: Path,
        masks: str,
        *,
        size: int = 256,
        count: int | None = None,
        buckets: Sequence[Bucket] = BUCKETS,
        borders: Sequence[bool] = (False,),
        seed: int = 0,
        progress: Callable[[Sequence[Path]], Any] = lambda files: files,
        invert: bool = False,
        max_pixels: int = MAX_PIXELS,
        say: Callable[[str], None] = lambda sentence: None,
    ) -> None:
        self.cells = tuple(Cell(bucket, border) for bucket, border in product(buckets, borders))
        self._data, self._masks, self._size, self._seed = data, masks, size, seed
        self._invert, self._max_pixels, self._say = invert, max_pixels, say
        listing = self._search(data)
        paths = self._usable(listing.pictures, progress)
        if not paths:
            raise DatasetError(f"{data}: no readable pictures in this folder{listing.found()}")
        self.pictures = len(paths)
        """Number of pictures."""
        self._pictures = self._shuffle([path.relative_to(data).as_posix() for path in paths], "pictures")
        self._files: tuple[tuple[str, ...], ...] = ()
        if masks not in GENERATORS:
            self._files = self._sort_masks(progress)
        elif GENERATORS[masks].required:
            raise ValueError(f"--masks {masks}: use the {' and the '.join(sorted(GENERATORS[masks].required))} itself")
        self.count = min(len(paths), MAX_PER_CELL) * len(self.cells) if count is None else count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, number: int) -> Pair:
        cell, turn = number % len(self.cells), number // len(self.cells)
        crop, picture = divmod(turn, len(self._pictures))
        if self._files:
            files = self._files[cell]
            mask, mask_seed = files[turn % len(files)], None
        else:
            mask, mask_seed = self._masks, derive_seed(self._seed, "mask", number)
        return Pair(number, self._pictures[picture], crop, cell, mask, mask_seed)

    def manifest(self) -> list[dict[str, object]]:
        """All pairs, as written to `manifest.json`."""
        return [self._describe(self[number]) for number in range(self.count)]

    def load(self, pair: Pair) -> tuple[Tensor, Tensor]:
        """Picture float32 `[3,S,S]` in 0..1 (8-bit values) and mask float32 `[1,S,S]`, 1 = hole.

        Raises
        ------
        ValueError
            A file cannot be read, or a mask cannot be drawn.
        """
        pixels = to_uint8(decode_image(self._data / pair.image, self._max_pixels).visible())
        image = from_uint8(cut_planes(pixels, self._crop(pair, pixels.shape[1], pixels.shape[2]), self._size))
        size = (self._size, self._size)
        if pair.mask_seed is None:
            return image, self._fit_mask(self._read_mask(Path(self._masks) / pair.mask))[0]
        cell = self.cells[pair.cell]
        border = BORDER if cell.border else None
        return image, generate(pair.mask, size, cell.bucket, border, pair.mask_seed, image)[0]

    def _search(self, data: Path) -> Listing:
        try:
            listing = find_unseen(data)
        except ImageFileError as error:
            raise DatasetError(str(error)) from None
        for sentence in listing.notes():
            self._say(f"{listing.folder}: {sentence}")
        if listing.folder != data:
            self._say(f"{data} is split: only {listing.folder.name}/ is used")
        return listing

    def _usable(self, paths: Sequence[Path], progress: Callable[[Sequence[Path]], Any]) -> list[Path]:
        """Readable pictures, checked before measuring, so that a bad file does not abort a long evaluation."""

        def look(path: Path) -> tuple[str | None, tuple[str, ...]]:
            """Why a picture cannot be used, and further notes about it."""
            try:
                picture = decode_image(path, self._max_pixels)
            except ImageFileError as error:
                return str(error), ()
            return f"{path}: no pixel is known" if bool(picture.unknown.all()) else None, picture.notes

        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            looks = list(pool.map(look, progress(paths)))
        for path, (problem, notes) in zip(paths, looks, strict=True):
            for sentence in notes if problem is None else ():
                self._say(f"{path}: {sentence}")
            if problem is not None:
                self._say(f"skipped: {problem}")
        return [path for path, (problem, _) in zip(paths, looks, strict=True) if problem is None]

    def _read_mask(self, path: Path) -> Mask:
        return read_mask(path, invert=self._invert, max_pixels=self._max_pixels)

    def _fit_mask(self, mask: Mask) -> Tensor:
        return normalize_mask(mask.hole, (self._size, self._size))

    def _crop(self, pair: Pair, height: int, width: int) -> Crop:
        largest = min(height, width)
        if pair.crop == 0:
            return Crop((height - largest) // 2, (width - largest) // 2, largest)
        generator = numpy_generator(self._seed, "crop", pair.number)
        side = int(generator.integers(max(1, round(MIN_CROP * largest)), largest + 1))
        return Crop(int(generator.integers(height - side + 1)), int(generator.integers(width - side + 1)), side)

    def _describe(self, pair: Pair) -> dict[str, object]:
        cell = self.cells[pair.cell]
        return {
            "pair": pair.number,
            "image": pair.image,
            "crop": pair.crop,
            "mask": pair.mask,
            "mask_seed": pair.mask_seed,
            "bucket": cell.bucket,
            "border": cell.border,
        }

    def _sort_masks(self, progress: Callable[[Sequence[Path]], Any]) -> tuple[tuple[str, ...], ...]:
        """Mask files of each cell, shuffled with the seed."""
        folder, size = Path(self._masks), (self._size, self._size)
        if not folder.is_dir():
            raise DatasetError(f"{folder}: neither a folder of masks nor one of {', '.join(names_without_options())}")
        margin = margin_in_pixels(BORDER, size)
        found: list[list[str]] = [[] for _ in self.cells]
        for path in progress(list_masks(folder)):
            try:
                mask = self._read_mask(path)
            except ImageFileError as error:
                self._say(f"skipped: {error}")
                continue
            for sentence in mask.notes:
                self._say(f"{path}: {sentence}")
            hole = self._fit_mask(mask)[0, 0]
            ratio = int(hole.sum()) / hole.numel()
            inside = hole[margin : self._size - margin, margin : self._size - margin]
            keeps_border = bool(inside.sum() == hole.sum())
            for cell, files in zip(self.cells, found, strict=True):
                low, high = cell.bucket
                if low < ratio <= high and (keeps_border or not cell.border):
                    files.append(path.relative_to(folder).as_posix())
        self._keep_filled(found)
        return tuple(tuple(self._shuffle(files, "masks", number)) for number, files in enumerate(found) if files)

    def _shuffle(self, names: Sequence[str], *purpose: str | int) -> list[str]:
        return [names[index] for index in numpy_generator(self._seed, *purpose).permutation(len(names))]

    def _keep_filled(self, found: Sequence[Sequence[str]]) -> None:
        """Keep the cells with masks, and report which ones are skipped."""
        empty = [cell for cell, files in zip(self.cells, found, strict=True) if not files]
        named = ", ".join(dict.fromkeys(name_bucket(cell.bucket) + " with a border" * cell.border for cell in empty))
        if len(empty) == len(self.cells):
            raise DatasetError(
                f"{self._masks}: no masks with a hole ratio of {named}; use other --buckets or --border no, or more "
                "masks"
            )
        if empty:
            self._say(f"{self._masks}: no masks with a hole ratio of {named}, so these columns are skipped")
        self.cells = tuple(cell for cell, files in zip(self.cells, found, strict=True) if files)


def name_bucket(bucket: Bucket) -> str:
    """`(0.1, 0.2)` as `0.1-0.2`."""
    return f"{bucket[0]:g}-{bucket[1]:g}"


def parse_bucket(text: str) -> Bucket:
    """`0.1-0.2` as `(0.1, 0.2)`.

    Raises
    ------
    ValueError
        Anything else, or not `0 <= low < high <= 1`.
    """
    low, _, high = text.partition("-")
    try:
        bucket = float(low), float(high)
    except ValueError:
        bucket = (1.0, 0.0)
    if not 0.0 <= bucket[0] < bucket[1] <= 1.0:
        raise ValueError(f"{text!r} is not a range of hole ratios: write it as 0.1-0.2, within 0-1")
    return bucket
