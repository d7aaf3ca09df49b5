"""Names of output files: never those of an input, never the same twice, never too long for the file system."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .folders import fold
from .opening import ImageFileError

MAX_NAME_BYTES = 255  # bytes, on all common file systems


@dataclass(frozen=True)
class Wanted:
    """The name that a result should have.

    Attributes
    ----------
    place
        Subfolder of the folder of results, `Path()` for that folder itself.
    stem
        Beginning of the name.
    apart
        Added to the stem if several results have the same one.
    ends
        Endings of the names of all files of this result, the main file's first: `(".png",)`.
    """

    place: Path
    stem: str
    apart: str
    ends: tuple[str, ...]


def distinct_names(wanted: Sequence[Wanted]) -> list[Path]:
    """A name for each result; all names are distinct, even on file systems that ignore case.

    A name that only one result has is used as is; `a.jpg` and `a.png` become `a_jpg.png` and `a_png.png`, and a number
    is appended if that name is also taken.

    Returns
    -------
    list of Path
        The path of the main file of each result, relative to the folder of results.
    """
    claims = [_claims(one, one.stem) for one in wanted]
    counts: dict[str, int] = {}
    for claimed in claims:
        for name in claimed:
            counts[name] = counts.get(name, 0) + 1
    taken: set[str] = set()
    names: dict[int, Path] = {}
    for number, claimed in enumerate(claims):
        if all(counts[name] == 1 for name in claimed):
            names[number] = _place(wanted[number], wanted[number].stem)
            taken.update(claimed)
    for number, one in enumerate(wanted):
        if number in names:
            continue
        stem, turn = f"{one.stem}_{one.apart}", 1
        while taken & _claims(one, stem):
            turn += 1
            stem = f"{one.stem}_{one.apart}_{turn}"
        taken |= _claims(one, stem)
        names[number] = _place(one, stem)
    return [names[number] for number in range(len(wanted))]


def reject_inputs(targets: Iterable[Path], inputs: Iterable[Path]) -> None:
    """Refuse to overwrite an input, even under another name or through a link.

    Raises
    ------
    ImageFileError
        A target is one of the inputs; the message names it.
    """
    known = {identity: path for path in inputs if (identity := _identity(path)) is not None}
    for target in targets:
        found = known.get(_identity(target) or ())
        if found is not None:
            raise ImageFileError(f"{target}: this is an input ({found}) and would be replaced; choose another --out")


def reject_inside(out: Path, folder: Path, recursive: bool, option: str) -> None:
    """Reject an output folder that is the input folder, or inside it and searched for inputs.

    Raises
    ------
    ImageFileError
        The message names both.
    """
    inner, outer = Path(os.path.realpath(out)), Path(os.path.realpath(folder))
    if inner == outer or (recursive and outer in inner.parents):
        where = "is the folder" if inner == outer else f"lies inside the folder {folder}"
        raise ImageFileError(
            f"--out {out}: {where} that {option} reads, so outputs would mix with the inputs; choose another --out"
        )


def fit_name(stem: str, ending: str) -> str:
    """`stem + ending`, with the stem shortened if it is too long for file systems; a checksum then keeps names
    distinct."""
    room = MAX_NAME_BYTES - len(os.fsencode(ending))
    encoded = os.fsencode(stem)
    if len(encoded) <= room:
        return stem + ending
    mark = "~" + hashlib.sha256(encoded).hexdigest()[:8]
    kept = encoded[: max(0, room - len(mark))]
    while kept and kept[-1] & 0xC0 == 0x80:  # never in the middle of a character
        kept = kept[:-1]
    if kept and kept[-1] >= 0xC0:
        kept = kept[:-1]
    return os.fsdecode(kept) + mark + ending


def _claims(one: Wanted, stem: str) -> set[str]:
    return {fold((one.place / fit_name(stem, end)).as_posix()) for end in one.ends}


def _place(one: Wanted, stem: str) -> Path:
    return one.place / fit_name(stem, one.ends[0])


def _identity(path: Path) -> tuple[object, ...] | None:
    """The file behind a name; if there is none yet, the name itself with all links resolved."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return (os.path.realpath(path),)
    return (found.st_dev, found.st_ino)
