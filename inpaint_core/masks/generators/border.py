"""Strips along the picture's edges, like LaMa's outpainting masks (Suvorov et al. 2022, arXiv 2109.07161)."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from .controls import Control
from .generator import Generator
from .request import Canvas, Options, Request, scale

Side = Literal["top", "bottom", "left", "right"]
SIDES: tuple[Side, ...] = ("top", "bottom", "left", "right")


class BorderOptions(Options):
    """Edges and widths of the strips.

    A hole ratio may require strips narrower than `smallest`, but never wider than `largest`.
    """

    sides: tuple[Side, ...] | None = Field(
        None, min_length=1, description="Edges to extend the picture beyond; if not given, one or more at random."
    )
    smallest: float = Field(
        0.04,
        gt=0.0,
        le=0.5,
        description="Width of the narrowest strip, as a fraction of the picture's height or width.",
    )
    largest: float = Field(
        0.25, gt=0.0, le=0.5, description="Width of the widest strip, as a fraction of the picture's height or width."
    )

    @model_validator(mode="after")
    def _sensible(self) -> BorderOptions:
        if self.smallest > self.largest:
            raise ValueError(f"smallest is {self.smallest} and largest is {self.largest}: swap them")
        if self.rotate > 0.0 or self.crop < 1.0:
            raise ValueError("strips along the edge cannot be rotated or cropped: do not use rotate or crop")
        return self


def draw(request: Request, options: BorderOptions, rng: np.random.Generator) -> Canvas:
    """Strips along some edges, scaled together until they meet the requested ratio."""
    if request.margin:
        raise ValueError("border masks always touch the edge: do not set a distance from the edge (border)")
    request, chosen = _choose(request, options, rng)
    shares = rng.uniform(options.smallest, options.largest, len(SIDES))

    def draw_strips(canvas: Canvas, part: float) -> None:
        height, width = canvas.shape
        widths = np.minimum(shares * part, options.largest)
        for side, share, used in zip(SIDES, widths, chosen, strict=True):
            pixels = max(1, round(share * (height if side in ("top", "bottom") else width)))
            if not used:
                continue
            if side == "top":
                canvas[:pixels] = 1
            elif side == "bottom":
                canvas[height - pixels :] = 1
            elif side == "left":
                canvas[:, :pixels] = 1
            else:
                canvas[:, width - pixels :] = 1

    return scale(request, draw_strips, options.largest / float(shares.min()))


def _choose(request: Request, options: BorderOptions, rng: np.random.Generator) -> tuple[Request, tuple[bool, ...]]:
    """A random set of edges that can meet the requested ratio, and the part of the ratio's range that it can meet."""
    if options.sides is None:
        candidates = [chosen for chosen in product((False, True), repeat=len(SIDES)) if any(chosen)]
    else:
        candidates = [tuple(side in options.sides for side in SIDES)]
    if request.target is not None and request.low is not None and request.high is not None:
        most = max(_most(request, options, chosen) for chosen in candidates)
        if most < request.low:
            raise ValueError(
                f"strips of at most {options.largest:.0%} along {', '.join(options.sides or SIDES)} cover at most "
                f"{most / (request.height * request.width):.0%} of the picture, less than the requested hole ratio"
            )
        if most < request.target:
            request = replace(request, high=most, target=int(rng.integers(request.low, most + 1)))
        candidates = [chosen for chosen in candidates if _most(request, options, chosen) >= (request.target or 0)]
    return request, candidates[int(rng.integers(len(candidates)))]


def _most(request: Request, options: BorderOptions, chosen: tuple[bool, ...]) -> int:
    top, bottom, left, right = chosen
    known_rows = request.height - (top + bottom) * max(1, round(options.largest * request.height))
    known_columns = request.width - (left + right) * max(1, round(options.largest * request.width))
    return request.height * request.width - max(0, known_rows) * max(0, known_columns)


GENERATOR = Generator(
    "border",
    "strips along the edges, for outpainting",
    BorderOptions,
    draw,
    controls=(
        Control(
            "sides",
            tooltip="Edges to extend, for outpainting.",
            choices={
                "at random": None,
                "all": SIDES,
                "left and right": ("left", "right"),
                "top and bottom": ("top", "bottom"),
                "left": ("left",),
                "right": ("right",),
                "top": ("top",),
                "bottom": ("bottom",),
            },
        ),
    ),
    max_hole_ratio=0.75,
    touches_edge=True,
)
