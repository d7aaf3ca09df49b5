"""Make the README's pictures: `python docs/make_figures.py MODEL`, with a model of `python -m training.run`.

Everything is drawn from photographs that scikit-image brings along and that the demo holds out.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch import Tensor

from inpaint_core import inpaint, load_model
from inpaint_core.classical import ClassicalFill
from inpaint_core.image_files import decode_image, write_image
from inpaint_core.masks import boundary_overlay, select_segments, slic_labels

IMAGES = Path(__file__).parent / "images"
GAP = 8  # white pixels between panels


def held_out_picture(name: str) -> Tensor:
    """`[1,3,H,W]` of one of scikit-image's photographs."""
    import skimage

    return decode_image(Path(skimage.data_dir) / name).image[None]


def side_by_side(panels: list[Tensor]) -> Tensor:
    """Panels `[1,3,H,W]` in a row: `[3,H,W']`."""
    gap = torch.ones(1, 3, panels[0].shape[-2], GAP)
    row = [part for panel in panels for part in (gap, panel)][1:]
    return torch.cat(row, 3)[0]


def first_figure(model_file: str) -> Path:
    """Superpixels, a choice of them, the trained network's fill and Telea's."""
    image = held_out_picture("chelsea.png")
    labels = slic_labels(image[0], n_segments=150, compactness=10.0)
    mask = select_segments(labels, hole_ratio=(0.07, 0.09), seed=4)
    holes = torch.where(mask > 0, torch.ones_like(image), image)
    filled = inpaint(load_model(model_file), image, mask)
    telea = inpaint(ClassicalFill("telea"), image, mask)
    target = IMAGES / "superpixels_to_fill.jpg"
    panels = [boundary_overlay(image, labels, mask), holes, filled, telea]
    write_image(target, side_by_side(panels))
    return target


if __name__ == "__main__":
    IMAGES.mkdir(exist_ok=True)
    print(first_figure(sys.argv[1]))
