"""Augmentation of a finished mask: rotation, cropping and dilation, keeping the requested ratio."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from .request import Canvas, Options, Request, adjust, count_holes

ATTEMPTS = 4
TOLERANCE = 0.05  # tolerance of the number of hole pixels before the changes


def draw_augmented(
    draw: Callable[[Request, Options, np.random.Generator], Canvas],
    request: Request,
    options: Options,
    rng: np.random.Generator,
) -> Canvas:
    """Draw a mask and apply the `dilate`, `rotate` and `crop` of its options.

    If these change the ratio too much, the mask is redrawn with more or fewer holes, up to a few times; the remaining
    error is corrected at the boundaries of the holes.
    """
    angle = rng.uniform(-options.rotate, options.rotate)
    zoom = rng.uniform(options.crop, 1.0)
    place = rng.random(2)
    radius = rng.uniform(0.0, options.dilate) * request.side
    if request.target is None:
        return _change(draw(request, options, rng), request, angle, zoom, place, radius)
    seed = int(rng.integers(1 << 62))
    aim = float(request.target)
    most = (request.height - 2 * request.margin) * (request.width - 2 * request.margin)
    canvas: Canvas | None = None
    for _ in range(ATTEMPTS):
        target = min(max(1, round(aim)), most)
        slack = max(1, round(TOLERANCE * target))
        first = replace(request, low=max(1, target - slack), high=min(most, target + slack), target=target)
        try:
            drawn = draw(first, options, np.random.default_rng(seed))
        except ValueError:
            if canvas is None:
                raise
            break  # this family cannot draw more or fewer holes
        canvas = _change(drawn, request, angle, zoom, place, radius)
        count = count_holes(canvas)
        if request.accepts(count):
            return canvas
        aim *= request.target / max(count, 1)
    return adjust(request.blank() if canvas is None else canvas, request)


def _change(canvas: Canvas, request: Request, angle: float, zoom: float, place: np.ndarray, radius: float) -> Canvas:
    import cv2

    if angle or zoom < 1.0:
        size = np.array([request.width, request.height])
        middle = size * (zoom / 2.0 + (1.0 - zoom) * place) - 0.5
        turn = np.asarray(cv2.getRotationMatrix2D((float(middle[0]), float(middle[1])), angle, 1.0 / zoom), np.float64)
        turn[:, 2] += (size - 1) / 2.0 - middle
        # Mirrored beyond the edge, so that rotation does not introduce known corners.
        mirror = cv2.BORDER_REFLECT_101
        turned = cv2.warpAffine(canvas, turn, size.tolist(), flags=cv2.INTER_NEAREST, borderMode=mirror)
        canvas = np.asarray(turned, np.uint8)
    if radius > 0.0 and canvas.any():
        distance = cv2.distanceTransform(1 - canvas, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        canvas = (distance <= radius).astype(np.uint8)
    changed = request.blank()
    request.inner(changed)[:] = request.inner(canvas)
    return changed
