"""`python -m training.prepare`: make a data set of a folder of pictures: cut, de-duplicate, split, report.

usage: python -m training.prepare --data DIR --out DIR [--size 256] [--tiles] [--shorter-side N] [--split 80/10/10]
                                  [--recursive] [--format jpg|png] [--quality 95] [--threshold BITS] [--seed S]

  --data DIR         folder of pictures; nothing in it is changed
  --out DIR          gets train/, val/, test/ and report.json; a rerun brings what it wrote there up to date, and files
                     that it did not write are left alone
  --size N           side of the squares in pixels; smaller pictures are left out
  --tiles            as many squares as fit side by side (default: reduce the shorter side to N and cut out the middle)
  --shorter-side N   with --tiles: first reduce larger pictures until their shorter side has so many pixels
  --split A/B/C      shares of training, validation and test pictures
  --recursive        look into subfolders too
  --format, --quality   png, or jpg of this quality (1 to 100)
  --threshold BITS   near duplicates differ in at most so many of the 64 bits of their perceptual hashes (default 12)
  --seed S           another division into train, val and test

exit codes: 0 done, 1 the disk failed, 2 bad input (one line on standard error), 130 interrupted; run again to go on
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import Any, Literal, TypeVar

from PIL import Image
from torch import Tensor

from inpaint_core.files.atomic import atomic_path, write_text
from inpaint_core.files.images import ImageFileError

from .command_line import BAD_INPUT, DONE, FAILED, INTERRUPTED, OneLineParser, end
from .config import ConfigError, DataConfig
from .dataset.near_duplicates import DEFAULT_THRESHOLD, appearance
from .dataset.scan import LeftOut, list_pictures, look_at, read_pixels, stored_shape
from .dataset.selection import SPLITS, Source, choose
from .runs.folder import check_writable, write_json
from .runs.lock import hold_lock

REPORT, LEDGER, LOCK = "report.json", ".prepared.jsonl", ".prepare.lock"
REPORT_FORMAT = 1
WHOLE = 8192  # pictures whose shorter side is longer are compared, and cut into tiles, at this size
LARGEST_THRESHOLD = 32  # half of the bits, by which unrelated pictures differ
SIZES = (16, 2048)
THREADS = 8  # more than processors: they mostly wait for the disk
AHEAD = 32  # pictures that are read before they are needed
LONGEST_STEM = 80

OUR_STEM = r"[\w.-]+-[0-9a-f]{12}(_\d+_\d+)?"
OUR_NAME = re.compile(rf"({'|'.join(SPLITS)})/{OUR_STEM}\.(jpg|png)", re.ASCII)
# What `atomic_path` leaves behind of them when the process is killed while it writes.
LEFTOVER_NAME = re.compile(rf"\.{OUR_STEM}\.[0-9a-f]{{8}}\.part\.(jpg|png)", re.ASCII)

Item = TypeVar("Item")
Result = TypeVar("Result")


class PrepareError(ValueError):
    """A data set cannot be made; the message is one line, and nothing has been changed."""


@dataclass(frozen=True)
class Settings:
    """What is asked for; see the module's text for the meaning of each."""

    data: Path
    out: Path
    size: int = 256
    tiles: bool = False
    shorter_side: int | None = None
    split: tuple[float, float, float] = (80.0, 10.0, 10.0)
    recursive: bool = False
    format: Literal["jpg", "png"] = "jpg"
    quality: int = 95
    threshold: int = DEFAULT_THRESHOLD
    seed: int = 0

    @property
    def looking(self) -> DataConfig:
        """How pictures are read to be compared: as large as they are."""
        return DataConfig(size=self.size, shorter_side=WHOLE, minimum_side=self.size)

    @property
    def cutting(self) -> DataConfig:
        """How pictures are read to be cut."""
        shorter = (self.shorter_side or WHOLE) if self.tiles else self.size
        return DataConfig(size=self.size, shorter_side=shorter)


