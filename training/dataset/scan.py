"""Folders of pictures: every file is checked and reported once before training starts.

A folder is always scanned to the end. Files that cannot be used are skipped and listed by name, kind and reason; usable
pictures that are not plain 8-bit RGB are listed with how they were converted.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from inpaint_core.eight_bit import to_uint8
from inpaint_core.files.images import Picture, decode_image
from inpaint_core.files.opening import Header, ImageFileError, TooManyPixelsError, read_header
from inpaint_core.files.suffixes import READABLE_CLIPS, list_others

from ..config import DataConfig
from ..errors import SettingError
from .attribution import Credit, count_licences, read_credits
from .layout import Layout, find_layout
from .pairs import UnpairedError, input_path, odd_one_out, read_pair, unpaired_inputs
from .pixels import Pixels

# Photographs in scikit-image's wheel, the second row gray; motorcycle_right is omitted because it shows the same scene
# as motorcycle_left.
DEMO_TRAIN = (
    *("astronaut.png", "coffee.png", "hubble_deep_field.jpg", "ihc.png", "motorcycle_left.png", "retina.jpg"),
    *("brick.png", "camera.png", "coins.png", "grass.png", "gravel.png"),
)
DEMO_HELD_OUT = ("chelsea.png", "rocket.jpg")
MAX_LISTED = 10
RECURSIVE = "--data.recursive true"

FAINT = 1.0 / 12.0  # of the range; if all pictures use less, any difference metric is misleadingly low

LeftOutKind = Literal["broken", "unreadable", "tiny", "duplicate", "bomb", "link", "unpaired"]
NoteKind = Literal[
    "16-bit",
    "numbers",
    "stretched",
    "gray",
    "CMYK",
    "palette",
    "animated",
    "several frames",
    "rotated",
    "transparent",
    "black and white",
]
Progress = Callable[[int, int], None]


class DatasetError(SettingError):
    """A folder cannot be used for training; the message is one line with the folder's name and what was found in it."""


