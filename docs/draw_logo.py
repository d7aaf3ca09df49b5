"""Draw the registry's icon and banner from a bundled photograph: python docs/draw_logo.py."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from inpaint_core import inpaint, load_model, translate
from inpaint_core.checkpoints.embedded import EMBEDDED_INPAINTING
from inpaint_core.files.images import decode_image, write_image
from inpaint_core.files.masks import read_mask
from inpaint_core.masks import boundary_overlay, slic_labels, snap_to_labels

IMAGES = Path(__file__).parent / "images"
PHOTOGRAPHS = Path(__file__).parents[1] / "nodes" / "photographs"
ICON = 400
BANNER = (540, 1260)  # 21:9


def stages(name: str) -> list[Tensor]:
    """`[3,H,W]` each: the photograph, its superpixels, the hole, the fill, and the fill redrawn as flowers."""
    photograph = decode_image(PHOTOGRAPHS / f"{name}.jpg")
    image, hole = photograph.image, read_mask(PHOTOGRAPHS / f"{name}.png", photograph).hole
    labels = slic_labels(image, n_segments=150)
    hole = snap_to_labels(hole, labels)
    filled = inpaint(load_model(EMBEDDED_INPAINTING[0]), image[None], hole)
    flowers = translate(load_model("see-flowers"), filled)
    shown = torch.where(hole[0] > 0.5, torch.ones_like(image), image)
    return [image, boundary_overlay(image, labels, hole).reshape(image.shape), shown, filled[0], flowers[0]]


def in_strips(pictures: list[Tensor], size: tuple[int, int]) -> Tensor:
    """One picture `[3,H,W]` in slanted strips, each from another stage."""
    covered = [_cover(picture, size) for picture in pictures]
    height, width = size
    row = torch.arange(height)[:, None] / height - 0.5
    place = (torch.arange(width)[None, :] / width + 0.12 * row).clamp(0.0, 0.999)
    which = (place * len(pictures)).long()
    edge = F.max_pool2d((which[:, 1:] != which[:, :-1]).float()[None, None], (1, 3), 1, (0, 1))[0, 0] > 0
    result = torch.stack(covered).gather(0, which.expand(1, 3, height, width))[0]
    result[:, :, 1:][:, edge] = 1.0
    return result


def _cover(picture: Tensor, size: tuple[int, int]) -> Tensor:
    """The middle of a picture, scaled to cover a size."""
    height, width = picture.shape[-2:]
    scale = max(size[0] / height, size[1] / width)
    sides = (max(size[0], round(height * scale)), max(size[1], round(width * scale)))
    large = F.interpolate(picture[None], sides, mode="bilinear", antialias=True, align_corners=False)[0]
    top, left = (sides[0] - size[0]) // 2, (sides[1] - size[1]) // 2
    return large[:, top : top + size[0], left : left + size[1]].clamp(0.0, 1.0)


if __name__ == "__main__":
    drawn = stages("boat")
    write_image(IMAGES / "banner.jpg", in_strips(drawn, BANNER))
    write_image(IMAGES / "icon.png", in_strips([drawn[1], drawn[2], drawn[4]], (ICON, ICON)))
    print(f"{IMAGES / 'icon.png'}\n{IMAGES / 'banner.jpg'}")
