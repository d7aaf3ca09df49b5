"""python -m inpaint_core inpaint: fill holes of one picture or of a folder."""

from __future__ import annotations

import argparse
import zlib
from pathlib import Path

from torch import Tensor

from ..checkpoints.embedded import EMBEDDED_INPAINTING
from ..checkpoints.files import load_model
from ..checkpoints.inpainting_model import InpaintingModel
from ..files.images import ImageFileError, Picture, decode_image, decode_mask, list_images, write_image
from ..foreign.external_models import is_external, load_external_model
from ..inpainting.classical import CLASSICAL_METHODS, ClassicalFill
from ..inpainting.inpaint import BLENDS, DETAILS, STRATEGIES, Completer, inpaint
from ..masks import GENERATORS, generate
from . import picture_folders


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_model_arguments(parser)
    picture_folders.add_arguments(parser)
    parser.add_argument(
        "--mask",
        required=True,
        help="white = hole: a picture for all images, a folder with masks of the same names, "
        f"or a generator ({', '.join(sorted(GENERATORS))})",
    )
    parser.add_argument(
        "--strategy",
        choices=STRATEGIES,
        default="auto",
        help="what the model sees: the whole frame, the frame resized, a crop around each hole, tiles, "
        "or per hole what costs least without a visible loss (default: auto)",
    )
    parser.add_argument(
        "--size", type=int, metavar="PX", help="longer side of what the model sees at once (default: auto)"
    )
    parser.add_argument(
        "--context",
        type=float,
        default=0.5,
        help="surroundings shown on each side, as a share of the hole (default: 0.5)",
    )
    parser.add_argument("--grow", type=int, default=0, metavar="PX", help="enlarge the hole first; negative shrinks it")
    parser.add_argument("--feather", type=int, default=8, metavar="PX", help="width of the seam, inwards (default: 8)")
    parser.add_argument(
        "--blend", choices=BLENDS, default="alpha", help="how the fill is joined to the picture (default: alpha)"
    )
    add_detail_argument(parser)
    parser.add_argument("--color-match", action="store_true", help="match the fill's colour to the hole's surroundings")
    parser.add_argument(
        "--grain", type=float, default=0.0, help="0..1: give the fill the noise of its surroundings (default: 0)"
    )
    parser.add_argument(
        "--hole-ratio", type=float, nargs=2, metavar=("LOW", "HIGH"), help="for a generator, e.g. 0.2 0.3"
    )
    parser.add_argument("--seed", type=int, default=0, help="for a generator, grain and patches")


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare which model runs, and where."""
    parser.add_argument(
        "--model",
        required=True,
        help=f"a .safetensors model, or one of {', '.join((*EMBEDDED_INPAINTING, *CLASSICAL_METHODS))}",
    )
    parser.add_argument("--device", default="cpu", help="where the network runs, e.g. cuda (default: cpu)")
    parser.add_argument(
        "--frames-per-batch",
        type=int,
        metavar="N",
        help="windows shown to the model at once (default: what memory allows)",
    )


def add_detail_argument(parser: argparse.ArgumentParser) -> None:
    """Declare where fine detail comes from."""
    parser.add_argument(
        "--detail",
        choices=DETAILS,
        default="network",
        help="network: the fill is the model's; patches: it guides patches copied from the surroundings "
        "(default: network)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Fill, write, and say where; in a folder a bad file is listed and the others are done."""
    model = open_completer(arguments.model, arguments.device)

    def work(source: Path, target: Path) -> None:
        picture = decode_image(source)
        result = inpaint(
            model,
            picture.image[None],
            _mask_for(arguments, source, picture),
            strategy=arguments.strategy,
            grow=arguments.grow,
            feather=arguments.feather,
            blend=arguments.blend,
            color_match=arguments.color_match,
            detail=arguments.detail,
            size=arguments.size,
            context=arguments.context,
            grain=arguments.grain,
            seed=arguments.seed,
            frames_per_batch=arguments.frames_per_batch,
        )
        write_image(target, result[0], like=picture)

    return picture_folders.run_over(arguments, work)


def open_completer(name: str, device: str = "cpu") -> Completer:
    """A classical fill by name, or a network from a file: one of ours, or one that spandrel knows."""
    if name in CLASSICAL_METHODS:
        return ClassicalFill(name)
    if is_external(name):
        return load_external_model(name, device)
    model = load_model(name, device)
    if not isinstance(model, InpaintingModel):
        raise ValueError(f"{name}: this model fills no holes; use it with python -m inpaint_core translate")
    return model


def _mask_for(arguments: argparse.Namespace, source: Path, picture: Picture) -> Tensor:
    if arguments.mask in GENERATORS:
        size = (picture.image.shape[1], picture.image.shape[2])
        ratio = tuple(arguments.hole_ratio) if arguments.hole_ratio else None
        # By name: each picture of a folder gets another mask, and the same one whichever others are there.
        seed = arguments.seed + (zlib.crc32(source.name.encode()) if arguments.image.is_dir() else 0)
        return generate(arguments.mask, size, hole_ratio=ratio, seed=seed, image=picture.image)
    path = Path(arguments.mask)
    if not path.is_dir():
        return decode_mask(path)
    matches = [candidate for candidate in list_images(path) if candidate.stem == source.stem]
    if len(matches) != 1:
        raise ImageFileError(f"{source}: {len(matches) or 'no'} masks named {source.stem} in {path}, one is needed")
    return decode_mask(matches[0])
