"""Annotated pictures of superpixels: their numbers, and a grid of coordinates."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...eight_bit import to_uint8
from ...files.images import from_bytes
from .pictures import boundary_overlay

if TYPE_CHECKING:
    pass

LEGIBLE = 30  # side of a superpixel in pixels that is large enough for a three-digit number
TEXT = 13  # pixels
MAX_SIDE = 4096  # longer side in pixels of an enlarged picture
TARGET_LINES = 8  # of the grid along the longer side
STEPS = (1, 2, 5, 10, 20, 25, 50, 100, 200, 250, 500, 1000, 2000, 2500, 5000, 10000)


def numbered_overlay(image: Tensor, labels: Tensor, mask: Tensor | None = None) -> Tensor:
    """Draw the borders of superpixels over a picture, with each number at the widest point of its superpixel.

    Parameters
    ----------
    image, labels, mask
        As for `boundary_overlay`.

    Returns
    -------
    Tensor
        float32 `[B,3,s H,s W]`: enlarged by an integer s if superpixels would otherwise be too small for their numbers.
    """
    planes = labels if labels.ndim == 3 else labels[None]
    drawn = boundary_overlay(image, planes, mask)
    scale = _enlargement(planes)
    pictures = [
        _number(picture, plane, scale)
        for picture, plane in zip(drawn.cpu(), planes.expand(len(drawn), -1, -1).cpu().numpy(), strict=True)
    ]
    return torch.stack(pictures).to(drawn.device)


def _enlargement(planes: Tensor) -> int:
    sizes = torch.bincount(planes[planes >= 0])
    side = math.sqrt(float(sizes[sizes > 0].float().median())) if len(sizes) else LEGIBLE
    return max(1, min(math.ceil(LEGIBLE / side), MAX_SIDE // max(planes.shape[-2:])))


def _number(picture: Tensor, plane: NDArray[np.integer], scale: int) -> Tensor:
    from PIL import Image, ImageDraw, ImageFont

    page = Image.fromarray(to_uint8(picture).permute(1, 2, 0).numpy())
    page = page.resize((page.width * scale, page.height * scale), Image.Resampling.NEAREST)
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(TEXT)
    for number, (x, y) in widest_places(plane).items():
        place = ((x + 0.5) * scale, (y + 0.5) * scale)
        draw.text(place, str(number), fill="white", font=font, anchor="mm", stroke_width=2, stroke_fill="black")
    return from_bytes(np.array(page))


def widest_places(plane: NDArray[np.integer]) -> dict[int, tuple[int, int]]:
    """For every label of an int `[H,W]`, its pixel `(x, y)` that is farthest from all other labels."""
    import cv2

    apart = np.pad(plane, 1, constant_values=-1)
    same = np.ones(apart.shape, np.uint8)
    for axis in (0, 1):
        differs = np.diff(apart, axis=axis) != 0
        first, second = (slice(0, -1), slice(1, None))
        same[(first, slice(None)) if axis == 0 else (slice(None), first)] &= ~differs
        same[(second, slice(None)) if axis == 0 else (slice(None), second)] &= ~differs
    depth = cv2.distanceTransform(same, cv2.DIST_L2, 5)[1:-1, 1:-1]
    flat, labels = depth.ravel(), plane.ravel()
    order = np.lexsort((-flat, labels))
    numbers, first_of_each = np.unique(labels[order], return_index=True)
    places = order[first_of_each]
    width = plane.shape[1]
    return {
        int(number): (int(place % width), int(place // width))
        for number, place in zip(numbers, places, strict=True)
        if number >= 0
    }


def coordinate_grid(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Draw lines at round pixel coordinates over pictures, labeled with their coordinates.

    Parameters
    ----------
    image
        `[B,3,H,W]`, 0..1.
    size
        Height and width of the coordinate system, for enlarged pictures.

    Returns
    -------
    Tensor
        float32 `[B,3,H,W]`.
    """
    step = next((step for step in STEPS if step * TARGET_LINES >= max(size)), STEPS[-1])
    return torch.stack([_grid(picture, size, step) for picture in image.detach().float().cpu()]).to(image.device)


def _grid(picture: Tensor, size: tuple[int, int], step: int) -> Tensor:
    from PIL import Image, ImageDraw, ImageFont

    page = Image.fromarray(to_uint8(picture).permute(1, 2, 0).numpy())
    draw, font = ImageDraw.Draw(page, "RGBA"), ImageFont.load_default(TEXT)

    def write(place: tuple[float, float], number: int) -> None:
        draw.text(place, str(number), fill="white", font=font, anchor="la", stroke_width=2, stroke_fill="black")

    scale = page.width / size[1], page.height / size[0]
    for x in range(0, size[1], step):
        place = x * scale[0]
        draw.line((place, 0, place, page.height), fill=(255, 255, 255, 110))
        write((place + 3, 3), x)
    for y in range(step, size[0], step):
        place = y * scale[1]
        draw.line((0, place, page.width, place), fill=(255, 255, 255, 110))
        write((3, place + 3), y)
    return from_bytes(np.array(page))
