"""Random superpixels of the very picture that is to be filled: holes that follow what is seen."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from ..superpixels.selection import at_labels, choose_at_random
from ..superpixels.slic import slic_labels
from .request import Canvas, Options, Request


class SlicOptions(Options):
    """How the picture is divided (see `slic_labels`); unused when labels are given.

    The low working resolution keeps the borders equally fine in a picture of 128, 256 or 512 pixels, and is fast.
    """

    n_segments: int = Field(100, ge=2, le=100_000)
    compactness: float = Field(10.0, gt=0.0)
    max_side: int = Field(160, ge=16)


NATURAL_RATIO = (0.1, 0.3)  # what is covered when no ratio is asked for


def draw(request: Request, options: SlicOptions, rng: np.random.Generator) -> Canvas:
    """Superpixels chosen at random until they cover the asked ratio."""
    labels = request.labels
    if labels is None:
        if request.image is None:
            raise ValueError("slic masks follow a picture: give image (or its labels)")
        labels = slic_labels(request.image, options.n_segments, options.compactness, options.max_side).numpy()
    if labels.shape != (request.height, request.width):
        raise ValueError(
            f"the picture is {labels.shape[0]}x{labels.shape[1]}, the mask {request.height}x{request.width}: "
            "sizes must agree"
        )
    canvas = request.blank()
    inner = labels[request.margin : request.height - request.margin, request.margin : request.width - request.margin]
    sizes = np.bincount(inner[inner >= 0])
    if request.low is None or request.high is None:
        low, high = (round(end * labels.size) for end in NATURAL_RATIO)
    else:
        low, high = request.low, request.high
    request.inner(canvas)[:] = at_labels(choose_at_random(sizes, low, high, rng), inner)
    return canvas
