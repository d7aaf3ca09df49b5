"""Random superpixels of the picture to be filled: holes that follow its contents."""

from __future__ import annotations

import numpy as np
from pydantic import Field
from torch import Tensor

from ..superpixels.selection import at_labels, choose_at_random
from ..superpixels.slic import slic_labels
from .controls import Control
from .generator import Example, Generator
from .request import Canvas, Options, Request


class SlicOptions(Options):
    """Superpixel segmentation of the picture (see `slic_labels`); unused if labels are given.

    The low working resolution is fast and keeps borders equally fine in pictures of 128, 256 or 512 pixels.
    """

    n_segments: int = Field(100, ge=2, le=100_000, description="Number of superpixels to choose from.")
    compactness: float = Field(
        10.0, gt=0.0, description="Small values follow colors closely; large ones give almost square superpixels."
    )
    max_side: int = Field(
        160,
        ge=16,
        description="Larger pictures are segmented at this size in pixels, and the superpixels are scaled up.",
    )


NATURAL_RATIO = (0.1, 0.3)  # coverage if no ratio is requested


def divide(image: Tensor, options: SlicOptions) -> Tensor:
    """The superpixels of a picture `[C,H,W]`: int64 `[H,W]`."""
    return slic_labels(image, options.n_segments, options.compactness, options.max_side)


def draw(request: Request, options: SlicOptions, rng: np.random.Generator) -> Canvas:
    """Superpixels chosen at random until they cover the requested ratio."""
    labels = request.labels
    if labels is None:
        if request.image is None:
            raise ValueError("slic masks need a picture: pass image (or its labels)")
        labels = divide(request.image, options).numpy()
    if labels.shape != (request.height, request.width):
        raise ValueError(
            f"the picture is {labels.shape[0]}x{labels.shape[1]}, the mask {request.height}x{request.width}: sizes "
            f"must match"
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


GENERATOR = Generator(
    "slic",
    "superpixels of the picture itself",
    SlicOptions,
    draw,
    examples=(Example(options={"max_side": 512}),),
    controls=(
        Control(
            "n_segments",
            name="segments",
            tooltip="Number of superpixels of the connected image to choose from.",
            maximum=20000,
        ),
    ),
    divide=divide,
)
