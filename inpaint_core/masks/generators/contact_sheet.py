"""One picture with examples of every family of masks."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..superpixels.pictures import boundary_overlay
from ..superpixels.slic import slic_labels
from .registry import GENERATORS, generate

ROWS = 2
GAP = 8
CAPTION = 18
PAGE = 0.11
HOLE = 1.0


def draw_contact_sheet(
    image: Tensor, hole_ratio: tuple[float, float] = (0.2, 0.3), seed: int = 0, folder: Path | None = None
) -> Tensor:
    """Overlay holes of every family on a picture, side by side.

    Parameters
    ----------
    image
        `[3,H,W]`, 0..1.
    hole_ratio
        Requested from every family.
    seed
        See `generate`.
    folder
        Masks for families that need a folder of masks; if None, those families are skipped.

    Returns
    -------
    Tensor
        float32 `[3,h,w]`: the picture, its superpixels, then one tile for each example of every family.
    """
    height, width = image.shape[1:]
    tiles = [("picture", image), ("superpixels", boundary_overlay(image, slic_labels(image, n_segments=100))[0])]
    given = {} if folder is None else {"folder": folder}
    for name, generator in GENERATORS.items():
        if not generator.required <= given.keys():
            continue
        needed: dict[str, Any] = {option: given[option] for option in generator.required}
        for example in generator.examples:
            mask = generate(name, (height, width), hole_ratio, seed=seed, image=image, **needed, **example.options)
            caption = f"{name}: {example.label}" if example.label else name
            tiles.append((caption, torch.where(mask[0] > 0.5, HOLE, image)))
    columns = math.ceil(len(tiles) / ROWS)
    sheet = torch.full((3, ROWS * (height + GAP + CAPTION) + GAP, columns * (width + GAP) + GAP), PAGE)
    for index, (caption, tile) in enumerate(tiles):
        top = GAP + (index // columns) * (height + GAP + CAPTION)
        left = GAP + (index % columns) * (width + GAP)
        sheet[:, top : top + height, left : left + width] = tile
        sheet[:, top + height : top + height + CAPTION, left : left + width] = _write(caption, width)
    return sheet


def _write(text: str, width: int) -> Tensor:
    """Light text on the page, `[3,CAPTION,width]`."""
    import numpy as np
    from PIL import Image, ImageDraw, ImageFont

    picture = Image.new("L", (width, CAPTION), round(255 * PAGE))
    ImageDraw.Draw(picture).text((2, 3), text, fill=225, font=ImageFont.load_default())
    return torch.from_numpy(np.array(picture)).float().div(255.0).expand(3, -1, -1)