@dataclass(frozen=True)
class LeftOut:
    """A file that is skipped."""

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
        Pixels at the stored size; None if the picture is read each time.
    mean
        Mean color, RGB in 0..1.
    notes
        What is unusual about the file.
    spread
        Difference between its brightest and darkest value, in 0..1.
    frames
        Pictures in the file, of which the first is used.
    """

    file: str
    path: Path
    digest: str
    height: int
    width: int
    mean: tuple[float, float, float]
    pixels: Pixels | None = None
    notes: tuple[NoteKind, ...] = ()
    spread: float = 1.0
    frames: int = 1


@dataclass
class Dataset:
    """Usable pictures of a folder, split, with the report of the scan."""

    folder: str
    train: list[Record]
    held_out: list[Record]
    left_out: list[LeftOut] = field(default_factory=list)
    ignored: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    credits: tuple[Credit, ...] = ()

    @property
    def mean(self) -> tuple[float, float, float]:
        """Mean color of the training pictures, RGB in 0..1."""
        count = len(self.train)
        red, green, blue = (sum(record.mean[channel] for record in self.train) / count for channel in range(3))
        return red, green, blue

    @property
    def fingerprint(self) -> str:
        """A value that changes if a usable picture is added, removed or changed."""
        digests = sorted(record.digest for record in (*self.train, *self.held_out))
        return hashlib.sha256("".join(digests).encode()).hexdigest()

    def messages(self) -> list[str]:
        """Messages to the user about these pictures."""
        sentences = list(self.notes)
        if self.left_out:
            listed = ", ".join(_name_left_out(item) for item in self.left_out[:MAX_LISTED])
            more = f" and {len(self.left_out) - MAX_LISTED} more" if len(self.left_out) > MAX_LISTED else ""
            usable = len(self.train) + len(self.held_out)
            sentences.append(f"{len(self.left_out)} of {usable + len(self.left_out)} pictures skipped: {listed}{more}")
        too_large = next((item for item in self.left_out if item.kind == "bomb"), None)
        if too_large is not None:
            sentences.append(f"{too_large.file}: {too_large.reason}")
        records = [*self.train, *self.held_out]
        sentences += notes_on_kinds((record.file, record.notes, record.frames) for record in records)
        widest = max((record.spread for record in records), default=1.0)
        if widest < FAINT:
            sentences.append(
                f"no picture uses more than {100 * widest:.0f}% of the range from black to white, so the PSNR of "
                "every model is misleadingly high; stretch the pictures first"
            )
        if not self.held_out:
            sentences.append(
                "no picture is held out, so nothing is measured, and the latest model is kept instead of the best one"
            )
        return sentences

    def report(self) -> dict[str, object]:
        """The content of `dataset_report.json`."""
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
            "mean_color": [round(value, 4) for value in self.mean],
            "sources": count_licences(self.credits),
            "fingerprint": self.fingerprint,
        }


def notes_on_kinds(pictures: Iterable[tuple[str, Sequence[str], int]]) -> list[str]:
    """Messages on pictures that are not used unchanged, from their names, notes and numbers of frames."""
    found = list(pictures)
    sentences = []
    several = sorted(f"{file} has {frames}" for file, _, frames in found if frames > 1)
    if several:
        named = ", ".join(several[:MAX_LISTED]) + ", ..." * (len(several) > MAX_LISTED)
        files = f"{len(several)} files hold" if len(several) > 1 else "1 file holds"
        sentences.append(f"{files} several frames or pages; only the first of each is used: {named}")
    drawn = sorted(file for file, notes, _ in found if "black and white" in notes)
    if drawn and len(drawn) < len(found):
        named = ", ".join(drawn[:MAX_LISTED]) + ", ..." * (len(drawn) > MAX_LISTED)
        sentences.append(f"{len(drawn)} of {len(found)} pictures are purely black and white (possibly masks): {named}")
    stretched = sum("stretched" in notes for _, notes, _ in found)
    if stretched:
        sentences.append(
            f"{stretched} pictures have values other than 8 or 16 bits; each is stretched to its own range"
        )
    return sentences


def load_dataset(config: DataConfig, progress: Progress | None = None, seed: int = 0) -> Dataset:
    """Scan and split the configured folder or clip, or the embedded photographs.

    Parameters
    ----------
    config
        Location of the pictures and their stored size.
    progress
        Called with (files checked, total files); an exception that it raises aborts the scan.
    seed
        Seed for drawing the frames of a clip.

    Raises
    ------
    DatasetError
        The folder does not exist, or has fewer usable pictures than `config.minimum_pictures`.
    """
    if config.folder is None:
        return _load_embedded(config)
    folder = Path(config.folder).expanduser().resolve()
    if folder.suffix.lower() in READABLE_CLIPS and folder.is_file():
        from .clip import read_clip

        return read_clip(folder, config, seed, progress)
    try:
        layout = find_layout(folder, config.recursive)
    except ImageFileError as error:
        raise DatasetError(str(error)) from None
    paths = [path for listing in layout.listings for path in listing.pictures]
    records, left_out = _scan(folder, paths, config, progress)
    if config.paired:
        records, left_out = _leave_out_unpaired(records, left_out, paths, config)
    if len(records) < config.minimum_pictures:
        raise DatasetError(_too_few(layout, config, len(records), left_out))
    try:
        credits_ = read_credits(folder)
    except ValueError as error:
        raise DatasetError(str(error)) from None
    train, held_out = _divide(records, layout, config)
    used = {record.file for record in records}
    return Dataset(
        str(folder),
        train,
        held_out,
        left_out,
        layout.ignored,
        tuple(layout.notes(RECURSIVE)),
        tuple(credit for credit in credits_ if credit.file in used),
    )


def _divide(records: list[Record], layout: Layout, config: DataConfig) -> tuple[list[Record], list[Record]]:
    """Training and held-out pictures: split by the folder's layout if it has one, otherwise by content."""
    if layout.validation is None or config.held_out == 0.0:
        apart = set() if layout.validation is None else set(layout.validation.pictures)
        return split_by_content([record for record in records if record.path not in apart], config.held_out)
    held_out = set(layout.validation.pictures)
    train = [record for record in records if record.path not in held_out]
    held = [record for record in records if record.path in held_out]
    if not train:
        raise DatasetError(f"{layout.train.folder}: no usable picture to train on")
    return (train, held) if held else split_by_content(train, config.held_out)


