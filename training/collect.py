"""`python -m training.collect`: download freely licensed pictures, with a table of credits.

usage: python -m training.collect --source commons|openverse|reddit --query WORDS --contact MAIL --out DIR
                                  [--license cc0,pdm,by,by-sa] [--limit 100] [--min-side 256]
                                  [--max-megabytes 30] [--max-megapixels N]

  --source           Wikimedia Commons; Openverse (up to 240 pictures per query); or Reddit, with the credentials in
                     your own praw.ini (Reddit ended self-service access to its API in November 2025)
  --query WORDS      what to search for; for Reddit, the name of a subreddit
  --contact MAIL     your address, sent with every request: the services ask for one
  --out DIR          receives the pictures and ATTRIBUTION.csv; a rerun continues there
  --license LIST     accepted licenses (default cc0,pdm,by,by-sa; pdm is the public domain); by-nc, by-nd, by-nc-sa,
                     by-nc-nd and unknown only if named here
  --limit N          total number of pictures
  --min-side N       skip pictures with a shorter side
  --max-megabytes N  skip larger files
  --max-megapixels N maximum size of a picture in megapixels (default 89)

Requests are made one at a time, a second apart, and wait as long as a service asks.
exit codes: 0 done, 1 disk error, 2 bad input or no answer, 130 interrupted; run again to continue
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from inpaint_core.commands.notes import allow_undecodable_names
from inpaint_core.files.atomic import write_bytes
from inpaint_core.files.images import decode_image
from inpaint_core.files.opening import ImageFileError, add_limit_argument, pixel_limit, read_header
from inpaint_core.text import one_line

from .collection.licences import FREE, parse
from .collection.sources import SOURCES, Found
from .collection.web import CollectError, RejectedError, Web
from .command_line import BAD_INPUT, DONE, FAILED, INTERRUPTED, OneLineParser, end
from .dataset.attribution import ATTRIBUTION, NAMES, Credit, describe_sources, read_credits, write_credits
from .runs.folder import check_writable, write_json
from .runs.lock import hold_lock

COMMAND = "training.collect"
LOCK = ".collect.lock"
REJECTED = "rejected.json"
SUFFIXES = {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp", "TIFF": ".tif", "MPO": ".jpg"}
OURS = re.compile(rf"({'|'.join(SOURCES)})-[0-9a-f]{{16}}\.\w+", re.ASCII)
LONGEST_REASON = 200


@dataclass(frozen=True)
class Settings:
    """Settings of a collection; the module's docstring explains them."""

    source: str
    query: str
    contact: str
    out: Path
    licences: Sequence[str] = FREE
    limit: int = 100
    min_side: int = 256
    max_megabytes: float = 30.0
    max_megapixels: float | None = None


@dataclass
class Collected:
    """The contents of the folder.

    Attributes
    ----------
    credits
        Credits of every picture, in order of arrival.
    rejected
        Why other files were rejected, by URL or identity.
    """

    credits: list[Credit]
    rejected: dict[str, str] = field(default_factory=dict)


def collect(settings: Settings, web: Web, endpoint: str | None = None, *, quiet: bool = True) -> Collected:
    """Download pictures until there are `settings.limit`, or the service has no more.

    Parameters
    ----------
    settings
        What to collect.
    web
        The client.
    endpoint
        Address of the service if it is not the usual one.
    quiet
        No progress bar.

    Raises
    ------
    ValueError
        `CollectError`, `RunError` or `LockedError`: what was collected so far is complete.
    OSError
        The disk is full or a disk error occurred; what was collected so far is complete.
    """
    source = SOURCES[settings.source]
    out = settings.out.expanduser().resolve()
    check_writable(out)
    out.mkdir(parents=True, exist_ok=True)
    with hold_lock(out / LOCK, "collection"):
        collected = Collected(read_credits(out), _read_rejected(out / REJECTED))
        _remove_uncredited(out, collected.credits)
        have = {Path(credit.file).stem for credit in collected.credits}
        digests = {credit.sha256 for credit in collected.credits}
        found = source.search(web, endpoint or source.endpoint, settings.query, settings.licences)
        with tqdm(total=settings.limit, initial=len(have), unit="picture", disable=True if quiet else None) as bar:
            while len(collected.credits) < settings.limit:
                offer = next(found, None)
                if offer is None:
                    break
                name = _name(settings.source, offer)
                if name in have or name in collected.rejected:
                    continue
                try:
                    credit = _take(offer, name, settings, web, out, digests)
                except RejectedError as error:
                    collected.rejected[name] = one_line(f"{offer.page or offer.url}: {error}", LONGEST_REASON)
                    write_json(out / REJECTED, collected.rejected)
                    continue
                have.add(name)
                digests.add(credit.sha256)
                collected.credits.append(credit)
                write_credits(out, collected.credits)
                bar.update()
    return collected


