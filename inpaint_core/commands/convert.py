"""python -m inpaint_core convert FILE.pth --out FILE.safetensors."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..checkpoints.files import save_model
from ..foreign import convert_checkpoint
from ..foreign.external_models import store_as_safetensors


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("file", type=Path, help="a public .pth, .pt or .ckpt file")
    parser.add_argument("--out", required=True, type=Path, help="the .safetensors file to write")
    parser.add_argument(
        "--fill",
        type=float,
        nargs=3,
        metavar=("R", "G", "B"),
        help="color in 0..1 that holes were filled with in training, if the file does not contain it",
    )
    parser.add_argument("--half", action="store_true", help="store float16: half the size")


def run(arguments: argparse.Namespace) -> int:
    """Convert, write, and report how each weight was used."""
    family = store_as_safetensors(arguments.file, arguments.out)
    if family is not None:
        print(f"layout: {family}, weights unchanged; needs spandrel to run")
        print(f"written: {arguments.out}")
        return 0
    conversion = convert_checkpoint(arguments.file, fill=arguments.fill)
    save_model(conversion.model, arguments.out, half=arguments.half)
    print(conversion.report())
    print(f"written: {arguments.out}")
    return 0
