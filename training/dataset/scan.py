"""Folders of pictures: every file looked at once before the training starts, and reported.

A folder is scanned to the end whatever it holds. Files that cannot be trained on are left out and listed by name,
kind and reason; usable pictures that are not plain 8-bit RGB are listed with what was done about it.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import statistics
import struct
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from inpaint_core.files.images import READABLE_FORMATS, READABLE_SUFFIXES, ImageFileError, decode_image

from ..config import DataConfig
from ..errors import SettingError
from .pairs import UnpairedError, lonely_inputs, odd_one_out, read_pair

# Photographs in scikit-image's wheel, the second row gray; motorcycle_right is left out because it shows the scene of
# motorcycle_left.
DEMO_TRAIN = (
    *("astronaut.png", "coffee.png", "hubble_deep_field.jpg", "ihc.png", "motorcycle_left.png", "retina.jpg"),
    *("brick.png", "camera.png", "coins.png", "grass.png", "gravel.png"),
)
DEMO_HELD_OUT = ("chelsea.png", "rocket.jpg")
MAX_LISTED = 10
MAX_PIXELS = 89_478_485  # Pillow's own warning limit: a quarter of a GiB as RGB

# What Pillow's parsers are known to raise on a damaged header.
BAD_HEADER = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    LookupError,
    TypeError,
    struct.error,
    ArithmeticError,
    AttributeError,
)

LeftOutKind = Literal["broken", "unreadable", "tiny", "duplicate", "bomb", "link", "unpaired"]
NoteKind = Literal["16-bit", "gray", "CMYK", "palette", "animated", "rotated", "transparent"]
Progress = Callable[[int, int], None]


class DatasetError(SettingError):
    """A folder cannot be trained on; the message is one line that names the folder and what was found in it."""


@dataclass(frozen=True)
class LeftOut:
    """A file that is not trained on."""

    file: str
    kind: LeftOutKind
    reason: str


@dataclass
class Record:
    """A usable picture.

    Attributes
    ----------
    file
        Path relative to the folder, with forward slashes.
    digest
        SHA-256 of the file's bytes.
    pixels
        uint8 `[3,H,W]`, reduced to the stored size, or `[6,H,W]` with the paired input behind it, or `[4,H,W]` with
        255 where the picture is unknown; None when the picture is read each time.
    mean
        Mean colour, RGB in 0..1.
    notes
        What was unusual about the file.
    """

    file: str
    path: Path
    digest: str
    height: int
    width: int
    mean: tuple[float, float, float]
    pixels: Tensor | None = None
    notes: tuple[NoteKind, ...] = ()


@dataclass
class Dataset:
    """Usable pictures of a folder, split, with the report of the scan."""

    folder: str
    train: list[Record]
    held_out: list[Record]
    left_out: list[LeftOut] = field(default_factory=list)
    ignored: dict[str, int] = field(default_factory=dict)

    @property
    def mean(self) -> tuple[float, float, float]:
        """Mean colour of the training pictures, RGB in 0..1."""
        count = len(self.train)
        red, green, blue = (sum(record.mean[channel] for record in self.train) / count for channel in range(3))
        return red, green, blue

    @property
    def fingerprint(self) -> str:
        """Changes when a usable picture is added, removed or altered."""
        digests = sorted(record.digest for record in (*self.train, *self.held_out))
        return hashlib.sha256("".join(digests).encode()).hexdigest()

    def remarks(self) -> list[str]:
        """What somebody who trains on these pictures should know, in sentences."""
        sentences = []
        if self.left_out:
            listed = ", ".join(f"{item.file} ({item.kind})" for item in self.left_out[:MAX_LISTED])
            more = f" and {len(self.left_out) - MAX_LISTED} more" if len(self.left_out) > MAX_LISTED else ""
            usable = len(self.train) + len(self.held_out)
            sentences.append(f"{len(self.left_out)} of {usable + len(self.left_out)} pictures left out: {listed}{more}")
        if not self.held_out:
            sentences.append(
                "no picture is held out, so nothing is measured and the latest model is kept, not the best"
            )
        return sentences

    def report(self) -> dict[str, object]:
        """What `dataset_report.json` holds."""
        return {
            "folder": self.folder,
            "training": [record.file for record in self.train],
            "held_out": [record.file for record in self.held_out],
            "left_out": [{"file": item.file, "kind": item.kind, "reason": item.reason} for item in self.left_out],
            "converted": [
                {"file": record.file, "kinds": list(record.notes)}
                for record in (*self.train, *self.held_out)
                if record.notes
            ],
            "ignored_by_suffix": self.ignored,
            "mean_colour": [round(value, 4) for value in self.mean],
            "fingerprint": self.fingerprint,
        }


def load_dataset(config: DataConfig, progress: Progress | None = None) -> Dataset:
    """Scan the configured folder, or the embedded photographs, and split it.

    Parameters
    ----------
    config
        Where the pictures are and how large they are kept.
    progress
        Called with (files looked at, files in all); what it raises ends the scan.

    Raises
    ------
    DatasetError
        No such folder, or fewer usable pictures than `config.minimum_pictures`.
    """
    if config.folder is None:
        return _load_embedded(config)
    folder = Path(config.folder).expanduser().resolve()
    paths, ignored = list_pictures(folder, config.recursive)
    records, left_out = _scan(folder, paths, config, progress)
    if config.paired:
        records, left_out = _leave_out_unpaired(records, left_out, paths, config)
    if len(records) < config.minimum_pictures:
        raise DatasetError(_too_few(folder, config, len(records), left_out, ignored))
    train, held_out = split_by_content(records, config.held_out)
    return Dataset(str(folder), train, held_out, left_out, ignored)


def list_pictures(folder: Path, recursive: bool) -> tuple[list[Path], dict[str, int]]:
    """Picture files of a folder in a fixed order, and how many other files of which suffix lie there.

    Raises
    ------
    DatasetError
        No such folder, or it cannot be listed.
    """
    if not folder.is_dir():
        raise DatasetError(f"{folder}: no such folder of pictures")
    paths, ignored = [], Counter[str]()
    try:
        candidates: Iterable[Path] = folder.rglob("*") if recursive else folder.iterdir()
        for path in sorted(candidates):
            if path.name.startswith(".") or not (path.is_file() or path.is_symlink()):
                continue
            if path.suffix.lower() in READABLE_SUFFIXES:
                paths.append(path)
            else:
                ignored[path.suffix.lower() or "(none)"] += 1
    except OSError as error:
        raise DatasetError(f"{folder}: cannot be listed ({error.strerror})") from None
    return paths, dict(ignored)


def split_by_content(records: Sequence[Record], share: float) -> tuple[list[Record], list[Record]]:
    """Split into training and held-out pictures by content, so that added files never move the others.

    At least one picture is held out when there are two or more and `share` is above 0; at least one is trained on.
    """
    threshold = int(share * 2**32)
    held = [record for record in records if int(record.digest[:8], 16) < threshold]
    by_digest = sorted(records, key=lambda record: record.digest)
    if share > 0.0 and len(records) > 1:
        if not held:
            held = by_digest[:1]
        elif len(held) == len(records):
            held = by_digest[:-1]
    elif len(held) == len(records):
        held = []
    names = {record.file for record in held}
    return [record for record in records if record.file not in names], [r for r in records if r.file in names]


def read_pixels(path: Path, config: DataConfig) -> Tensor:
    """Decode a picture to uint8 `[3,H,W]`, or a pair to `[6,H,W]`.

    The shorter side is reduced to `config.stored_side` or enlarged to `config.size`.

    Raises
    ------
    ImageFileError
        As `inpaint_core.files.images.decode_image`; an UnpairedError as `read_pair`.
    """
    return to_stored_size(read_pair(path, config) if config.paired else decode_image(path).image, config)


def to_stored_size(image: Tensor, config: DataConfig) -> Tensor:
    """Resize `[C,H,W]` in 0..1 to what is kept for training, as uint8: see `read_pixels`."""
    height, width = stored_shape(image.shape[-2], image.shape[-1], config)
    if (height, width) != tuple(image.shape[-2:]):
        image = F.interpolate(image[None], (height, width), mode="bilinear", antialias=True, align_corners=False)[0]
    return (image.clamp(0.0, 1.0) * 255.0).round().to(torch.uint8)


def stored_shape(height: int, width: int, config: DataConfig) -> tuple[int, int]:
    """Height and width in pixels that a picture of this size is kept at: see `read_pixels`."""
    shorter = min(height, width)
    side = min(max(shorter, config.size), config.stored_side)
    return max(side, round(height * side / shorter)), max(side, round(width * side / shorter))


def _leave_out_unpaired(
    records: list[Record], left_out: list[LeftOut], paths: Sequence[Path], config: DataConfig
) -> tuple[list[Record], list[LeftOut]]:
    """Name what a single file cannot tell: files unlike the others, inputs without a picture."""
    kept = []
    usual = statistics.median(record.width / record.height for record in records) if records else 1.0
    for record in records:
        reason = odd_one_out(record.height, record.width, usual) if config.input_side is not None else None
        if reason is None:
            kept.append(record)
        else:
            left_out.append(LeftOut(record.file, "unpaired", reason))
    for path in lonely_inputs({path.stem for path in paths}, config):
        left_out.append(LeftOut(str(path), "unpaired", "an input that no picture has the name of"))
    return kept, left_out


def _load_embedded(config: DataConfig) -> Dataset:
    spec = importlib.util.find_spec("skimage")
    if spec is None or spec.origin is None:
        raise DatasetError("scikit-image is not installed, and the demo trains on its photographs; set `data.folder`")
    folder = Path(spec.origin).parent / "data"
    records, left_out = _scan(folder, [folder / name for name in DEMO_TRAIN + DEMO_HELD_OUT], config, None)
    train = [record for record in records if record.file in DEMO_TRAIN]
    if not train:
        raise DatasetError(f"{folder}: none of scikit-image's photographs is here; set `data.folder`")
    return Dataset("photographs of scikit-image", train, [r for r in records if r.file in DEMO_HELD_OUT], left_out)


def _scan(
    folder: Path, paths: Sequence[Path], config: DataConfig, progress: Progress | None
) -> tuple[list[Record], list[LeftOut]]:
    records: list[Record] = []
    left_out: list[LeftOut] = []
    first_with: dict[str, str] = {}
    budget = config.cache_megabytes * 2**20

    def look(path: Path) -> Record | LeftOut:
        return look_at(folder, path, config)

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        futures = [pool.submit(look, path) for path in paths]
        try:
            for number, future in enumerate(futures, 1):
                found = future.result()
                if progress is not None:
                    progress(number, len(paths))
                if isinstance(found, Record) and found.digest in first_with:
                    found = LeftOut(found.file, "duplicate", f"the same file as {first_with[found.digest]}")
                if isinstance(found, LeftOut):
                    left_out.append(found)
                    continue
                first_with[found.digest] = found.file
                records.append(found)
                if budget >= 0 and found.pixels is not None:
                    budget -= found.pixels.numel()
                if budget < 0:
                    for record in records:
                        record.pixels = None
        finally:
            for future in futures:
                future.cancel()
    return records, left_out


def look_at(folder: Path, path: Path, config: DataConfig) -> Record | LeftOut:
    """Open one file of a folder: a record with its pixels, or why it cannot be used. Duplicates are not looked for."""
    name = path.relative_to(folder).as_posix()
    if path.is_symlink() and not path.resolve().is_relative_to(folder.resolve()):
        return LeftOut(name, "link", "a link that leads out of the folder")
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        return LeftOut(name, "unreadable", error.strerror or "cannot be read")
    try:
        notes, width, height = _inspect(path)
        if width * height > MAX_PIXELS:
            return LeftOut(
                name, "bomb", f"{width}x{height} pixels are more than the {MAX_PIXELS // 10**6} million accepted"
            )
        if min(width, height) < config.minimum_side:
            return LeftOut(name, "tiny", f"{width}x{height}: the shorter side is below {config.minimum_side} pixels")
        pixels = read_pixels(path, config)
    except Image.DecompressionBombError as error:
        return LeftOut(name, "bomb", str(error))
    except UnpairedError as error:
        return LeftOut(name, "unpaired", str(error).removeprefix(f"{path}: "))
    except ImageFileError as error:
        return LeftOut(name, "broken", str(error).removeprefix(f"{path}: "))
    red, green, blue = (pixels[:3].float().mean((1, 2)) / 255.0).tolist()
    return Record(name, path, digest, pixels.shape[1], pixels.shape[2], (red, green, blue), pixels, tuple(notes))


def _inspect(path: Path) -> tuple[list[NoteKind], int, int]:
    """What is unusual about a file, from its header, and its upright width and height."""
    notes: list[NoteKind] = []
    try:
        with Image.open(path, formats=READABLE_FORMATS) as picture:
            width, height = picture.size
            if picture.mode.startswith("I"):
                notes.append("16-bit")
            elif picture.mode in ("1", "L", "LA", "F"):
                notes.append("gray")
            elif picture.mode == "CMYK":
                notes.append("CMYK")
            elif picture.mode in ("P", "PA"):
                notes.append("palette")
            if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
                notes.append("transparent")
            if getattr(picture, "n_frames", 1) > 1:
                notes.append("animated")
            orientation = picture.getexif().get(0x0112, 1)
            if orientation not in (0, 1):
                notes.append("rotated")
                if orientation >= 5:
                    width, height = height, width
            return notes, width, height
    except Image.DecompressionBombError:
        raise
    except BAD_HEADER as error:
        raise ImageFileError(f"{path}: not a picture, or its header is damaged ({error})") from None


def _too_few(
    folder: Path, config: DataConfig, usable: int, left_out: Sequence[LeftOut], ignored: dict[str, int]
) -> str:
    found = f"{usable} usable picture{'s' * (usable != 1)}, at least {config.minimum_pictures} needed"
    if left_out:
        kinds = Counter(item.kind for item in left_out)
        found += f"; left out: {', '.join(f'{count} {kind}' for kind, count in sorted(kinds.items()))}"
        found += f" (first: {left_out[0].file}, {left_out[0].reason})"
    if ignored:
        found += f"; other files: {', '.join(f'{count} {suffix}' for suffix, count in sorted(ignored.items()))}"
    if not config.recursive and folder.is_dir() and any(path.is_dir() for path in folder.iterdir()):
        found += "; it has subfolders, which are searched if `data.recursive` is true"
    return f"{folder}: {found}"
