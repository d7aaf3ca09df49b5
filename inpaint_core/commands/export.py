"""python -m inpaint_core export MODEL --out FILE.onnx."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..checkpoints.embedded import embedded_models
from ..checkpoints.files import load_model
from ..export import ExportError, export_model
from ..export.onnx_file import TOLERANCE


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("model", help=f"a .safetensors model, or one of {', '.join(embedded_models())}")
    parser.add_argument("--out", required=True, type=Path, help="the .onnx file to write")
    parser.add_argument(
        "--size",
        metavar="PX",
        help="size of the pictures: one side, WIDTHxHEIGHT, or the word free (default: the model's training size)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Export, compare with torch, and report."""
    model = load_model(arguments.model)
    side = model.card.trained_size
    size = (side, side) if arguments.size is None else _size(arguments.size)
    found = export_model(model, arguments.out, size)
    if found is None:
        print("not compared with torch because onnxruntime is not installed")
    else:
        print(
            f"compared with torch on {found.pictures} pictures: {found.agreeing} agree to {TOLERANCE:g} everywhere, "
            f"largest difference {found.difference:.1e}"
        )
    if found is not None and found.agreeing < found.pictures:
        print(
            f"in the others, at least {found.share:.1%} of the values agree; the rest come from other pieces that fit "
            "equally well"
        )
    if model.card.licence:
        print(f"licence: {model.card.licence}")
    print(f"written: {arguments.out}")
    return 0


def _size(text: str) -> tuple[int, int] | None:
    """Height and width; None for any."""
    if text == "free":
        return None
    sides = text.lower().split("x")
    if len(sides) > 2 or not all(side.isascii() and side.isdecimal() for side in sides):
        raise ExportError(f"--size {text}: must be a number of pixels, WIDTHxHEIGHT such as 640x360, or the word free")
    return int(sides[-1][:9]), int(sides[0][:9])
