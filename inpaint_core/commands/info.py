"""python -m inpaint_core info FILE."""

from __future__ import annotations

import argparse

from ..checkpoints.description import describe_model
from ..checkpoints.files import load_model


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("file", help="a .safetensors model")


def run(arguments: argparse.Namespace) -> int:
    """Load the whole model and print its card."""
    print(describe_model(load_model(arguments.file)))
    return 0
