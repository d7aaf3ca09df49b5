"""One picture or a folder of them: what the commands that write pictures share."""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tqdm import tqdm

from ..files.images import WRITABLE_SUFFIXES, list_images
from ..files.opening import ImageFileError, add_limit_argument
from .notes import blamed

# As `atomic_path` names what it has not finished; what nobody has written to for so long was left by a killed process.
UNFINISHED = re.compile(r"\..+\.[0-9a-f]{8}\.part\.\w+")
ABANDONED_SECONDS = 60.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare where pictures come from and go to."""
    parser.add_argument("--image", required=True, type=Path, help="a picture, or a folder of pictures")
    parser.add_argument(
        "--out", required=True, type=Path, help="the new picture (PNG keeps known pixels exactly), or a folder"
    )
    parser.add_argument(
        "--keep-format", action="store_true", help="in a folder: write each picture in its own format, not as PNG"
    )
    parser.add_argument(
        "--skip-existing", action="store_true", help="in a folder: leave out pictures that are in --out already"
    )
    add_limit_argument(parser)


def run_over(arguments: argparse.Namespace, work: Callable[[Path, Path], None]) -> int:
    """Call `work(source, target)` for one picture, or for each of a folder.

    In a folder a picture that fails is listed and the others are done.

    Returns
    -------
    int
        0, or 2 if a picture of a folder failed.

    Raises
    ------
    ImageFileError
        No picture, or nowhere to write to.
    """
    if not arguments.image.is_dir():
        target = _output_file(arguments)
        work(arguments.image, target)
        print(target)
        return 0
    images = list_images(arguments.image)
    if not images:
        raise ImageFileError(f"{arguments.image}: no pictures in this folder")
    arguments.out.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(arguments.out)
    targets = output_names(images, arguments.keep_format)
    failures: list[str] = []
    skipped = 0
    with tqdm(total=len(images), unit="picture", disable=None) as bar:
        for image in images:
            target = arguments.out / targets[image]
            if arguments.skip_existing and target.is_file():
                skipped += 1
            else:
                try:
                    work(image, target)
                except (ValueError, OSError, MemoryError) as error:
                    failures.append(blamed(image, error))
                    tqdm.write(f"failed: {failures[-1]}", file=sys.stderr)
            bar.update()
    done = len(images) - len(failures) - skipped
    print(f"{done} of {len(images)} pictures written to {arguments.out}" + f", {skipped} there already" * (skipped > 0))
    if failures:
        print(f"{len(failures)} failed:", *failures, sep="\n  ", file=sys.stderr)
    return 2 if failures else 0


def output_names(images: list[Path], keep_format: bool) -> dict[Path, str]:
    """A file name for each picture, no two the same on any system: a.jpg and a.png become a_jpg.png and a_png.png."""
    stems = Counter(image.stem.lower() for image in images)
    names = {}
    for image in images:
        kind = image.suffix.lower()
        suffix = kind if keep_format and kind in WRITABLE_SUFFIXES else ".png"
        stem = image.stem if stems[image.stem.lower()] == 1 else f"{image.stem}_{kind[1:]}"
        names[image] = stem + suffix
    return names


def _output_file(arguments: argparse.Namespace) -> Path:
    out: Path = arguments.out
    if out.is_dir():
        return out / output_names([arguments.image], arguments.keep_format)[arguments.image]
    if out.suffix.lower() not in WRITABLE_SUFFIXES:
        raise ImageFileError(
            f"{out}: the name must end in one of {', '.join(WRITABLE_SUFFIXES)}, or be an existing folder"
        )
    if not out.parent.is_dir():
        raise ImageFileError(f"{out}: the folder {out.parent} does not exist; make it first")
    return out


def _remove_abandoned(folder: Path) -> None:
    for path in folder.iterdir():
        if UNFINISHED.fullmatch(path.name) and time.time() - path.stat().st_mtime > ABANDONED_SECONDS:
            path.unlink(missing_ok=True)
