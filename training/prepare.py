"""`python -m training.prepare`: prepare a dataset from a folder of pictures: cut, deduplicate, split, report.

usage: python -m training.prepare --data DIR --out DIR [--size 256] [--tiles] [--shorter-side N] [--split 80/10/10]
                                  [--recursive] [--format jpg|png] [--quality 95] [--threshold BITS] [--seed S]
                                  [--max-megapixels N]

  --data DIR         folder of pictures; nothing in it is changed
  --out DIR          receives train/, val/, test/ and report.json; a rerun updates the files it wrote there, and never
                     touches other files
  --size N           side of the squares in pixels; smaller pictures are skipped
  --tiles            as many squares as fit side by side (default: reduce the shorter side to N and crop the center)
  --shorter-side N   with --tiles: first reduce larger pictures until their shorter side has N pixels
  --split A/B/C      proportions of training, validation and test pictures
  --recursive        include subfolders
  --format, --quality   png, or jpg of this quality (1 to 100); pictures with transparent parts become png
  --threshold BITS   near duplicates differ in at most this many of the 64 bits of their perceptual hashes (default 12)
  --max-megapixels N maximum size of a picture in megapixels (default 89)
  --seed S           seed of the split into train, val and test

exit codes: 0 done, 1 disk error, 2 bad input (one line on standard error), 130 interrupted; run again to continue
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from inpaint_core.commands.notes import allow_undecodable_names
from inpaint_core.files.atomic import unwritten
from inpaint_core.files.folders import Listing, list_pictures
from inpaint_core.files.opening import ImageFileError, add_limit_argument, pixel_limit

from .command_line import BAD_INPUT, DONE, FAILED, INTERRUPTED, OneLineParser, end
from .config import ConfigError
from .dataset.attribution import ATTRIBUTION, Credit, read_credits, write_credits
from .dataset.scan import DatasetError, LeftOut
from .dataset.selection import SPLITS, Source, choose
from .preparation.cutting import name_squares, scan_files, write_squares
from .preparation.ledger import Ledger
from .preparation.report import REPORT, earlier_splits, make_report, summarize
from .preparation.settings import WHOLE, PrepareError, Settings
from .runs.folder import check_writable, write_json
from .runs.lock import hold_lock

LOCK = ".prepare.lock"
MAX_THRESHOLD = 32  # half of the bits: unrelated pictures differ in as many
SIZES = (16, WHOLE)


def prepare(settings: Settings, *, quiet: bool = True) -> dict[str, Any]:
    """Create or update the dataset. See `training.dataset.selection.choose` for what is kept and in which split.

    Parameters
    ----------
    settings
        The settings.
    quiet
        No progress bars.

    Returns
    -------
    dict
        The content of `report.json`.

    Raises
    ------
    ValueError
        `PrepareError`, `DatasetError`, `RunError` or `LockedError`: nothing has been changed.
    OSError
        The disk is full or a disk error occurred; all files written so far are complete.
    """
    data, out = settings.data.expanduser().resolve(), settings.out.expanduser().resolve()
    _check_places(data, out)
    check_writable(out)
    listing = _search(data, settings.recursive)
    credits_ = _read_credits(data)
    earlier = earlier_splits(out / REPORT, settings)
    sources, left_out = scan_files(data, listing.pictures, settings, quiet)
    if not sources:
        raise PrepareError(_nothing(data, left_out, listing))
    choose(sources, settings.threshold, settings.split, settings.seed, earlier)
    for source in sources:
        if source.outcome == "kept":
            source.written = name_squares(source, settings)
    out.mkdir(parents=True, exist_ok=True)
    with hold_lock(out / LOCK, "preparation"):
        ledger = Ledger(out)
        wanted = {name for source in sources for name in source.written}
        foreign = next((name for name in sorted(wanted) if ledger.is_foreign(name)), None)
        if foreign is not None:
            raise PrepareError(f"{out / foreign}: not written by this command; move it, or choose another --out")
        for split in SPLITS:
            (out / split).mkdir(exist_ok=True)
        ledger.remove_all_but(wanted)
        failed = write_squares(sources, settings, ledger, quiet)
        ledger.finish()
        report = make_report(settings, sources, [*left_out, *failed], listing)
        if credits_ or (out / ATTRIBUTION).exists():
            write_credits(out, credits_of(sources, credits_))
        write_json(out / REPORT, report)
    return report


def credits_of(sources: Sequence[Source], credits_: Sequence[Credit]) -> list[Credit]:
    """The credits of every file written, from those of the pictures."""
    by_file = {credit.file: credit for credit in credits_}
    return [
        dataclasses.replace(by_file[source.file], file=name)
        for source in sources
        if source.file in by_file
        for name in source.written
    ]


def _read_credits(data: Path) -> list[Credit]:
    try:
        return read_credits(data)
    except ValueError as error:
        raise PrepareError(str(error)) from None


def _search(data: Path, recursive: bool) -> Listing:
    try:
        return list_pictures(data, recursive)
    except ImageFileError as error:
        raise DatasetError(str(error)) from None


def _check_places(data: Path, out: Path) -> None:
    if out == data or data in out.parents:
        raise PrepareError(f"--out {out} lies inside --data {data}, so inputs and outputs would mix; choose another")
    for split in SPLITS:
        if data == out / split or out / split in data.parents:
            raise PrepareError(f"--data {data} is where --out {out} would write; choose another --out")


def _nothing(data: Path, left_out: Sequence[LeftOut], listing: Listing) -> str:
    kinds = Counter(item.kind for item in left_out)
    found = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())) or "none at all"
    first = f" (first: {left_out[0].file}, {left_out[0].reason})" if left_out else ""
    return f"{data}: no usable picture; skipped: {found}{first}{listing.found()}"


def read_command_line(arguments: Sequence[str]) -> Settings:
    """The settings given on the command line.

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
    parser.add_argument("--threshold", type=_whole(0, MAX_THRESHOLD), default=Settings.threshold)
    parser.add_argument("--seed", type=_whole(0, 2**64 - 1), default=Settings.seed)
    parser.add_argument("-h", "--help", action="store_true")
    add_limit_argument(parser)
    known = vars(parser.parse_args(arguments))
    if known.pop("help"):
        print(__doc__)
        raise SystemExit(DONE)
    for option in ("data", "out"):
        if known[option] is None:
            raise ConfigError(f"--{option} DIR is missing")
    settings = Settings(**known)
    pixel_limit(settings.max_megapixels)
    if settings.shorter_side is not None and not settings.tiles:
        raise ConfigError("--shorter-side needs --tiles: otherwise the shorter side is reduced to --size")
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
            raise argparse.ArgumentTypeError(f"{text!r} is not an integer from {low} to {high}")
        return value

    return parse


def _shares(text: str) -> tuple[float, float, float]:
    try:
        train, validation, test = (float(part) for part in text.split("/"))
    except ValueError:
        train = validation = test = -1.0
    if not (0.0 < train < 1e9 and 0.0 <= validation < 1e9 and 0.0 <= test < 1e9):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form 80/10/10, with the first number above 0")
    return train, validation, test


COMMAND = "training.prepare"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    allow_undecodable_names()
    try:
        settings = read_command_line(sys.argv[1:] if arguments is None else arguments)
        report = prepare(settings, quiet=False)
    except ValueError as error:
        return end(COMMAND, BAD_INPUT, error)
    except OSError as error:
        return end(
            COMMAND,
            FAILED,
            f"{unwritten(error)}; files written so far are complete; run the same command again to continue",
        )
    except KeyboardInterrupt:
        return end(
            COMMAND,
            INTERRUPTED,
            "interrupted; files written so far are complete; run the same command again to continue",
        )
    print(summarize(report, settings.out))
    return DONE


if __name__ == "__main__":
    sys.exit(main())
