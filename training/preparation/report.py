"""Report on what was done with every picture, for the user and for the next preparation into the same folder."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from inpaint_core.files.folders import Listing
from inpaint_core.text import MAX_MESSAGE_LENGTH, one_line

from ..dataset.scan import LeftOut, notes_on_kinds
from ..dataset.selection import SPLITS, Source
from .settings import PrepareError, Settings

REPORT = "report.json"
REPORT_FORMAT = 1


def make_report(
    settings: Settings, sources: Sequence[Source], left_out: Sequence[LeftOut], listing: Listing
) -> dict[str, Any]:
    """The content of `report.json`."""
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
            "ignored_by_suffix": dict(listing.others),
            "masks": sum(map(len, listing.masks.values())),
            "in_subfolders": listing.in_subfolders,
        },
        "remarks": [
            *listing.notes(),
            *notes_on_kinds((source.file, source.notes, source.frames) for source in sources),
        ],
        "files": sorted(files, key=lambda line: line["file"]),
    }


def _line(source: Source) -> dict[str, Any]:
    line: dict[str, Any] = {"file": source.file, "outcome": source.outcome}
    if source.of is not None:
        near = source.distance is not None
        more = f" ({source.distance} of 64 bits differ)" if near else ""
        line["reason"] = f"{'looks the same as' if near else 'has the same pixels as'} {source.of}{more}"
    if source.notes:
        line["converted"] = list(source.notes)
    line |= {"width": source.width, "height": source.height}
    line |= {"pixels": source.pixels, "hash": source.seen.hexadecimal}
    return line | ({"split": source.split, "written": source.written} if source.outcome == "kept" else {})


def summarize(report: Mapping[str, Any], out: Path) -> str:
    """The report in a few lines, for the user."""
    counts = report["counts"]
    outcomes = dict(counts["outcomes"])
    kept = outcomes.pop("kept", 0)
    lines = [f"{kept} of {counts['files']} pictures kept; everything is in {out}"]
    names = {"near duplicate": "near duplicates", "duplicate": "duplicates"}
    if outcomes:
        parts = [f"{count} {names.get(kind, kind)}" for kind, count in outcomes.items()]
        lines.append(f"skipped: {', '.join(parts)} (details in {REPORT})")
    lines += [one_line(note, MAX_MESSAGE_LENGTH) for note in report["remarks"]]
    too_large = next((line for line in report["files"] if line["outcome"] == "bomb"), None)
    if too_large is not None:
        lines.append(one_line(f"{too_large['file']}: {too_large['reason']}", MAX_MESSAGE_LENGTH))
    for split, found in counts["splits"].items():
        lines.append(f"  {split:<6} {found['pictures']:>6} pictures {found['squares']:>7} squares")
    shares = zip(counts["splits"].items(), report["settings"]["split"], strict=True)
    empty = [split for (split, found), share in shares if share > 0 and not found["pictures"]]
    if empty:
        lines.append(f"no pictures in {' and '.join(empty)}: add pictures, or try another --seed")
    return "\n".join(lines)


def earlier_splits(path: Path, settings: Settings) -> dict[str, str]:
    """Pictures kept by an earlier run into the same folder and their splits, unless that run had other settings for the
    split."""
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
        raise PrepareError(f"{path}: not a report of this command; choose another --out") from None
    return splits if divided == [list(settings.split), settings.seed] else {}
