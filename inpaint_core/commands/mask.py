"""python -m inpaint_core mask: masks for one picture, for a folder, or for a size."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import torch
from pydantic.fields import FieldInfo
from torch import Tensor

from ..files.images import decode_image, write_image
from ..files.naming import fit_name, reject_inputs
from ..files.opening import ImageFileError, add_limit_argument, pixel_limit
from ..masks import GENERATORS, generate, segment_masks
from ..masks.generators.contact_sheet import draw_contact_sheet
from ..masks.generators.controls import plain_annotation
from ..masks.generators.registry import find_generator
from . import picture_folders
from .notes import Notes
from .picture_folders import Job

MASK_SUFFIXES = (".png",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add one subcommand for every family of masks, with that family's options, and one for the contact sheet."""
    families = parser.add_subparsers(dest="generator", required=True, metavar="GENERATOR")
    for name, generator in GENERATORS.items():
        family = families.add_parser(name, help=generator.summary, description=f"Draw masks: {generator.summary}.")
        family.add_argument("--image", type=Path, help="a picture or a folder of pictures to make masks for")
        family.add_argument(
            "--size", type=int, nargs=2, metavar=("H", "W"), help="size of the masks, if there is no picture"
        )
        family.add_argument("--out", type=Path, required=True, help="a .png file, or a folder")
        family.add_argument("--number", type=int, default=1, help="number of masks per picture (default: 1)")
        family.add_argument("--hole-ratio", type=float, nargs=2, metavar=("LOW", "HIGH"), help="e.g. 0.2 0.3")
        family.add_argument(
            "--border",
            type=float,
            help="distance of holes from the picture's edge: a fraction if below 1, otherwise in pixels of a "
            "512-pixel picture",
        )
        family.add_argument(
            "--seed",
            type=int,
            default=0,
            help="seed of the first mask, incremented for each further mask (default: 0)",
        )
        picture_folders.add_recursive_argument(family)
        add_limit_argument(family)
        if generator.divide is not None:
            family.add_argument(
                "--each-segment", action="store_true", help="one mask per superpixel instead of random ones"
            )
        for option, field in generator.options.model_fields.items():
            family.add_argument(f"--{option.replace('_', '-')}", dest=f"option_{option}", **_argument(field))
    sheet = families.add_parser(
        "sheet", help="one picture with examples of every family", description="Draw a contact sheet."
    )
    sheet.add_argument("--image", type=Path, required=True, help="the picture to overlay the holes on")
    sheet.add_argument("--out", type=Path, required=True, help="the file to write")
    sheet.add_argument("--hole-ratio", type=float, nargs=2, default=(0.2, 0.3), metavar=("LOW", "HIGH"))
    sheet.add_argument("--seed", type=int, default=0)
    sheet.add_argument("--side", type=int, default=256, help="longer side of a tile (default: 256)")
    add_limit_argument(sheet)
    sheet.add_argument("--folder", type=Path, help="folder of masks to use for the family 'folder'")


def run(arguments: argparse.Namespace) -> int:
    """Write the masks as PNG files with exactly two values, white = hole."""
    if arguments.generator == "sheet":
        return _write_sheet(arguments)
    if (arguments.image is None) == (arguments.size is None):
        raise ValueError("specify either --image or --size")
    if arguments.number < 1:
        raise ValueError(f"--number {arguments.number}: must be at least 1")
    notes = Notes()
    numbered = arguments.number > 1 or getattr(arguments, "each_segment", False)
    folder = arguments.image is not None and arguments.image.is_dir()
    _check_out(arguments.out, several=numbered or folder)
    jobs = _plan(arguments, numbered, notes)
    places = {job: index for index, job in enumerate(jobs)}
    written: list[Path] = []

    def work(source: Path, target: Path) -> None:
        picture = None if arguments.image is None else source
        for number, mask in enumerate(_masks(arguments, picture, places[Job(source, target)], notes)):
            path = target.with_name(fit_name(target.stem, f"_{number:06d}.png")) if numbered else target
            reject_inputs([path], [source])
            write_image(path, mask)
            written.append(path)

    if folder:
        check = picture_folders.check_headers(arguments.max_megapixels)
        return picture_folders.run_jobs(jobs, arguments.out, work, check)
    (job,) = jobs
    job.target.parent.mkdir(parents=True, exist_ok=True)
    work(job.source, job.target)
    print(f"{len(written)} masks written to {arguments.out}" if numbered else job.target)
    return 0