def prepare(settings: Settings, *, quiet: bool = True) -> dict[str, Any]:
    """Make the data set, or bring it up to date. See `training.dataset.selection.choose` for what is kept and where.

    Parameters
    ----------
    settings
        What to do.
    quiet
        Without progress bars.

    Returns
    -------
    dict
        What `report.json` holds.

    Raises
    ------
    ValueError
        `PrepareError`, `DatasetError`, `RunError` or `LockedError`: nothing has been changed.
    OSError
        The disk is full or failed; every file that was written is whole.
    """
    data, out = settings.data.expanduser().resolve(), settings.out.expanduser().resolve()
    _check_places(data, out)
    check_writable(out)
    paths, ignored = list_pictures(data, settings.recursive)
    earlier = _earlier_splits(out / REPORT, settings)
    sources, left_out = _look(data, paths, settings, quiet)
    if not sources:
        raise PrepareError(_nothing(data, left_out, settings))
    choose(sources, settings.threshold, settings.split, settings.seed, earlier)
    for source in sources:
        if source.outcome == "kept":
            source.written = _names(source, settings)
    out.mkdir(parents=True, exist_ok=True)
    with hold_lock(out / LOCK, "preparation"):
        ledger = Ledger(out)
        wanted = {name for source in sources for name in source.written}
        foreign = next((name for name in sorted(wanted) if ledger.is_foreign(name)), None)
        if foreign is not None:
            raise PrepareError(f"{out / foreign}: was not written by this command; move it, or choose another --out")
        for split in SPLITS:
            (out / split).mkdir(exist_ok=True)
        ledger.remove_all_but(wanted)
        failed = _write(sources, settings, ledger, quiet)
        ledger.finish()
        report = _report(settings, sources, [*left_out, *failed], ignored)
        write_json(out / REPORT, report)
    return report


def tile_places(height: int, width: int, size: int) -> list[tuple[int, int]]:
    """Top and left of as many squares as fit side by side, row by row; the margin is divided between the sides."""
    rows, columns = height // size, width // size
    top, left = (height - rows * size) // 2, (width - columns * size) // 2
    return [(top + row * size, left + column * size) for row in range(rows) for column in range(columns)]


