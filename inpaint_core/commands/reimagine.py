"""python -m inpaint_core reimagine: repaint a picture part by part with a model."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..files.images import check_writable, decode_image, write_image
from ..files.masks import read_mask
from ..files.opening import pixel_limit
from ..foreign.completers import open_completer
from ..inpainting.inpaint import BLENDS
from ..inpainting.reimagine import PARTS, Strip, reimagine
from . import picture_folders
from .inpaint import add_detail_argument, add_model_arguments
from .notes import Notes

STRIP = ".strip.png"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_model_arguments(parser)
    picture_folders.add_arguments(parser)
    parser.add_argument(
        "--strength", type=float, default=1.0, help="0..1: fraction of the parts to replace (default: 1)"
    )
    parser.add_argument(
        "--rounds",
        type=int,
        default=6,
        metavar="N",
        help="fewer rounds are bolder, more rounds preserve more of the structure (default: 6)",
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the selection and order of the parts")
    parser.add_argument("--protect", type=Path, metavar="MASK", help="a mask picture: white areas stay unchanged")
    parser.add_argument("--invert", action="store_true", help="invert --protect: black areas stay unchanged")
    parser.add_argument(
        "--parts",
        choices=PARTS,
        default="superpixels",
        help="superpixels, which follow edges, or a plain grid of squares (default: superpixels)",
    )
    parser.add_argument(
        "--part-count", type=int, default=150, metavar="N", help="approximate number of parts (default: 150)"
    )
    parser.add_argument(
        "--feather", type=int, default=8, metavar="PX", help="width of the blend at the seams (default: 8)"
    )
    parser.add_argument(
        "--blend", choices=BLENDS, default="alpha", help="how fills are blended into the picture (default: alpha)"
    )
    add_detail_argument(parser)
    parser.add_argument(
        "--strip",
        action="store_true",
        help="also write NAME.strip.png: the picture before and after every round, side by side",
    )


def run(arguments: argparse.Namespace) -> int:
    """Reimagine one picture or a folder; in a folder, bad files are reported and skipped."""
    model = open_completer(arguments.model, arguments.device)
    limit = pixel_limit(arguments.max_megapixels)
    notes = Notes()
    if arguments.protect is not None:
        read_mask(arguments.protect, max_pixels=limit)

    def work(source: Path, target: Path) -> None:
        picture = decode_image(source, limit)
        check_writable(target, picture)
        notes.say(source, picture.notes)
        protect = None
        if arguments.protect is not None:
            mask = read_mask(arguments.protect, picture, invert=arguments.invert, max_pixels=limit)
            notes.say(arguments.protect, mask.notes)
            protect = mask.hole
        strip = Strip(picture.visible(), arguments.rounds)
        result = reimagine(
            model,
            picture.planes[None],
            arguments.strength,
            arguments.rounds,
            arguments.seed,
            protect,
            parts=arguments.parts,
            part_count=arguments.part_count,
            feather=arguments.feather,
            blend=arguments.blend,
            detail=arguments.detail,
            progress=strip,
        )
        notes.say(target, write_image(target, result[0], like=picture))
        if arguments.strip:
            write_image(target.with_name(target.stem + STRIP), strip.picture())

    read = [] if arguments.protect is None else [arguments.protect]
    companions = (STRIP,) if arguments.strip else ()
    return picture_folders.run_over(arguments, work, notes, also_read=read, companions=companions)
