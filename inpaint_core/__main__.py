"""python -m inpaint_core {inpaint,mask,info,...}: the library from the command line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import suppress
from types import ModuleType

from .checkpoints.weights import MAX_PASS_GIB, set_pass_limit
from .commands.notes import allow_undecodable_names
from .files.atomic import unwritten
from .inpainting.memory import is_out_of_memory
from .processes import choose_gpu
from .text import MAX_MESSAGE_LENGTH, one_line

COMMANDS = {
    "inpaint": "fill the holes of a picture or a folder of pictures",
    "reimagine": "repaint a picture part by part with a model",
    "translate": "redraw pictures, clips or the live camera in the style of a model's training pictures",
    "mask": "make masks: superpixels, strokes, rectangles and others",
    "info": "describe a model file",
    "export": "write a model as an ONNX file, for browsers, phones and other programs",
    "convert": "convert a public .pth, .pt or .ckpt file to a safe model file of this pack",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand.

    Returns
    -------
    int
        0 done, 2 bad input (one line on stderr), 130 interrupted.
    """
    allow_undecodable_names()
    arguments = sys.argv[1:] if argv is None else list(argv)
    parser = argparse.ArgumentParser(prog="python -m inpaint_core", description=__doc__.split(": ", 1)[1])
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    module = None
    for name, summary in COMMANDS.items():
        subparser = subparsers.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
        if arguments and arguments[0] == name:  # only the chosen command is imported
            module = _command(name)
            module.add_arguments(subparser)
            subparser.add_argument(
                "--pass-gib",
                type=float,
                metavar="N",
                help=f"GiB that one pass of a model at its training size may take (default: {MAX_PASS_GIB:g})",
            )
    parsed = parser.parse_args(arguments)
    if module is None:
        parser.error("specify a command first")
    try:
        choose_gpu()
        if parsed.pass_gib is not None:
            set_pass_limit(parsed.pass_gib)
        return module.run(parsed)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except (ValueError, OSError, MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not is_out_of_memory(error):
            raise
        sentence = unwritten(error) if isinstance(error, OSError) else str(error)
        # Standard error may itself be a file on the full disk; the exit code still reports the failure.
        with suppress(OSError):
            print(one_line(f"error: {sentence or 'out of memory'}", MAX_MESSAGE_LENGTH), file=sys.stderr)
        return 2


def _command(name: str) -> ModuleType:
    """The module of a command; scanners of the registry take an import by a computed name for an attack."""
    match name:
        case "inpaint":
            from .commands import inpaint

            return inpaint
        case "reimagine":
            from .commands import reimagine

            return reimagine
        case "translate":
            from .commands import translate

            return translate
        case "mask":
            from .commands import mask

            return mask
        case "info":
            from .commands import info

            return info
        case "export":
            from .commands import export

            return export
        case "convert":
            from .commands import convert

            return convert
        case _:
            raise ValueError(f"unknown command {name!r}")


if __name__ == "__main__":
    sys.exit(main())