class Ledger:
    """Remembers which files were written here, by name and content, so that no other file is replaced or removed.

    A line is written before each file: whatever moment the process is killed at, it is known what is ours.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / LEDGER
        self._known: dict[str, set[str]] = {}
        self._current: dict[str, str] = {}
        self._one = Lock()
        for name, digest in self._read():
            self._known.setdefault(name, set()).add(digest)
        # A line that was cut off by a crash must not swallow the next one.
        self._save((name, digest) for name, digests in self._known.items() for digest in sorted(digests))
        self._file = self._path.open("a", encoding="utf-8")

    def is_foreign(self, name: str) -> bool:
        """Whether there is a file of this name that was not written by us, or was changed since."""
        found = self._digest(name)
        return found is not None and found not in self._known.get(name, ())

    def remove_all_but(self, wanted: set[str]) -> None:
        """Remove what earlier runs wrote and is not wanted any more, and what they left unfinished."""
        for split in SPLITS:
            for path in (self._folder / split).iterdir():
                if LEFTOVER_NAME.fullmatch(path.name):
                    path.unlink(missing_ok=True)
        for name in sorted(set(self._known) - wanted):
            if self._digest(name) in self._known[name]:
                (self._folder / name).unlink(missing_ok=True)

    def write(self, name: str, content: bytes) -> None:
        """Write a file unless it is there already; several threads may."""
        digest = hashlib.sha256(content).hexdigest()
        self._current[name] = digest
        if self._digest(name) == digest:
            return
        with self._one:
            self._file.write(json.dumps([name, digest]) + "\n")
            self._file.flush()
        with atomic_path(self._folder / name) as temporary:
            temporary.write_bytes(content)

    def finish(self) -> None:
        """Forget all but the files that were written since this object was made."""
        self._file.close()
        self._save(sorted(self._current.items()))

    def _read(self) -> Iterator[tuple[str, str]]:
        if not self._path.exists():
            return
        for line in self._path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                name, digest = json.loads(line)
            except (ValueError, TypeError):
                continue
            # Only names that this command makes: a damaged ledger must not lead out of the folder.
            if isinstance(name, str) and isinstance(digest, str) and OUR_NAME.fullmatch(name):
                yield name, digest

    def _save(self, lines: Iterable[tuple[str, str]]) -> None:
        write_text(self._path, "".join(json.dumps(list(line)) + "\n" for line in lines))

    def _digest(self, name: str) -> str | None:
        try:
            return hashlib.sha256((self._folder / name).read_bytes()).hexdigest()
        except FileNotFoundError:
            return None


def _check_places(data: Path, out: Path) -> None:
    if out == data or data in out.parents:
        raise PrepareError(f"--out {out} lies inside --data {data}, whose pictures it would mix with; choose another")
    for split in SPLITS:
        if data == out / split or out / split in data.parents:
            raise PrepareError(f"--data {data} is where --out {out} would write to; choose another --out")


def _earlier_splits(path: Path, settings: Settings) -> dict[str, str]:
    """What an earlier run into the same folder kept and where, unless it was told to divide otherwise."""
    if not path.exists():
        return {}
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        if report["format"] != REPORT_FORMAT:
            raise ValueError("another format")
        divided = [report["settings"]["split"], report["settings"]["seed"]]
        splits = {line["pixels"]: line["split"] for line in report["files"] if line["outcome"] == "kept"}
        if not set(splits.values()) <= set(SPLITS):
            raise ValueError("another split")
    except (OSError, ValueError, LookupError, TypeError):
        raise PrepareError(f"{path}: is not a report of this command; choose another --out") from None
    return splits if divided == [list(settings.split), settings.seed] else {}


def _nothing(data: Path, left_out: Sequence[LeftOut], settings: Settings) -> str:
    kinds = Counter(item.kind for item in left_out)
    found = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())) or "none at all"
    first = f" (first: {left_out[0].file}, {left_out[0].reason})" if left_out else ""
    deeper = "" if settings.recursive else "; --recursive looks into subfolders too"
    return f"{data}: no usable picture; left out: {found}{first}{deeper}"


def _look(data: Path, paths: Sequence[Path], settings: Settings, quiet: bool) -> tuple[list[Source], list[LeftOut]]:
    config = settings.looking

    def look(path: Path) -> Source | LeftOut:
        record = look_at(data, path, config)
        if isinstance(record, LeftOut):
            return record
        pixels = record.pixels if record.pixels is not None else read_pixels(path, config)
        digest = hashlib.sha256(f"{record.height} {record.width} ".encode() + pixels.numpy().tobytes()).hexdigest()
        return Source(record.file, path, record.width, record.height, digest, appearance(pixels), record.notes)

    sources, left_out = [], []
    for found in _in_threads(look, paths, "looking", quiet):
        if isinstance(found, Source):
            sources.append(found)
        else:
            left_out.append(found)
    return sources, left_out


def _names(source: Source, settings: Settings) -> list[str]:
    """Names of what is cut out of a picture; its digest in them tells pictures of the same name apart."""
    stem = re.sub(r"[^\w.-]+", "_", Path(source.file).stem, flags=re.ASCII)[:LONGEST_STEM] or "picture"
    name = f"{source.split}/{stem}-{source.pixels[:12]}"
    if not settings.tiles:
        return [f"{name}.{settings.format}"]
    size = settings.size
    height, width = stored_shape(source.height, source.width, settings.cutting)
    return [
        f"{name}_{row}_{column}.{settings.format}" for row in range(height // size) for column in range(width // size)
    ]


def _write(sources: Sequence[Source], settings: Settings, ledger: Ledger, quiet: bool) -> list[LeftOut]:
    """Cut, encode and write; returns what could be read when it was looked at but not now."""

    def cut(source: Source) -> LeftOut | None:
        try:
            pixels = read_pixels(source.path, settings.cutting)
        except ImageFileError as error:
            return LeftOut(source.file, "unreadable", str(error).removeprefix(f"{source.path}: "))
        height, width = pixels.shape[1:]
        places = tile_places(height, width, size) if settings.tiles else [((height - size) // 2, (width - size) // 2)]
        if len(places) != len(source.written):
            return LeftOut(source.file, "unreadable", "was changed while it was being prepared")
        for name, (top, left) in zip(source.written, places, strict=True):
            ledger.write(name, _encode(pixels[:, top : top + size, left : left + size], settings))
        return None

    size = settings.size
    kept = [source for source in sources if source.written]
    return [found for found in _in_threads(cut, kept, "writing", quiet) if found is not None]


def _encode(square: Tensor, settings: Settings) -> bytes:
    buffer = io.BytesIO()
    picture = Image.fromarray(square.permute(1, 2, 0).numpy())
    if settings.format == "jpg":
        picture.save(buffer, "JPEG", quality=settings.quality, subsampling=0)
    else:
        picture.save(buffer, "PNG")
    return buffer.getvalue()


def _in_threads(work: Callable[[Item], Result], items: Sequence[Item], what: str, quiet: bool) -> Iterator[Result]:
    """Results in order, a few of them made ahead."""
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


def _report(
    settings: Settings, sources: Sequence[Source], left_out: Sequence[LeftOut], ignored: Mapping[str, int]
) -> dict[str, Any]:
    gone = {item.file for item in left_out}
    files: list[dict[str, Any]] = [
        {"file": item.file, "outcome": item.kind, "reason": item.reason} for item in left_out
    ]
    files += [_line(source) for source in sources if source.file not in gone]
    kept = [source for source in sources if source.written and source.file not in gone]
    return {
        "format": REPORT_FORMAT,
        "settings": {
            "size": settings.size,
            "tiles": settings.tiles,
            "shorter_side": settings.shorter_side,
            "split": list(settings.split),
            "format": settings.format,
            "quality": settings.quality if settings.format == "jpg" else None,
            "threshold": settings.threshold,
            "seed": settings.seed,
        },
        "counts": {
            "files": len(files),
            "outcomes": dict(sorted(Counter(line["outcome"] for line in files).items())),
            "splits": {
                split: {
                    "pictures": sum(source.split == split for source in kept),
                    "squares": sum(len(source.written) for source in kept if source.split == split),
                }
                for split in SPLITS
            },
            "ignored_by_suffix": dict(ignored),
        },
        "files": sorted(files, key=lambda line: line["file"]),
    }


def _line(source: Source) -> dict[str, Any]:
    line: dict[str, Any] = {"file": source.file, "outcome": source.outcome}
    if source.of is not None:
        near = source.distance is not None
        more = f" ({source.distance} of 64 bits differ)" if near else ""
        line["reason"] = f"{'shows the same as' if near else 'has the same pixels as'} {source.of}{more}"
    if source.notes:
        line["converted"] = list(source.notes)
    line |= {"width": source.width, "height": source.height}
    line |= {"pixels": source.pixels, "hash": source.seen.hexadecimal}
    return line | ({"split": source.split, "written": source.written} if source.outcome == "kept" else {})


def summarise(report: Mapping[str, Any], out: Path) -> str:
    """The report in a few lines, for people."""
    counts = report["counts"]
    outcomes = dict(counts["outcomes"])
    kept = outcomes.pop("kept", 0)
    lines = [f"{kept} of {counts['files']} pictures kept; everything is in {out}"]
    names = {"near duplicate": "near duplicates", "duplicate": "duplicates"}
    if outcomes:
        parts = [f"{count} {names.get(kind, kind)}" for kind, count in outcomes.items()]
        lines.append(f"left out: {', '.join(parts)} (which and why: {REPORT})")
    for split, found in counts["splits"].items():
        lines.append(f"  {split:<6} {found['pictures']:>6} pictures {found['squares']:>7} squares")
    shares = zip(counts["splits"].items(), report["settings"]["split"], strict=True)
    empty = [split for (split, found), share in shares if share > 0 and not found["pictures"]]
    if empty:
        lines.append(f"no picture fell into {' and '.join(empty)}: add pictures, or try another --seed")
    return "\n".join(lines)


def read_command_line(arguments: Sequence[str]) -> Settings:
    """What is asked for.

    Raises
    ------
    ConfigError
        Unknown options, values out of bounds.
    """
    parser = OneLineParser(prog="training.prepare", add_help=False, allow_abbrev=False)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--size", type=_whole(*SIZES), default=Settings.size)
    parser.add_argument("--tiles", action="store_true")
    parser.add_argument("--shorter-side", type=_whole(SIZES[0], WHOLE))
    parser.add_argument("--split", type=_shares, default=Settings.split)
    parser.add_argument("--recursive", action="store_true")
    parser.add_argument("--format", choices=("jpg", "png"), default=Settings.format)
    parser.add_argument("--quality", type=_whole(1, 100), default=Settings.quality)
    parser.add_argument("--threshold", type=_whole(0, LARGEST_THRESHOLD), default=Settings.threshold)
    parser.add_argument("--seed", type=_whole(0, 2**53), default=Settings.seed)
    parser.add_argument("-h", "--help", action="store_true")
    known = vars(parser.parse_args(arguments))
    if known.pop("help"):
        print(__doc__)
        raise SystemExit(DONE)
    for option in ("data", "out"):
        if known[option] is None:
            raise ConfigError(f"--{option} DIR is missing")
    settings = Settings(**known)
    if settings.shorter_side is not None and not settings.tiles:
        raise ConfigError("--shorter-side is for --tiles: without, the shorter side is reduced to --size")
    if settings.shorter_side is not None and settings.shorter_side < settings.size:
        raise ConfigError(f"--shorter-side {settings.shorter_side} is below --size {settings.size}")
    return settings


def _whole(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = low - 1
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {low} to {high}")
        return value

    return parse


def _shares(text: str) -> tuple[float, float, float]:
    try:
        train, validation, test = (float(part) for part in text.split("/"))
    except ValueError:
        train = validation = test = -1.0
    if not (0.0 < train < 1e9 and 0.0 <= validation < 1e9 and 0.0 <= test < 1e9):
        raise argparse.ArgumentTypeError(f"{text!r} is not three shares such as 80/10/10, the first above 0")
    return train, validation, test


COMMAND = "training.prepare"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    try:
        settings = read_command_line(sys.argv[1:] if arguments is None else arguments)
        report = prepare(settings, quiet=False)
    except ValueError as error:
        return end(COMMAND, BAD_INPUT, error)
    except OSError as error:
        return end(COMMAND, FAILED, f"{error}; what is there is whole, run the same command again to go on")
    except KeyboardInterrupt:
        return end(COMMAND, INTERRUPTED, "interrupted; what is there is whole, run the same command again to go on")
    print(summarise(report, settings.out))
    return DONE


if __name__ == "__main__":
    sys.exit(main())
