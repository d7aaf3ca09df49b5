"""python -m inpaint_core inpaint: fill the holes of one picture or of a folder."""

from __future__ import annotations

import argparse
import os
import zlib
from pathlib import Path

from torch import Tensor

from ..checkpoints.embedded import EMBEDDED_INPAINTING
from ..files.folders import Listing, find_partner, list_pictures
from ..files.images import Picture, check_writable, decode_image, write_image
from ..files.masks import read_mask
from ..files.opening import ImageFileError, pixel_limit, read_header
from ..foreign.completers import open_completer
from ..inpainting.classical import FILL_NAMES
from ..inpainting.inpaint import BLENDS, DETAILS, STRATEGIES, inpaint
from ..masks import generate
from ..masks.generators.registry import names_without_options
from ..masks.morphology import grow
from . import picture_folders
from .notes import Notes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_model_arguments(parser)
    picture_folders.add_arguments(parser)
    parser.add_argument(
        "--mask",
        required=True,
        help="white = hole: a picture for all images, a folder of masks with the same names, or a generator "
        f"({', '.join(names_without_options())})",
    )
    parser.add_argument("--invert", action="store_true", help="invert the mask: black = hole")
    parser.add_argument(
        "--opaque",
        action="store_true",
        help="make the fill opaque; otherwise the fill of a transparent area stays invisible",
    )
    parser.add_argument(
        "--strategy",
        choices=STRATEGIES,
        default="auto",
        help="what the model sees: the whole picture, the picture resized, a crop around each hole, tiles, or for "
        "each hole the fastest of these without visible loss (default: auto)",
    )
    parser.add_argument(
        "--size", type=int, metavar="PX", help="longer side of what the model sees at once (default: auto)"
    )
    parser.add_argument(
        "--context",
        type=float,
        default=0.5,
        help="surroundings included on each side, as a fraction of the hole's size (default: 0.5)",
    )
    parser.add_argument(
        "--grow",
        type=int,
        default=0,
        metavar="PX",
        help="grow the hole by this many pixels first; a negative number shrinks it",
    )
    parser.add_argument(
        "--feather", type=int, default=8, metavar="PX", help="width of the blend inside the hole's edge (default: 8)"
    )
    parser.add_argument(
        "--blend", choices=BLENDS, default="alpha", help="how the fill is blended into the picture (default: alpha)"
    )
    add_detail_argument(parser)
    parser.add_argument(
        "--sources", type=Path, metavar="FOLDER", help="more pictures to copy patches from: a folder or a file"
    )
    parser.add_argument(
        "--allowed",
        type=Path,
        metavar="MASK",
        help="a mask picture: patches may only be copied from white areas (default: everywhere)",
    )
    parser.add_argument("--color-match", action="store_true", help="match the fill's color to the hole's surroundings")
    parser.add_argument(
        "--grain", type=float, default=0.0, help="0..1: add the noise of the surroundings to the fill (default: 0)"
    )
    parser.add_argument(
        "--hole-ratio", type=float, nargs=2, metavar=("LOW", "HIGH"), help="for a generator, e.g. 0.2 0.3"
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="seed of the mask generator, the grain and the patch search"
    )


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments for the model and its device."""
    parser.add_argument(
        "--model",
        required=True,
        help=f"a .safetensors model, or one of {', '.join((*EMBEDDED_INPAINTING, *FILL_NAMES))}",
    )
    parser.add_argument("--device", default="cpu", help="where the network runs, e.g. cuda (default: cpu)")
    parser.add_argument(
        "--frames-per-batch",
        type=int,
        metavar="N",
        help="windows per batch (default: as many as memory allows)",
    )


def add_detail_argument(parser: argparse.ArgumentParser) -> None:
    """Add `--detail`."""
    parser.add_argument(
        "--detail",
        choices=DETAILS,
        default="auto",
        help="network: use the model's fill; patches: use it as a guide for patches copied from the surroundings; "
        "auto: patches for Liminal's networks, network for all others (default: auto)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Fill and write pictures, and print the output paths; in a folder, bad files are reported and skipped."""
    model = open_completer(arguments.model, arguments.device)
    limit = pixel_limit(arguments.max_megapixels)
    notes = Notes()
    masks, read = _find_masks(arguments, limit)
    sources, sources_read = _read_sources(arguments.sources, limit, notes)
    if arguments.allowed is not None:
        read_header(arguments.allowed, limit)
        read = [*read, arguments.allowed]

    def work(source: Path, target: Path) -> None:
        picture = decode_image(source, limit)
        check_writable(target, picture)
        notes.say(source, picture.notes)
        hole = _mask_for(arguments, source, picture, masks, notes)
        allowed = None
        if arguments.allowed is not None:
            mask = read_mask(arguments.allowed, picture, max_pixels=limit)
            notes.say(arguments.allowed, mask.notes)
            allowed = mask.hole
        result = inpaint(
            model,
            picture.planes[None],
            hole,
            strategy=arguments.strategy,
            grow=arguments.grow,
            feather=arguments.feather,
            blend=arguments.blend,
            color_match=arguments.color_match,
            detail=arguments.detail,
            allowed=allowed,
            sources=sources,
            size=arguments.size,
            context=arguments.context,
            grain=arguments.grain,
            seed=arguments.seed,
            frames_per_batch=arguments.frames_per_batch,
        )
        notes.say(source, _alpha_of_fill(arguments, picture, hole, result))
        notes.say(target, write_image(target, result[0], like=picture))

    def check(source: Path) -> None:
        header = read_header(source, limit)
        if masks is not None:
            read_mask(_mask_file(arguments, source, masks, header.transparent), max_pixels=limit)

    return picture_folders.run_over(arguments, work, notes, also_read=[*read, *sources_read], check=check)


