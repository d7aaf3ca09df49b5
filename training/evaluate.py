"""`python -m training.evaluate`: compare models and classical fills on the same pictures with the same holes.

The folder --out receives manifest.json (the pairs of pictures and holes), results/ (every score of every pair),
report.json, report.md (tables in the format of papers), grid.png and scatter.png. Repeating the command resumes an
evaluation that was interrupted or killed, and can add more models. With torchrun, its processes share the pictures.

exit codes: 0 done, 1 out of memory, 2 bad input (one line on standard error), 130 interrupted
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from tqdm import tqdm

from inpaint_core.checkpoints.embedded import EMBEDDED_INPAINTING
from inpaint_core.commands.notes import allow_undecodable_names
from inpaint_core.devices import find_device
from inpaint_core.files.opening import add_limit_argument
from inpaint_core.foreign.completers import open_completer
from inpaint_core.inpainting.classical import FILL_NAMES
from inpaint_core.inpainting.inpaint import STRATEGIES
from inpaint_core.masks.generators.registry import names_without_options
from inpaint_core.text import MAX_MESSAGE_LENGTH, one_line

from .command_line import BAD_INPUT, DONE, FAILED, INTERRUPTED, OneLineParser, end, is_first_process
from .evaluation import report as reports
from .evaluation.comparison import EvaluationSettings, compare
from .evaluation.methods import WITH_PATCHES, Method, method_names
from .evaluation.pairs import BUCKETS, name_bucket, parse_bucket
from .placement import place, process_group
from .runs.folder import check_outside, check_writable

BORDERS = {"yes": (True,), "no": (False,), "both": (True, False)}
MIN_SIZE, MAX_SIZE = 32, 4096

Value = TypeVar("Value")


COMMAND = "training.evaluate"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    allow_undecodable_names()
    try:
        options = _parser().parse_args(arguments)
        check_writable(options.out)
        check_outside(options.out, options.data, recursive=True)
        if Path(options.masks).is_dir():
            check_outside(options.out, Path(options.masks), recursive=True)
        with process_group():
            report = _evaluate(options)
    except KeyboardInterrupt:
        return end(COMMAND, INTERRUPTED, "interrupted; repeat the command to continue")
    except MemoryError as error:
        return end(COMMAND, FAILED, str(error) or "out of memory")
    except (ValueError, OSError) as error:
        return end(COMMAND, BAD_INPUT, error)
    if not report:
        return DONE
    totals = [method | {"summary": method["cells"][-1]["metrics"]} for method in report["methods"]]
    print(reports.short_table(totals))
    print(f"all tables: {options.out / 'report.md'}; pictures: {options.out / 'grid.png'}")
    return DONE


def _evaluate(options: argparse.Namespace) -> dict[str, Any]:
    settings = EvaluationSettings(
        data=options.data,
        masks=options.masks,
        size=options.size,
        count=options.count,
        buckets=tuple(dict.fromkeys(options.buckets)),
        borders=BORDERS[options.border],
        seed=options.seed,
        strategy=options.strategy,
        features=options.features,
        device=str(find_device(options.device)),
        invert=options.invert,
        max_megapixels=options.max_megapixels,
        judge=options.judge,
    )
    names = method_names(options.model)
    methods = [
        Method(
            name,
            open_completer(model.removesuffix(WITH_PATCHES), options.device),
            "patches" if model.endswith(WITH_PATCHES) else "network",
        )
        for name, model in zip(names, options.model, strict=True)
    ]
    against = [_reference(model, names, options.model) for model in dict.fromkeys(options.against)]
    return compare(
        methods,
        settings,
        options.out,
        resume=options.resume == "auto",
        against=against,
        say=_say,
        placement=place(options.device),
    )


def _say(sentence: str) -> None:
    if is_first_process():
        tqdm.write(one_line(f"{COMMAND}: {sentence}", MAX_MESSAGE_LENGTH), file=sys.stderr)


def _reference(model: str, names: Sequence[str], models: Sequence[str]) -> str:
    """The name of the method given by `--against`."""
    if model not in models:
        raise ValueError(f"--against {model}: not one of the models to measure: {', '.join(models)}")
    return names[models.index(model)]


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog="python -m training.evaluate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    generators = ", ".join(names_without_options())
    parser.add_argument(
        "--model",
        nargs="+",
        required=True,
        metavar="MODEL",
        help=f"model files, or {', '.join((*EMBEDDED_INPAINTING, *FILL_NAMES))}; with {WITH_PATCHES} appended, the "
        "fill guides patches copied from the surroundings",
    )
    parser.add_argument(
        "--against",
        nargs="+",
        default=[],
        metavar="MODEL",
        help="some of these models: also report the paired differences of the others from each of them, in the hole",
    )
    parser.add_argument(
        "--data", type=Path, required=True, metavar="DIR", help="folder of pictures, including subfolders"
    )
    parser.add_argument(
        "--masks",
        required=True,
        metavar="DIR|GENERATOR",
        help=f"folder of masks (white = hole), including subfolders, or one of {generators}",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="output folder")
    parser.add_argument(
        "--features",
        type=Path,
        metavar="FILE",
        help="VGG weights (.safetensors; torchvision's VGG-16 or the normalized VGG-19 of universal style transfer) "
        "for the perceptual distance, FID and KID, which are otherwise skipped",
    )
    parser.add_argument(
        "--judge",
        action="store_true",
        help="also measure the perceptual distance in the hole with an independent network that is never used in "
        "training (needs the extra `metrics`)",
    )
    parser.add_argument(
        "--size",
        type=_checked(int, lambda value: MIN_SIZE <= value <= MAX_SIZE, f"{MIN_SIZE} to {MAX_SIZE}"),
        default=256,
        metavar="PX",
        help="side of the squares that pictures are cropped and resized to (default: 256)",
    )
    parser.add_argument(
        "--count",
        type=_checked(int, lambda value: value >= 1, "1 or more"),
        metavar="N",
        help="number of picture-mask pairs over all columns of the tables; if it is less than pictures x columns, a "
        "random sample of the pictures is used, and if it is more, further crops are added (default: every picture "
        "once per column, at most 1000 per column)",
    )
    parser.add_argument(
        "--buckets",
        type=_bucket,
        nargs="+",
        default=list(BUCKETS),
        metavar="LOW-HIGH",
        help=f"hole ratios, one column each (default: {' '.join(map(name_bucket, BUCKETS))})",
    )
    parser.add_argument(
        "--border",
        choices=BORDERS,
        default="no",
        help="whether holes stay 50 pixels (of 512) away from the edge; both gives two columns per ratio (default: no)",
    )
    parser.add_argument(
        "--seed",
        type=_checked(int, lambda value: value >= 0, "0 or more"),
        default=0,
        help="seed for pictures, crops and masks",
    )
    parser.add_argument(
        "--strategy",
        choices=STRATEGIES,
        default="whole",
        help="what a model sees; see python -m inpaint_core inpaint --help (default: whole)",
    )
    parser.add_argument("--device", default="cpu", help="device for networks, e.g. cuda (default: cpu)")
    parser.add_argument("--invert", action="store_true", help="black = hole in the folder of --masks")
    add_limit_argument(parser)
    parser.add_argument(
        "--resume",
        choices=("auto", "none"),
        default="auto",
        help="auto: continue the evaluation in --out; none: start over",
    )
    return parser


def _checked(kind: Callable[[str], Value], accepts: Callable[[Value], bool], accepted: str) -> Callable[[str], Value]:
    def parse(text: str) -> Value:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not accepts(value):
            raise argparse.ArgumentTypeError(f"{text!r} is not valid: must be {accepted}")
        return value

    return parse


def _bucket(text: str) -> tuple[float, float]:
    try:
        return parse_bucket(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


if __name__ == "__main__":
    sys.exit(main())
