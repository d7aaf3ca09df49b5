"""Filling an upload's hole at full size."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from inpaint_core import inpaint
from inpaint_core.inpainting.inpaint import DETAILS, Detail

from .holes import check_hole
from .models import Models, is_network
from .pictures import Limits, Pixels, Upload, VisitorError, enlarge_mask, read_upload, reduce, write_result

BIHARMONIC_PIXELS = 100_000  # its time grows steeply with the hole, and it cannot be stopped
Mark = Callable[[tuple[int, int]], Tensor]
"""Given the height and width of the reduced picture, returns its hole `[h,w]`, 1 = hole."""
Progress = Callable[[int, int], None]
"""Called with steps done and all steps; an exception raised here ends the work."""


@dataclass(frozen=True)
class Filled:
    """A filled picture.

    Attributes
    ----------
    before, after
        uint8 `[h,w,3]`, reduced for the browser.
    file
        The result at full size.
    summary
        One sentence on what was done.
    """

    before: Pixels
    after: Pixels
    file: Path
    summary: str


def fill(
    models: Models,
    limits: Limits,
    upload: Upload | None,
    mark: Mark,
    name: str,
    detail: Detail,
    results: Path,
    *,
    how: str = "draw over",
    progress: Progress | None = None,
) -> Filled:
    """Fill the hole of an upload.

    Parameters
    ----------
    mark
        See `Mark`.
    name
        A model or classical fill (see `fill_names`).
    detail
        For networks: their own detail, or patches copied from the surroundings. Classical fills ignore it.
    results
        An existing folder for results.
    how
        How a hole is marked, for the message if there is none.
    progress
        See `Progress`; also called between passes without a step being done.

    Raises
    ------
    VisitorError
        No picture, no hole, a hole over everything, or more than this fill can do.
    """
    completer = models.completer(name)
    if detail not in DETAILS:
        raise VisitorError(f"There is no detail of this name: choose one of {', '.join(DETAILS)}.")
    started = time.perf_counter()
    picture = read_upload(upload, limits)
    assert upload is not None
    hole = enlarge_mask(mark(upload.shown_size), (upload.height, upload.width))
    check_hole(hole, picture.unknown, how)
    pixels = int(hole.sum())
    if name == "biharmonic" and pixels > BIHARMONIC_PIXELS:
        raise VisitorError(
            f"The hole has {pixels:,} pixels and biharmonic takes at most {BIHARMONIC_PIXELS:,} here: mark a smaller "
            "hole, or choose another fill."
        )
    shown: Callable[[int, int, Tensor], None] | None = None
    if progress is not None:
        report = progress

        def shown(done: int, total: int, _: Tensor) -> None:
            report(done, total)

    result = inpaint(
        completer, picture.planes[None], hole, detail=detail if is_network(name) else "network", progress=shown
    )[0]
    share = pixels / hole.numel()
    file = write_result(results, upload, "filled", result, picture)
    seconds = time.perf_counter() - started
    summary = (
        f"{name} filled {share:.1%} of {upload.width} x {upload.height} pixels in {seconds:.0f} s. All other "
        "pixels are unchanged, bit for bit."
    )
    return Filled(upload.shown, reduce(result), file, summary)
