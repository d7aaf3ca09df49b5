"""Credits of collected pictures: a table next to them, and its summary for reports and model cards."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from inpaint_core.files.atomic import write_text
from inpaint_core.text import one_line

ATTRIBUTION = "ATTRIBUTION.csv"
LONGEST = 1000  # characters per field
NAMES = {
    "cc0": "CC0",
    "pdm": "public domain",
    "by": "CC BY",
    "by-sa": "CC BY-SA",
    "by-nc": "CC BY-NC",
    "by-nd": "CC BY-ND",
    "by-nc-sa": "CC BY-NC-SA",
    "by-nc-nd": "CC BY-NC-ND",
    "unknown": "unknown license",
}
"""Licenses by their short names."""


@dataclass(frozen=True)
class Credit:
    """A row of the table: the source, creator and license of a picture.

    Attributes
    ----------
    file
        Name of the picture.
    source
        Where it was found.
    title, creator, page
        Title, creator, and a page about the picture.
    licence, version, licence_url
        A key of `NAMES`, the version of the license, and its text.
    url, sha256
        Where the file was downloaded from, and the digest of its bytes.
    """

    file: str
    source: str
    title: str
    creator: str
    page: str
    licence: str
    version: str
    licence_url: str
    url: str
    sha256: str


def read_credits(folder: Path) -> list[Credit]:
    """The table in a folder; empty if there is none.

    Raises
    ------
    ValueError
        The file is not such a table.
    """
    path = folder / ATTRIBUTION
    if not path.is_file():
        return []
    names = [field.name for field in fields(Credit)]
    try:
        rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8")), strict=True))
        return [Credit(**{name: one_line(row[name], LONGEST) for name in names}) for row in rows]
    except (KeyError, TypeError, AttributeError, csv.Error, UnicodeDecodeError):
        raise ValueError(f"{path}: not a table of credits with the columns {', '.join(names)}; repair it") from None


def write_credits(folder: Path, credits_: Iterable[Credit]) -> None:
    """Replace the table in a folder."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(Credit)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(credit) for credit in credits_)
    write_text(folder / ATTRIBUTION, text.getvalue())


def count_licences(credits_: Sequence[Credit]) -> dict[str, dict[str, int]]:
    """Number of pictures by source and license, for reports; parts of one picture count once."""
    counts: dict[str, Counter[str]] = {}
    for credit in {credit.sha256: credit for credit in credits_}.values():
        name = NAMES.get(credit.licence, credit.licence)
        counts.setdefault(credit.source, Counter())[f"{name} {credit.version}".strip()] += 1
    return {source: dict(sorted(found.items())) for source, found in sorted(counts.items())}


def describe_sources(credits_: Sequence[Credit]) -> str:
    """The same as text for a model's card; empty without credits.

    Examples
    --------
    >>> describe_sources([])
    ''
    """
    return "; ".join(
        f"{source}: {', '.join(f'{count} {name}' for name, count in found.items())}"
        for source, found in count_licences(credits_).items()
    )