def _alpha_of_fill(arguments: argparse.Namespace, picture: Picture, hole: Tensor, result: Tensor) -> list[str]:
    """Make the fill opaque in `result` if requested; otherwise return a note on how much of it is invisible."""
    if picture.alpha is None:
        return []
    said = ["it is fully transparent, so no pixel is known"] * bool(picture.unknown.all())
    filled = grow(hole, max(arguments.grow, 0)) > 0.5
    if arguments.opaque:
        result[:, 3:][filled] = 1.0
        return said
    hidden = float((filled & (picture.alpha == 0.0)).sum()) / max(float(filled.sum()), 1.0)
    if hidden > 0.0:
        share = f"{max(1, round(100 * hidden))}% of the hole" if hidden < 1.0 else "the hole"
        said.append(f"{share} is fully transparent, so the fill is invisible there; --opaque makes it visible")
    return said


def _read_sources(path: Path | None, limit: int, notes: Notes) -> tuple[list[Tensor], list[Path]]:
    """Pictures to copy from, and their files.

    Raises
    ------
    ImageFileError
        A file is not a picture, or a folder has none.
    """
    if path is None:
        return [], []
    files = picture_folders.search(path, False, notes).pictures if path.is_dir() else [path]
    pictures = [decode_image(file, limit) for file in files]
    for file, picture in zip(files, pictures, strict=True):
        notes.say(file, picture.notes)
    return [picture.planes for picture in pictures], list(files)


def _find_masks(arguments: argparse.Namespace, limit: int) -> tuple[Listing | None, list[Path]]:
    """The folder of masks, if any, and all files that masks are read from.

    Raises
    ------
    ImageFileError
        The mask for all pictures cannot be read or is ambiguous, or the folder has no masks.
    """
    path = Path(arguments.mask)
    if arguments.mask in names_without_options():
        return None, []
    if not os.path.lexists(path):
        generators = ", ".join(names_without_options())
        raise ImageFileError(f"--mask {path}: no such picture or folder, and not one of {generators}")
    if not path.is_dir():
        read_header(path, limit)
        if not (arguments.image.exists() and arguments.image.samefile(path)):  # then its own alpha may mark the hole
            read_mask(path, max_pixels=limit)
        return None, [path]
    listing = list_pictures(path, recursive=True)
    files = [*listing.pictures, *(mask for masks in listing.masks.values() for mask in masks)]
    if not files:
        raise ImageFileError(f"{path}: no masks in this folder{listing.found()}")
    return listing, files


def _mask_for(
    arguments: argparse.Namespace, source: Path, picture: Picture, masks: Listing | None, notes: Notes
) -> Tensor:
    """The hole `[1,1,H,W]` of a picture."""
    if arguments.mask in names_without_options():
        size = (picture.image.shape[1], picture.image.shape[2])
        ratio = tuple(arguments.hole_ratio) if arguments.hole_ratio else None
        # Seeded by name: each picture of a folder gets its own mask, independent of the other files.
        name = os.fsencode(source.relative_to(_root(arguments, source)).as_posix())
        seed = arguments.seed + (zlib.crc32(name) if arguments.image.is_dir() else 0)
        hole = generate(arguments.mask, size, hole_ratio=ratio, seed=seed, image=picture.cut_out)
        return 1.0 - hole if arguments.invert else hole
    path = _mask_file(arguments, source, masks, picture.alpha is not None)
    mask = read_mask(path, picture, invert=arguments.invert, max_pixels=pixel_limit(arguments.max_megapixels))
    notes.say(path, mask.notes)
    return mask.hole


def _mask_file(arguments: argparse.Namespace, source: Path, masks: Listing | None, transparent: bool) -> Path:
    """The file that contains a picture's hole: the picture itself only if it has transparency."""
    if masks is not None:
        return find_partner(source, _root(arguments, source), masks)
    path = Path(arguments.mask)
    if not transparent and path.exists() and source.samefile(path):
        raise ImageFileError(f"{source}: used as its own mask; pass the file that contains the hole")
    return path


def _root(arguments: argparse.Namespace, source: Path) -> Path:
    return arguments.image if arguments.image.is_dir() else source.parent
