"""What is asked of one mask, in pixels, and the ways of meeting a hole ratio that families of masks share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

Canvas = NDArray[np.uint8]
Drawing = Callable[[Canvas, float], None]  # draws a shape, the whole of it at 1, nearly nothing near 0

BISECTIONS = 20
CLOSENESS = 64  # a scale is close enough when it misses the target by this part of the interval


class Options(BaseModel):
    """Options that every family of masks has; each field's description explains it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dilate: float = Field(
        0.0, ge=0.0, le=0.25, description="Widen holes at random by up to this part of the shorter side."
    )
    rotate: float = Field(
        0.0,
        ge=0.0,
        le=180.0,
        description="Turn the mask at random by up to this many degrees either way, mirrored at the edges.",
    )
    crop: float = Field(
        1.0, ge=0.1, le=1.0, description="Cut out and enlarge at least this part of height and width, at random."
    )

    @property
    def augments(self) -> bool:
        """Whether a finished mask is to be changed."""
        return self.dilate > 0.0 or self.rotate > 0.0 or self.crop < 1.0

    def look_at_files(self) -> list[str]:
        """Read all files that masks come from, once, before they are needed; a sentence for each that is no use.

        Raises
        ------
        ValueError
            There are none that can be used.
        """
        return []


@dataclass(frozen=True)
class Request:
    """One mask to be drawn.

    Attributes
    ----------
    height, width
        Of the mask.
    margin
        Pixels along every edge that stay known.
    low, high
        Least and greatest count of hole pixels; None when the family decides.
    target
        A count drawn uniformly from low..high, so that many masks cover the interval evenly; None when the family
        decides.
    image
        The picture `[3,H,W]` that the mask is for, if one was given.
    labels
        Its superpixels `[H,W]`, if they are known already.
    """

    height: int
    width: int
    margin: int = 0
    low: int | None = None
    high: int | None = None
    target: int | None = None
    image: Tensor | None = None
    labels: NDArray[np.integer] | None = None

    @property
    def side(self) -> int:
        """The shorter side, to which lengths are relative."""
        return min(self.height, self.width)

    def blank(self) -> Canvas:
        """A mask without holes."""
        return np.zeros((self.height, self.width), np.uint8)

    def inner(self, canvas: Canvas) -> Canvas:
        """The part of a canvas where holes may be, as a view."""
        return canvas[self.margin : self.height - self.margin, self.margin : self.width - self.margin]

    def accepts(self, count: int) -> bool:
        """Whether a mask with that many hole pixels is what was asked for."""
        return self.low is None or self.high is None or self.low <= count <= self.high


def count_holes(canvas: Canvas) -> int:
    """Number of hole pixels."""
    import cv2

    return cv2.countNonZero(canvas)


def accumulate(request: Request, drawings: Iterable[Drawing]) -> Canvas:
    """Draw one after another until the asked ratio is met; the last one is drawn as far as it fits.

    Without an asked ratio all of them are drawn, so `drawings` must end then; with one it must not.
    """
    canvas = request.blank()
    if request.target is None or request.high is None:
        inner = request.inner(canvas)
        for draw in drawings:
            draw(inner, 1.0)
        return canvas
    for draw in drawings:
        before = canvas.copy()
        draw(request.inner(canvas), 1.0)
        count = count_holes(canvas)
        if count >= request.target:
            break
    if count > request.high:
        smaller, larger = 0.0, 1.0
        for _ in range(BISECTIONS):
            part = (smaller + larger) / 2.0
            canvas = before.copy()
            draw(request.inner(canvas), part)
            count = count_holes(canvas)
            if request.accepts(count):
                break
            smaller, larger = (part, larger) if count < request.target else (smaller, part)
    return adjust(canvas, request)


def scale(request: Request, draw: Drawing, greatest: float) -> Canvas:
    """Find the scale (0..`greatest`) at which a drawing meets the asked ratio; without one the scale is 1.

    The count of hole pixels must not fall as the scale rises, apart from rounding.
    """
    canvas = request.blank()
    if request.target is None or request.low is None or request.high is None:
        draw(request.inner(canvas), 1.0)
        return canvas
    close = (request.high - request.low) // CLOSENESS
    smaller, larger = 0.0, greatest
    nearest, smallest_error = canvas, request.high + request.target
    for _ in range(BISECTIONS):
        part = (smaller + larger) / 2.0
        canvas = request.blank()
        draw(request.inner(canvas), part)
        count = count_holes(canvas)
        error = abs(count - request.target)
        if error < smallest_error:
            nearest, smallest_error = canvas, error
        if error <= close:
            break
        smaller, larger = (part, larger) if count < request.target else (smaller, part)
    return adjust(nearest, request)


def adjust(canvas: Canvas, request: Request) -> Canvas:
    """Move the rim of the holes by as little as makes the count of pixels right."""
    import cv2

    count = count_holes(canvas)
    if request.target is None or request.accepts(count):
        return canvas
    inner = request.inner(canvas).copy()
    if count == 0:
        inner[inner.shape[0] // 2, inner.shape[1] // 2] = 1
    elif count == inner.size:
        inner[0, 0] = 0
    outside = cv2.distanceTransform(1 - inner, cv2.DIST_L2, 5)
    inside = cv2.distanceTransform(inner, cv2.DIST_L2, 5)
    depth = np.subtract(outside, inside).ravel()
    last = np.partition(depth, request.target - 1)[request.target - 1]
    flat = (depth < last).astype(np.uint8)
    ties = np.flatnonzero(depth == last)
    flat[ties[: request.target - int(flat.sum(dtype=np.int64))]] = 1
    adjusted = request.blank()
    request.inner(adjusted)[:] = flat.reshape(inner.shape)
    return adjusted
