"""Families of masks by name, for the command line, the nodes and the trainer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..hole_ratio import counts_of_interval, margin_in_pixels
from . import border, center, folder, random_walk, rectangles, salt_and_pepper, shapes, strokes, superpixels
from .augmentation import draw_augmented
from .generator import Generator
from .request import Canvas, Options, Request

Seed = int | Sequence[int] | np.random.Generator


GENERATORS: dict[str, Generator] = {
    module.GENERATOR.name: module.GENERATOR
    for module in (
        strokes,
        shapes,
        rectangles,
        center,
        border,
        random_walk,
        salt_and_pepper,
        superpixels,
        folder,
    )
}
"""Every family of masks, in the order listed by user interfaces: append only."""


def names_without_options() -> list[str]:
    """The families that need no options, sorted: all except those that need a folder, for example."""
    return sorted(name for name, generator in GENERATORS.items() if not generator.required)


def find_generator(name: str) -> Generator:
    """Look a family up by name.

    Raises
    ------
    ValueError
        There is none; the message lists those that exist.
    """
    try:
        return GENERATORS[name]
    except KeyError:
        raise ValueError(f"unknown mask {name!r}: choose one of {', '.join(sorted(GENERATORS))}") from None


def generate(
    name: str,
    size: tuple[int, int],
    hole_ratio: tuple[float, float] | None = None,
    border: float | None = None,
    seed: Seed = 0,
    image: Tensor | None = None,
    labels: Tensor | None = None,
    **options: object,
) -> Tensor:
    """Draw a random mask.

    Parameters
    ----------
    name
        A key of `GENERATORS`.
    size
        `(H, W)`.
    hole_ratio
        `(low, high)`: the fraction of hole pixels lies in `(low, high]` and varies over the interval with the seed.
        None leaves it to the family.
    border
        Minimum distance of holes from the picture's edge: a fraction of the shorter side if below 1, otherwise in
        pixels of a picture whose shorter side is 512 (Liu et al. 2018 use 50). None: holes may touch the edge.
    seed
        An integer, several integers, or a generator to draw from. The global random states are never used.
    image
        `[C,H,W]` or `[1,C,H,W]`, the picture that the mask is for; only used by `slic`.
    labels
        int `[H,W]`, superpixels of that picture if already computed (`slic` only).
    **options
        Fields of the family's options class, `GENERATORS[name].options`.

    Returns
    -------
    Tensor
        float32 `[1,1,H,W]` on the CPU, exactly 0 or 1, 1 = hole.

    Raises
    ------
    ValueError
        Unknown name or option, or a ratio or border that this family cannot meet at this size.
    """
    generator = find_generator(name)
    picture = image[0] if image is not None and image.ndim == 4 and len(image) == 1 else image
    known = None if labels is None else labels.detach().cpu().numpy()
    rng = np.random.default_rng(seed)
    canvas = draw_mask(generator, generator.parse(options), size, hole_ratio, border, rng, picture, known)
    return torch.from_numpy(canvas.astype(np.float32))[None, None]


def draw_mask(
    generator: Generator,
    options: Options,
    size: tuple[int, int],
    hole_ratio: tuple[float, float] | None,
    border: float | None,
    rng: np.random.Generator,
    image: Tensor | None = None,
    labels: NDArray[np.integer] | None = None,
) -> Canvas:
    """`generate` for checked options, as uint8 `[H,W]`."""
    height, width = (int(side) for side in size)
    if height < 1 or width < 1:
        raise ValueError(f"a mask of {height}x{width} pixels cannot be drawn")
    margin = margin_in_pixels(border, (height, width))
    low = high = target = None
    if hole_ratio is not None:
        low, high = counts_of_interval(hole_ratio, (height, width), margin)
        target = int(rng.integers(low, high + 1))
    request = Request(height, width, margin, low, high, target, image, labels)
    if options.augments:
        return draw_augmented(generator.draw, request, options, rng)
    return generator.draw(request, options, rng)