def split_by_content(records: Sequence[Record], share: float) -> tuple[list[Record], list[Record]]:
    """Split into training and held-out pictures by content, so that adding files never changes the split of the others.

    At least one picture is held out if there are two or more and `share` is above 0; at least one is used for training.
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


def read_pixels(path: Path, config: DataConfig) -> Pixels:
    """Decode a picture or, if configured, a pair.

    The shorter side is reduced to `config.stored_side` or enlarged to `config.size`.

    Raises
    ------
    ImageFileError
        As `inpaint_core.files.images.decode_image`; an UnpairedError as `read_pair`.
    """
    if config.paired:
        return read_pair(path, config).map(lambda part: to_stored_size(part, config))
    picture = decode_image(path, config.max_pixels)
    return to_training_pixels(picture.visible(), picture.unknown, config)


def to_training_pixels(image: Tensor, unknown: Tensor, config: DataConfig) -> Pixels:
    """The stored form of a picture; see `read_pixels`.

    Parameters
    ----------
    image
        `[3,H,W]` in 0..1.
    unknown
        `[1,H,W]`, 1 or True where unknown. After resizing, every pixel that it touches is unknown.
    """
    picture = to_stored_size(image, config)
    if not bool(unknown.any()):
        return Pixels(picture)
    touched = to_stored_size(unknown.float(), config) > 0
    return Pixels(picture, unknown=touched.to(torch.uint8) * 255)


def to_stored_size(image: Tensor, config: DataConfig) -> Tensor:
    """Resize `[C,H,W]` in 0..1 to the stored size, as uint8: see `read_pixels`."""
    height, width = stored_shape(image.shape[-2], image.shape[-1], config)
    if (height, width) != tuple(image.shape[-2:]):
        image = F.interpolate(image[None], (height, width), mode="bilinear", antialias=True, align_corners=False)[0]
    return to_uint8(image)


def stored_shape(height: int, width: int, config: DataConfig) -> tuple[int, int]:
    """Stored height and width of a picture of this size: see `read_pixels`."""
    shorter = min(height, width)
    side = min(max(shorter, config.size), config.stored_side)
    return max(side, round(height * side / shorter)), max(side, round(width * side / shorter))


def _leave_out_unpaired(
    records: list[Record], left_out: list[LeftOut], paths: Sequence[Path], config: DataConfig
) -> tuple[list[Record], list[LeftOut]]:
    """Find problems that a single file does not show: files unlike the others, inputs without a picture."""
    kept = []
    usual = statistics.median(record.width / record.height for record in records) if records else 1.0
    for record in records:
        reason = odd_one_out(record.height, record.width, usual) if config.input_side is not None else None
        if reason is None:
            kept.append(record)
        else:
            left_out.append(LeftOut(record.file, "unpaired", reason))
    for path in unpaired_inputs(paths, config):
        left_out.append(LeftOut(str(path), "unpaired", "an input without a picture of the same name"))
    return kept, left_out


def _load_embedded(config: DataConfig) -> Dataset:
    spec = importlib.util.find_spec("skimage")
    if spec is None or spec.origin is None:
        raise DatasetError("the demo needs scikit-image's photographs, but it is not installed; set `data.folder`")
    folder = Path(spec.origin).parent / "data"
    records, left_out = _scan(folder, [folder / name for name in DEMO_TRAIN + DEMO_HELD_OUT], config, None)
    train = [record for record in records if record.file in DEMO_TRAIN]
    if not train:
        raise DatasetError(f"{folder}: scikit-image's photographs are missing; set `data.folder`")
    return Dataset("photographs of scikit-image", train, [r for r in records if r.file in DEMO_HELD_OUT], left_out)


def _scan(
    folder: Path, paths: Sequence[Path], config: DataConfig, progress: Progress | None
) -> tuple[list[Record], list[LeftOut]]:
    records: list[Record] = []
    left_out: list[LeftOut] = []
    first_with: dict[str, str] = {}
    budget = config.cache_megabytes * 2**20

    def scan(path: Path) -> Record | LeftOut:
        return scan_file(folder, path, config)

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        futures = [pool.submit(scan, path) for path in paths]
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
                    budget -= found.pixels.size_in_bytes
                if budget < 0:
                    for record in records:
                        record.pixels = None
        finally:
            for future in futures:
                future.cancel()
    return records, left_out


def scan_file(folder: Path, path: Path, config: DataConfig) -> Record | LeftOut:
    """Open one file of a folder: returns a record with its pixels, or the reason why it cannot be used. Does not check
    for duplicates."""
    name = path.relative_to(folder).as_posix()
    try:
        if path.is_symlink() and not path.resolve(strict=True).is_relative_to(folder.resolve()):
            return LeftOut(name, "link", "a link that points outside the folder")
    except (OSError, RuntimeError):  # before Python 3.13, a loop is a RuntimeError
        return LeftOut(name, "link", "a broken link")
    try:
        header = read_header(path, config.max_pixels)
        if min(header.width, header.height) < config.minimum_side:
            size = f"{header.width}x{header.height}"
            return LeftOut(name, "tiny", f"{size}: the shorter side is below {config.minimum_side} pixels")
        digest = _digest(path)
        if config.paired:
            pixels, notes = read_pixels(path, config), _notes(header)
            if config.input_folder is not None:
                given = read_header(input_path(path, config), config.max_pixels)
                header = replace(header, frames=max(header.frames, given.frames))
        else:
            picture = decode_image(path, config.max_pixels)
            if bool(picture.unknown.all()):
                return LeftOut(name, "broken", "fully transparent or without any finite value, so no pixel is known")
            pixels = to_training_pixels(picture.visible(), picture.unknown, config)
            notes = _notes(header, picture)
    except TooManyPixelsError as error:
        return LeftOut(name, "bomb", error.without(path))
    except UnpairedError as error:
        return LeftOut(name, "unpaired", error.without(path))
    except ImageFileError as error:
        return LeftOut(name, "broken", error.without(path))
    return replace(make_record(name, path, digest, pixels, tuple(notes)), frames=header.frames)


def make_record(name: str, path: Path, digest: str, pixels: Pixels, notes: tuple[NoteKind, ...] = ()) -> Record:
    """A record of these pixels, with mean and spread measured."""
    red, green, blue = (pixels.picture.float().mean((1, 2)) / 255.0).tolist()
    spread = (int(pixels.picture.max()) - int(pixels.picture.min())) / 255.0
    return Record(name, path, digest, pixels.height, pixels.width, (red, green, blue), pixels, notes, spread)


def _digest(path: Path) -> str:
    """SHA-256 of a file; only for files that `read_header` has accepted, whose size is bounded."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while part := file.read(1 << 20):
                digest.update(part)
    except OSError as error:
        raise ImageFileError(f"{path}: {error.strerror or 'cannot be read'}") from None
    return digest.hexdigest()


