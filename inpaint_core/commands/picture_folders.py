"""One picture or a folder of them: shared by all commands that write pictures."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from ..files.folders import Listing, list_pictures
from ..files.images import WRITABLE_SUFFIXES
from ..files.naming import Wanted, distinct_names, reject_inputs, reject_inside
from ..files.opening import ImageFileError, add_limit_argument, pixel_limit, read_header
from ..files.suffixes import READABLE_CLIPS, READABLE_SUFFIXES
from ..processes import process_count, rank, refuse_several, share_of
from .notes import Notes, blamed


@dataclass(frozen=True)
class Job:
    """A picture and its output file."""

    source: Path
    target: Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments for inputs and outputs."""
    parser.add_argument("--image", required=True, type=Path, help="a picture, or a folder of pictures")
    parser.add_argument(
        "--out", required=True, type=Path, help="the output file (PNG keeps known pixels exactly), or a folder"
    )
    parser.add_argument(
        "--keep-format", action="store_true", help="for a folder: write each picture in its own format instead of PNG"
    )
    parser.add_argument(
        "--skip-existing", action="store_true", help="for a folder: skip pictures that are already in --out"
    )
    add_recursive_argument(parser)
    add_limit_argument(parser)


def add_recursive_argument(parser: argparse.ArgumentParser) -> None:
    """Add `--recursive`."""
    parser.add_argument("--recursive", action="store_true", help="include subfolders, and recreate them in --out")


def search(folder: Path, recursive: bool, notes: Notes) -> Listing:
    """The pictures of a folder; skipped files are reported.

    Raises
    ------
    ImageFileError
        There are none; the message lists what was found instead.
    """
    listing = list_pictures(folder, recursive)
    if not listing.pictures:
        raise ImageFileError(f"{folder}: no pictures in this folder{listing.found()}")
    if rank() == 0:
        notes.say(folder, listing.notes())
    return listing


def plan(
    image: Path,
    out: Path,
    listing: Listing | None,
    *,
    keep_format: bool = False,
    suffixes: Sequence[str] = tuple(WRITABLE_SUFFIXES),
    companions: Sequence[str] = (),
    also_read: Iterable[Path] = (),
    option: str = "--image",
) -> list[Job]:
    """Which files will be written, checked before any work starts.

    Parameters
    ----------
    image
        A picture, or the folder of `listing`.
    out
        The output path as given.
    listing
        None for a single picture.
    keep_format
        Pictures with one of `suffixes` keep it instead of getting the first.
    suffixes
        Suffixes that can be written.
    companions
        Endings of the names of further files written next to each result.
    also_read
        Other files that must not be replaced.
    option
        The option that named the pictures.

    Raises
    ------
    ImageFileError
        A suffix that cannot be written, a folder that does not exist, an output that is an input.
    """
    if listing is None:
        jobs = [Job(image, _single_target(image, out, keep_format, suffixes, companions))]
    else:
        if not out.is_dir() and out.suffix.lower() in READABLE_SUFFIXES | READABLE_CLIPS:
            raise ImageFileError(f"{out}: {image} is a folder, so --out must also be a folder, not a file")
        if out.exists() and not out.is_dir():
            raise ImageFileError(f"{out}: {image} is a folder, so --out must also be a folder, but it is a file")
        reject_inside(out, image, listing.recursive, option)
        names = output_names(listing.pictures, image, keep_format, suffixes, companions)
        jobs = [Job(source, out / name) for source, name in zip(listing.pictures, names, strict=True)]
    targets = [job.target for job in jobs]
    targets += [_companion(target, end) for target in targets for end in companions]
    reject_inputs(targets, [*(job.source for job in jobs), *also_read])
    return jobs


def run_over(
    arguments: argparse.Namespace,
    work: Callable[[Path, Path], None],
    notes: Notes,
    *,
    also_read: Iterable[Path] = (),
    companions: Sequence[str] = (),
    check: Callable[[Path], object] | None = None,
) -> int:
    """Call `work(source, target)` for one picture, or for every picture of a folder.

    In a folder, failures are reported, and the other pictures are processed. See `plan` for `also_read` and
    `companions`, and `run_jobs` for `check`, which by default reads headers.

    Returns
    -------
    int
        0, or 2 if a picture of a folder failed.

    Raises
    ------
    ImageFileError
        There is no picture, or the output cannot be written.
    """
    options = {"keep_format": arguments.keep_format, "companions": companions, "also_read": also_read}
    if not arguments.image.is_dir():
        refuse_several("a single picture")
        (job,) = plan(arguments.image, arguments.out, None, **options)
        work(job.source, job.target)
        print(job.target)
        return 0
    listing = search(arguments.image, arguments.recursive, notes)
    jobs = plan(arguments.image, arguments.out, listing, **options)
    check = check or check_headers(arguments.max_megapixels)
    return run_jobs(jobs, arguments.out, work, check, skip_existing=arguments.skip_existing)


