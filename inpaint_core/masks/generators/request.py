"""The request for one mask, in pixels, and ways to meet a hole ratio shared by families of masks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

Canvas = NDArray[np.uint8]
Drawing = Callable[[Canvas, float], None]  # draws a shape at a scale: full size at 1, almost nothing near 0

BISECTIONS = 20
CLOSENESS = 64  # a scale is close enough if it misses the target by at most 1 / CLOSENESS of the interval


class Options(BaseModel):
    """Options of every family of masks; each field's description explains it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dilate: float = Field(
        0.0, ge=0.0, le=0.25, description="Dilate holes by a random amount, up to this fraction of the shorter side."
    )
    rotate: float = Field(
        0.0,
        ge=0.0,
        le=180.0,
        description="Rotate the mask at random by up to this many degrees either way, mirrored at the edges.",
    )
    crop: float = Field(
        1.0, ge=0.1, le=1.0, description="Crop at random to at least this fraction of height and width, and enlarge."
    )

    @property
    def augments(self) -> bool:
        """Whether finished masks are augmented."""
        return self.dilate > 0.0 or self.rotate > 0.0 or self.crop < 1.0

    def check_files(self) -> list[str]:
        """Check all mask files once, before they are needed; returns a message for each unusable one.

        Raises
        ------
        ValueError
            None of them is usable.
        """
        return []


@dataclass(frozen=True)
class Request:
    """One mask to draw.

    Attributes
    ----------
    height, width
        Size of the mask in pixels.
    margin
        Width in pixels of the known margin along every edge.
    low, high
        Minimum and maximum number of hole pixels; None if the family decides.
    target
        A number of hole pixels drawn uniformly from low..high, so that many masks cover the interval evenly; None if
        the family decides.
    image
        The picture `[3,H,W]` that the mask is for, if one was given.
    labels
        Its superpixels `[H,W]`, if already computed.
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
        """The part of a canvas where holes are allowed, as a view."""
        return canvas[self.margin : self.height - self.margin, self.margin : self.width - self.margin]

    def accepts(self, count: int) -> bool:
        """Whether a mask with that many hole pixels meets the request."""
        return self.low is None or self.high is None or self.low <= count <= self.high


def count_holes(canvas: Canvas) -> int:
    """Number of hole pixels."""
    import cv2

    return cv2.countNonZero(canvas)


def accumulate(request: Request, drawings: Iterable[Drawing]) -> Canvas:
    """Apply drawings one after another until the requested ratio is met; the last one is drawn only as far as needed.

    Without a ratio all of them are drawn, so `drawings` must be finite; with a ratio it must be infinite.
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


def scale(request: Request, draw: Drawing, largest: float) -> Canvas:
    """Find the scale (0..`largest`) at which a drawing meets the requested ratio; without a ratio the scale is 1.

    The number of hole pixels must not decrease as the scale increases, apart from rounding.
    """
    canvas = request.blank()
    if request.target is None or request.low is None or request.high is None:
        draw(request.inner(canvas), 1.0)
        return canvas
    close = (request.high - request.low) // CLOSENESS
    smaller, larger = 0.0, largest
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
    """Move the boundary of the holes by the smallest amount that corrects the number of hole pixels."""
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
