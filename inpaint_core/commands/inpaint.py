"""python -m inpaint_core inpaint: fill holes of one picture or of a folder."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from torch import Tensor

from ..checkpoints import load_model
from ..classical import CLASSICAL_METHODS, ClassicalFill
from ..completion import BLENDS, STRATEGIES, Completer, inpaint
from ..image_files import (
    WRITABLE_SUFFIXES,
    ImageFileError,
    Picture,
    decode_image,
    decode_mask,
    list_images,
    write_image,
)
from ..inpainting_model import InpaintingModel
from ..masks import GENERATORS, generate


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "--model", required=True, help=f"a .safetensors model, or one of {', '.join(CLASSICAL_METHODS)}"
    )
    parser.add_argument("--image", required=True, type=Path, help="a picture, or a folder of pictures")
    parser.add_argument(
        "--mask",
        required=True,
        help="white = hole: a picture for all images, a folder with masks of the same names, "
        f"or a generator ({', '.join(sorted(GENERATORS))})",
    )
    parser.add_argument(
        "--out", required=True, type=Path, help="the filled picture (PNG keeps known pixels exactly), or a folder"
    )
    parser.add_argument(
        "--strategy", choices=STRATEGIES, default="auto", help="what the model sees at once (default: auto)"
    )
    parser.add_argument("--grow", type=int, default=0, metavar="PX", help="enlarge the hole first; negative shrinks it")
    parser.add_argument("--feather", type=int, default=8, metavar="PX", help="width of the seam, inwards (default: 8)")
    parser.add_argument(
        "--blend", choices=BLENDS, default="alpha", help="how the fill is joined to the picture (default: alpha)"
    )
    parser.add_argument("--color-match", action="store_true", help="match the fill's colour to the hole's surroundings")
    parser.add_argument(
        "--hole-ratio", type=float, nargs=2, metavar=("LOW", "HIGH"), help="for a generator, e.g. 0.2 0.3"
    )
    parser.add_argument("--seed", type=int, default=0, help="for a generator")
    parser.add_argument("--device", default="cpu", help="where the network runs, e.g. cuda (default: cpu)")


def run(arguments: argparse.Namespace) -> int:
    """Fill, write, and say where; in a folder a bad file is listed and the others are done."""
    model = open_completer(arguments.model, arguments.device)
    if not arguments.image.is_dir():
        _inpaint_file(model, arguments, arguments.image, _output_file(arguments))
        return 0
    images = list_images(arguments.image)
    if not images:
        raise ImageFileError(f"{arguments.image}: no pictures in this folder")
    arguments.out.mkdir(parents=True, exist_ok=True)
    failures = 0
    for image in images:
        try:
            _inpaint_file(model, arguments, image, arguments.out / f"{image.stem}.png")
        except (ValueError, OSError) as error:
            failures += 1
            print(f"skipped: {error}", file=sys.stderr)
    print(f"{len(images) - failures} of {len(images)} pictures written to {arguments.out}")
    return 2 if failures else 0


def open_completer(name: str, device: str = "cpu") -> Completer:
    """A classical fill by name, or a network from a file."""
    if name in CLASSICAL_METHODS:
        return ClassicalFill(name)
    model = load_model(name, device)
    if not isinstance(model, InpaintingModel):
        raise ValueError(f"{name}: this model fills no holes; use it with python -m inpaint_core translate")
    return model


def _output_file(arguments: argparse.Namespace) -> Path:
    out: Path = arguments.out
    if out.is_dir():
        return out / f"{arguments.image.stem}.png"
    if out.suffix.lower() not in WRITABLE_SUFFIXES:
        raise ImageFileError(
            f"{out}: the name must end in one of {', '.join(WRITABLE_SUFFIXES)}, or be an existing folder"
        )
    if not out.parent.is_dir():
        raise ImageFileError(f"{out}: the folder {out.parent} does not exist; make it first")
    return out


def _inpaint_file(model: Completer, arguments: argparse.Namespace, source: Path, target: Path) -> None:
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
    )
    write_image(target, result[0], like=picture)
    print(target)


def _mask_for(arguments: argparse.Namespace, source: Path, picture: Picture) -> Tensor:
    if arguments.mask in GENERATORS:
        size = (picture.image.shape[1], picture.image.shape[2])
        ratio = tuple(arguments.hole_ratio) if arguments.hole_ratio else None
        return generate(arguments.mask, size, hole_ratio=ratio, seed=arguments.seed, image=picture.image)
    path = Path(arguments.mask)
    if not path.is_dir():
        return decode_mask(path)
    matches = [candidate for candidate in list_images(path) if candidate.stem == source.stem]
    if len(matches) != 1:
        raise ImageFileError(f"{source}: {len(matches) or 'no'} masks named {source.stem} in {path}, one is needed")
    return decode_mask(matches[0])