def check_headers(max_megapixels: float | None) -> Callable[[Path], object]:
    """Check that a file is a picture and not too large; for `run_jobs`."""
    limit = pixel_limit(max_megapixels)
    return lambda source: read_header(source, limit)


def run_jobs(
    jobs: Sequence[Job],
    out: Path,
    work: Callable[[Path, Path], None],
    check: Callable[[Path], object],
    *,
    skip_existing: bool = False,
) -> int:
    """Process the jobs of a folder one by one; failures are reported, and the rest is still processed.

    With torchrun, each process does its share of them.

    Parameters
    ----------
    work
        Called with source and target.
    check
        Called with every source, in threads, before work on the first one starts: its errors are reported at once.
    skip_existing
        Skip existing files.

    Returns
    -------
    int
        0, or 2 if a picture failed.
    """
    jobs = share_of(jobs)
    waiting = [job for job in jobs if not (skip_existing and job.target.is_file())]
    skipped = len(jobs) - len(waiting)
    waiting, failures = _check_all(waiting, check)
    for folder in sorted({out, *(job.target.parent for job in waiting)}):
        folder.mkdir(parents=True, exist_ok=True)
    with tqdm(total=len(waiting), unit="picture", disable=None) as bar:
        for job in waiting:
            try:
                work(job.source, job.target)
            except (ValueError, OSError, MemoryError) as error:
                failures.append(blamed(job.source, error))
                tqdm.write(f"failed: {failures[-1]}", file=sys.stderr)
            bar.update()
    done = len(jobs) - len(failures) - skipped
    by = f" (process {rank() + 1} of {process_count()})" if process_count() > 1 else ""
    print(f"wrote {done} of {len(jobs)} pictures to {out}" + f", {skipped} already there" * (skipped > 0) + by)
    if failures:
        print(f"{len(failures)} failed:", *failures, sep="\n  ", file=sys.stderr)
    return 2 if failures else 0


def _check_all(jobs: Sequence[Job], check: Callable[[Path], object]) -> tuple[list[Job], list[str]]:
    """Jobs whose files can be read, and the errors of the others, which are reported."""

    def problem(job: Job) -> str | None:
        try:
            check(job.source)
        except (ValueError, OSError, MemoryError) as error:
            return blamed(job.source, error)
        return None

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        looks = pool.map(problem, jobs)
        problems = list(tqdm(looks, "looking", len(jobs), unit="picture", disable=None, leave=False))
    failures = [found for found in problems if found is not None]
    for failure in failures:
        print(f"failed: {failure}", file=sys.stderr)
    return [job for job, found in zip(jobs, problems, strict=True) if found is None], failures


def output_names(
    images: Sequence[Path],
    folder: Path,
    keep_format: bool = False,
    suffixes: Sequence[str] = tuple(WRITABLE_SUFFIXES),
    companions: Sequence[str] = (),
) -> list[Path]:
    """An output path for each picture, relative to the folder of results; subfolders are kept. See
    `naming.distinct_names`."""
    wanted = []
    for image in images:
        kind = image.suffix.lower()
        suffix = kind if keep_format and kind in suffixes else suffixes[0]
        place = image.parent.relative_to(folder)
        wanted.append(Wanted(place, image.stem, kind[1:] or "picture", (suffix, *companions)))
    return distinct_names(wanted)


def _single_target(
    image: Path, out: Path, keep_format: bool, suffixes: Sequence[str], companions: Sequence[str]
) -> Path:
    if out.is_dir():
        (name,) = output_names([image], image.parent, keep_format, suffixes, companions)
        target = out / name
        if target.exists() and out.samefile(image.parent):
            raise ImageFileError(f"{target}: already exists next to the picture; set --out to the name of a new file")
        return target
    if out.suffix.lower() not in suffixes:
        raise ImageFileError(f"{out}: the name must end in one of {', '.join(suffixes)}, or be an existing folder")
    if not out.parent.is_dir():
        raise ImageFileError(f"{out}: the folder {out.parent} does not exist; create it first")
    return out


def _companion(target: Path, end: str) -> Path:
    return target.with_name(target.stem + end)