def _notes(header: Header, picture: Picture | None = None) -> list[NoteKind]:
    """What is unusual about a file."""
    notes: list[NoteKind] = []
    if picture is not None and picture.values is not None:
        if picture.values.kind != "uint8":
            notes.append("16-bit" if picture.sixteen_bit else "numbers")
        if picture.values.stretched:
            notes.append("stretched")
    if (picture is not None and picture.gray) or header.mode in ("1", "L", "LA", "F") or header.mode.startswith("I"):
        notes.append("gray")
    elif header.mode == "CMYK":
        notes.append("CMYK")
    elif header.mode in ("P", "PA"):
        notes.append("palette")
    if header.transparent:
        notes.append("transparent")
    if picture is not None and _is_black_and_white(picture.image):
        notes.append("black and white")
    if header.frames > 1:
        notes.append("several frames" if header.format == "TIFF" else "animated")
    if header.orientation != 1:
        notes.append("rotated")
    return notes


def _is_black_and_white(image: Tensor) -> bool:
    return bool(((image == 0.0) | (image == 1.0)).all()) and bool(image.min() < image.max())


def _name_left_out(item: LeftOut) -> str:
    return f"{item.file} ({item.reason if item.kind == 'duplicate' else item.kind})"


def _too_few(layout: Layout, config: DataConfig, usable: int, left_out: Sequence[LeftOut]) -> str:
    found = f"{usable} usable picture{'s' * (usable != 1)}, but at least {config.minimum_pictures} are needed"
    if left_out:
        kinds = Counter(item.kind for item in left_out)
        found += f"; skipped: {', '.join(f'{count} {kind}' for kind, count in sorted(kinds.items()))}"
        found += f" (first: {left_out[0].file}, {left_out[0].reason})"
    if layout.ignored:
        found += f"; other files: {list_others(layout.ignored)}"
    if not layout.is_split and not config.recursive and any(path.is_dir() for path in layout.folder.iterdir()):
        found += "; it has subfolders; to include them, turn on `data.recursive`"
    return f"{layout.folder}: {found}"