def _take(offer: Found, name: str, settings: Settings, web: Web, out: Path, digests: set[str]) -> Credit:
    """Download, check and write one picture.

    Raises
    ------
    RejectedError
        Its license is not accepted, it is not a picture of the requested size, or it is already present.
    """
    if offer.licence not in settings.licences:
        raise RejectedError(f"its license ({NAMES[offer.licence]}) is not among those accepted")
    data, url = web.download(offer.url, round(settings.max_megabytes * 1e6))
    digest = hashlib.sha256(data).hexdigest()
    if digest in digests:
        raise RejectedError("the same file as an earlier picture")
    # Under a name that no command treats as a picture, until it has been checked.
    unchecked = out / ".unchecked"
    try:
        write_bytes(unchecked, data)
        limit = pixel_limit(settings.max_megapixels)
        header = read_header(unchecked, limit)
        if header.format not in SUFFIXES:
            raise RejectedError(f"a file of type {header.format}")
        if min(header.height, header.width) < settings.min_side:
            raise RejectedError(f"only {header.width}x{header.height} pixels")
        decode_image(unchecked, limit)
        file = f"{name}{SUFFIXES[header.format]}"
        unchecked.replace(out / file)
    except ImageFileError as error:
        raise RejectedError(str(error).replace(f"{unchecked}: ", "")) from None
    finally:
        unchecked.unlink(missing_ok=True)
    return Credit(
        file=file,
        source=offer.source,
        title=offer.title,
        creator=offer.creator,
        page=offer.page,
        licence=offer.licence,
        version=offer.version,
        licence_url=offer.licence_url,
        url=url,
        sha256=digest,
    )


def _remove_uncredited(out: Path, credits_: Sequence[Credit]) -> None:
    """Remove pictures that a killed process wrote without their credits."""
    credited = {credit.file for credit in credits_}
    for path in out.iterdir():
        if OURS.fullmatch(path.name) and path.name not in credited:
            path.unlink()


def _name(source: str, offer: Found) -> str:
    """A file name without any untrusted character."""
    return f"{source}-{hashlib.sha256((offer.identity or offer.url).encode()).hexdigest()[:16]}"


def _read_rejected(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    try:
        return {str(name): str(reason) for name, reason in json.loads(path.read_text(encoding="utf-8")).items()}
    except (ValueError, AttributeError):
        raise CollectError(f"{path}: not written by this command; remove it, or choose another --out") from None


def read_command_line(arguments: Sequence[str]) -> Settings:
    """The settings given on the command line.

    Raises
    ------
    ValueError
        `SettingError` or `CollectError`: unknown options, values out of bounds.
    """
    parser = OneLineParser(prog=COMMAND, add_help=False, allow_abbrev=False)
    parser.add_argument("--source", choices=tuple(SOURCES))
    parser.add_argument("--query")
    parser.add_argument("--contact")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--license", dest="licences", default=",".join(FREE))
    parser.add_argument("--limit", type=int, default=Settings.limit)
    parser.add_argument("--min-side", type=int, default=Settings.min_side)
    parser.add_argument("--max-megabytes", type=float, default=Settings.max_megabytes)
    parser.add_argument("-h", "--help", action="store_true")
    add_limit_argument(parser)
    known = vars(parser.parse_args(arguments))
    if known.pop("help"):
        print(__doc__)
        raise SystemExit(DONE)
    for option in ("source", "query", "contact", "out"):
        if not known[option]:
            raise CollectError(f"--{option} is missing")
    if "@" not in known["contact"] and not known["contact"].startswith("https://"):
        raise CollectError(
            f"--contact {known['contact']}: must be an email address or a web page where you can be reached"
        )
    if not known["contact"].isprintable() or not known["contact"].isascii():
        raise CollectError("--contact: must contain only printable ASCII characters")
    settings = Settings(**{**known, "licences": parse(known["licences"])})
    for name, value, low, high in (
        ("limit", settings.limit, 1, 100_000),
        ("min-side", settings.min_side, 1, 8192),
        ("max-megabytes", settings.max_megabytes, 0.01, 1000.0),
    ):
        if not low <= value <= high:
            raise CollectError(f"--{name} {value:g}: must be from {low:g} to {high:g}")
    pixel_limit(settings.max_megapixels)
    return settings


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    allow_undecodable_names()
    try:
        settings = read_command_line(sys.argv[1:] if arguments is None else arguments)
        collected = collect(settings, Web(settings.contact), quiet=False)
    except ValueError as error:
        return end(COMMAND, BAD_INPUT, error)
    except OSError as error:
        return end(COMMAND, FAILED, error)
    except KeyboardInterrupt:
        return end(COMMAND, INTERRUPTED, "interrupted; run the same command again to continue")
    print(f"{len(collected.credits)} pictures in {settings.out}; {ATTRIBUTION} lists their credits")
    print(describe_sources(collected.credits))
    if collected.rejected:
        print(f"{len(collected.rejected)} rejected (details in {REJECTED})")
    return DONE


if __name__ == "__main__":
    sys.exit(main())