def _argument(field: FieldInfo) -> dict[str, Any]:
    """How argparse reads a field of a family's options."""
    kind = plain_annotation(field)
    default = "" if field.is_required() or field.default is None else f"(default: {_spell(field.default)})"
    text = f"{field.description or ''} {default}".strip().replace("%", "%%")
    common: dict[str, Any] = {"default": argparse.SUPPRESS, "help": text or None, "required": field.is_required()}
    if kind is bool:
        return {**common, "action": argparse.BooleanOptionalAction}
    if get_origin(kind) is Literal:
        return {**common, "choices": get_args(kind)}
    if get_origin(kind) is tuple:
        parts = get_args(kind)
        many = "+" if parts[-1] is Ellipsis else len(parts)
        choices = get_args(parts[0]) if get_origin(parts[0]) is Literal else None
        return {**common, "nargs": many, "choices": choices}
    return {**common, "metavar": getattr(kind, "__name__", "value").upper()}


def _spell(value: object) -> str:
    return (
        " ".join(map(str, value))
        if isinstance(value, tuple)
        else f"{value:.3g}"
        if isinstance(value, float)
        else str(value)
    )


def _plan(arguments: argparse.Namespace, numbered: bool, notes: Notes) -> list[Job]:
    """The path of each picture's masks; if they are numbered, without the number."""
    image, out = arguments.image, arguments.out
    if image is None:
        return [Job(Path(), out / f"{arguments.generator}.png" if numbered or out.is_dir() else out)]
    if image.is_dir():
        listing = picture_folders.search(image, arguments.recursive, notes)
        return picture_folders.plan(image, out, listing, suffixes=MASK_SUFFIXES)
    if numbered:
        return [Job(image, out / f"{image.stem}.png")]
    return picture_folders.plan(image, out, None, suffixes=MASK_SUFFIXES)


def _masks(arguments: argparse.Namespace, source: Path | None, index: int, notes: Notes) -> Iterator[Tensor]:
    """Masks `[1,H,W]` for one picture."""
    prefix = "option_"
    options = {name[len(prefix) :]: value for name, value in vars(arguments).items() if name.startswith(prefix)}
    image = None
    if source is not None:
        picture = decode_image(source, pixel_limit(arguments.max_megapixels))
        notes.say(source, picture.notes)
        image = picture.cut_out
    size = tuple(arguments.size) if image is None else (image.shape[1], image.shape[2])
    labels = None
    generator = find_generator(arguments.generator)
    if generator.divide is not None and image is not None:
        labels = generator.divide(image, generator.parse(options))
        if arguments.each_segment:
            yield from segment_masks(labels)
            return
    ratio = None if arguments.hole_ratio is None else tuple(arguments.hole_ratio)
    for number in range(arguments.number):
        seed = arguments.seed + index * arguments.number + number
        yield generate(arguments.generator, size, ratio, arguments.border, seed, image, labels, **options)[0]


def _check_out(out: Path, several: bool) -> None:
    if out.is_dir():
        return
    if several:
        if out.suffix:
            raise ImageFileError(f"{out}: several masks need a folder, not a file")
        return
    if out.suffix.lower() not in MASK_SUFFIXES:
        raise ImageFileError(f"{out}: masks must be written as .png, which preserves their two values")
    if not out.parent.is_dir():
        raise ImageFileError(f"{out}: the folder {out.parent} does not exist; create it first")


def _write_sheet(arguments: argparse.Namespace) -> int:
    reject_inputs([arguments.out], [arguments.image])
    picture = decode_image(arguments.image, pixel_limit(arguments.max_megapixels))
    Notes().say(arguments.image, picture.notes)
    image = picture.visible()
    factor = arguments.side / max(image.shape[1:])
    if factor < 1.0:
        size = [max(1, round(side * factor)) for side in image.shape[1:]]
        image = torch.nn.functional.interpolate(image[None], size, mode="bilinear", antialias=True)[0].clamp(0.0, 1.0)
    low, high = arguments.hole_ratio
    write_image(arguments.out, draw_contact_sheet(image, (low, high), arguments.seed, arguments.folder))
    print(arguments.out)
    return 0
