"""Make the figures of README.md and MODELS.md.

    python docs/make_figures.py                    with the embedded models
    python docs/make_figures.py --model MODEL      also with a model trained by `python -m training.run`
    python docs/make_figures.py --sheets FOLDER    only the sheets of the first twelve photographs of the Kodak set

All other pictures use photographs bundled with scikit-image: no embedded model has seen them, and the demo recipe holds
out the cat.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import torch
from PIL import Image, ImageDraw
from torch import Tensor
from torch.nn import functional as F

from inpaint_core import inpaint, load_model, translate
from inpaint_core.checkpoints.embedded import EMBEDDED_INPAINTING, EMBEDDED_TRANSLATION
from inpaint_core.checkpoints.prepare_settings import PrepareSettings
from inpaint_core.checkpoints.translation_model import TranslationModel
from inpaint_core.files.atomic import atomic_path
from inpaint_core.files.images import decode_image, write_image
from inpaint_core.inpainting.classical import ClassicalFill
from inpaint_core.inpainting.reimagine import Strip, reimagine
from inpaint_core.masks import boundary_overlay, generate, select_segments, slic_labels, snap_to_labels
from inpaint_core.translation import prepare
from training.charts import BLUE, INK, ORANGE, PANEL_HEIGHT, WIDTH, draw_panel
from training.evaluation.drawings import draw_grid, with_hole

IMAGES = Path(__file__).parent / "images"
GAP = 8  # white pixels between panels
CURVES = Path(__file__).parent / "training_curves.json"
INKS = {"glcic-natural": ("orange", ORANGE), "pconv-natural": ("blue", BLUE), "unet-natural": ("black", INK)}
SHEET = 12  # photographs on a sheet
SHEET_SCALE = 0.625  # of their 256 pixels


def photograph(name: str, side: int | None = None) -> Tensor:
    """`[1,3,H,W]` of one of scikit-image's photographs; with a side, the square in its middle."""
    import skimage

    image = decode_image(Path(skimage.data_dir) / name).image[None]
    return image if side is None else middle_square(image, side)


def middle_square(image: Tensor, side: int) -> Tensor:
    """The square in the middle of `[1,C,H,W]`, resized."""
    height, width = image.shape[-2:]
    square = min(height, width)
    top, left = (height - square) // 2, (width - square) // 2
    return F.interpolate(image[..., top : top + square, left : left + square], size=side, mode="area")


def side_by_side(panels: list[Tensor]) -> Tensor:
    """Panels `[1,3,H,W]` in a row: `[3,H,W']`."""
    gap = torch.ones(1, 3, panels[0].shape[-2], GAP)
    row = [part for panel in panels for part in (gap, panel)][1:]
    return torch.cat(row, 3)[0]


def write_grid(target: Path, columns: list[str], rows: list[list[Tensor]]) -> Path:
    """Pictures `[3,H,W]` with the columns' names above."""
    with atomic_path(target) as temporary:
        draw_grid(columns, [("", row) for row in rows]).save(temporary, "JPEG", quality=90)
    return target


def superpixels_to_fill(model_file: str) -> Path:
    """Superpixels, a selection of them, the trained network's fill and Telea's."""
    image = photograph("chelsea.png")
    labels = slic_labels(image[0], n_segments=150, compactness=10.0)
    mask = select_segments(labels, hole_ratio=(0.07, 0.09), seed=4)
    holes = torch.where(mask > 0, torch.ones_like(image), image)
    filled = inpaint(load_model(model_file), image, mask)
    telea = inpaint(ClassicalFill("telea"), image, mask)
    target = IMAGES / "superpixels_to_fill.jpg"
    write_image(target, side_by_side([boundary_overlay(image, labels, mask), holes, filled, telea]))
    return target


def embedded_fills() -> Path:
    """Fills of every embedded inpainting model, next to Telea's fill and the original."""
    rows = []
    holes = (("strokes", "chelsea.png", 3), ("shapes", "coffee.png", 1), ("rectangles", "rocket.jpg", 6))
    for family, name, seed in holes:
        image = photograph(name, 256)
        mask = generate(family, size=(256, 256), hole_ratio=(0.15, 0.25), seed=seed)
        completers = [
            ClassicalFill("telea"),
            ClassicalFill("smooth"),
            *(load_model(model) for model in EMBEDDED_INPAINTING),
        ]
        fills = [inpaint(completer, image, mask, detail="network")[0] for completer in completers]
        rows.append([with_hole(image[0], mask[0]), *fills, image[0]])
    columns = ["input", "Telea", "smooth", *EMBEDDED_INPAINTING, "truth"]
    return write_grid(IMAGES / "embedded_fills.jpg", columns, rows)


def patch_fills() -> Path:
    """Removed objects: Telea's fill, the network's fill, and patches with and without the network as a guide."""
    rows = []
    telea, patches, network = ClassicalFill("telea"), ClassicalFill("patches"), load_model(EMBEDDED_INPAINTING[0])
    # One ellipse each, as fractions of the side: center and radii in rows and columns.
    holes = (
        ("coffee.png", (0.69, 0.67, 0.16, 0.13)),
        ("chelsea.png", (0.72, 0.30, 0.15, 0.17)),
        ("grass.png", (0.50, 0.50, 0.22, 0.26)),
        ("rocket.jpg", (0.62, 0.21, 0.36, 0.07)),
    )
    for name, (row, column, height, width) in holes:
        image = photograph(name, 256).expand(-1, 3, -1, -1)
        line = (torch.arange(256) + 0.5) / 256
        mask = (((line[:, None] - row) / height) ** 2 + ((line - column) / width) ** 2 < 1.0)[None, None].float()
        fills = [
            inpaint(telea, image, mask),
            inpaint(network, image, mask, detail="network"),
            inpaint(network, image, mask, detail="patches"),
            inpaint(patches, image, mask),
        ]
        rows.append([with_hole(image[0], mask[0]), *(fill[0] for fill in fills), image[0]])
    name = EMBEDDED_INPAINTING[0]
    columns = ["input", "Telea", name, f"{name}, patches", "patches alone", "truth"]
    return write_grid(IMAGES / "patch_fills.jpg", columns, rows)


def see_flowers() -> Path:
    """A picture, what the network sees of it, and the output of the embedded models."""
    models = [load_model(name) for name in EMBEDDED_TRANSLATION]
    rows = []
    for name in ("coffee.png", "rocket.jpg", "astronaut.png"):
        image = photograph(name, 256)
        seen = prepare(image, models[0].card.prepare or PrepareSettings()).expand(-1, 3, -1, -1)
        made = [translate(model, image)[0] for model in models if isinstance(model, TranslationModel)]
        rows.append([image[0], seen[0], *made])
    columns = ["picture", "Learning to See: Prepare", *EMBEDDED_TRANSLATION]
    return write_grid(IMAGES / "see_flowers.jpg", columns, rows)


def snapped_mask() -> Path:
    """A rough stroke, the stroke snapped to superpixels, and the fill."""
    image = photograph("coffee.png")
    rough = torch.zeros(1, 1, *image.shape[-2:])
    rough[..., 232:326, 316:414] = 1.0  # the spoon's bowl, by hand
    labels = slic_labels(image[0], n_segments=250, compactness=10.0)
    snapped = snap_to_labels(rough, labels)
    filled = inpaint(load_model(EMBEDDED_INPAINTING[0]), image, snapped, grow=4)
    panels = [with_hole(image[0], rough[0])[None], boundary_overlay(image, labels, snapped), filled]
    target = IMAGES / "snapped_mask.jpg"
    write_image(target, side_by_side(panels))
    return target


def reimagined() -> Path:
    """A photograph after every round of `reimagine`."""
    image = photograph("coffee.png")
    strip = Strip(image[0], rounds=3)
    reimagine(load_model(EMBEDDED_INPAINTING[0]), image, strength=0.7, rounds=3, seed=1, progress=strip)
    target = IMAGES / "reimagined.jpg"
    write_image(target, strip.picture())
    return target


def fill_sheet(folder: Path) -> Path:
    """The first photographs of a folder with a hole each, and the default fill of every embedded model."""
    models = [load_model(name) for name in EMBEDDED_INPAINTING]
    rows = []
    for number, path in enumerate(first_photographs(folder)):
        image = middle_square(decode_image(path).image[None], 256)
        family = ("strokes", "shapes", "rectangles")[number % 3]
        mask = generate(family, size=(256, 256), hole_ratio=(0.1, 0.3), seed=number)
        fills = [inpaint(model, image, mask)[0] for model in models]
        panels = [with_hole(image[0], mask[0]), *fills, image[0]]
        rows.append([F.interpolate(panel[None], scale_factor=SHEET_SCALE, mode="area")[0] for panel in panels])
    return write_grid(IMAGES / "fill_sheet.jpg", ["input", *EMBEDDED_INPAINTING, "truth"], rows)


def see_sheet(folder: Path, name: str) -> Path:
    """The first photographs of a folder, translated by an embedded model, in rows of four."""
    model = load_model(name)
    assert isinstance(model, TranslationModel)
    images = [middle_square(decode_image(path).image[None], 256) for path in first_photographs(folder)]
    pairs = [torch.cat([image[0], translate(model, image)[0]], -1) for image in images]
    target = IMAGES / f"{name.replace('-', '_')}_sheet.jpg"
    sheet = torch.cat([torch.cat(pairs[row : row + 4], -1) for row in range(0, len(pairs), 4)], -2)
    write_image(target, F.interpolate(sheet[None], scale_factor=SHEET_SCALE, mode="area")[0])
    return target


def training_curves() -> Path:
    """PSNR in the holes of 60 pictures during the trainings that MODELS.md describes, recorded in
    `training_curves.json` as pairs of step and dB."""
    target = IMAGES / "training_curves.png"
    curves = {name: [tuple(point) for point in points] for name, points in json.loads(CURVES.read_text()).items()}
    picture = Image.new("RGB", (WIDTH, PANEL_HEIGHT), "white")
    title = "PSNR in held-out holes, dB: " + ", ".join(f"{name} ({color})" for name, (color, _) in INKS.items())
    values = [value for curve in curves.values() for _, value in curve]
    draw_panel(
        ImageDraw.Draw(picture),
        0,
        title,
        [(curves[name], ink, 3) for name, (_, ink) in INKS.items()],
        max(step for curve in curves.values() for step, _ in curve),
        (min(values), max(values)),
    )
    with atomic_path(target) as temporary:
        picture.save(temporary, "PNG")
    return target


def first_photographs(folder: Path) -> list[Path]:
    """The first `SHEET` files of a folder by name."""
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in (".png", ".jpg"))[:SHEET]


def make(arguments: argparse.Namespace) -> Iterator[Path]:
    """Every figure that the arguments allow."""
    IMAGES.mkdir(exist_ok=True)
    if arguments.sheets is not None:
        yield fill_sheet(arguments.sheets)
        for name in EMBEDDED_TRANSLATION:
            yield see_sheet(arguments.sheets, name)
        return
    for figure in (embedded_fills, patch_fills, see_flowers, snapped_mask, reimagined, training_curves):
        yield figure()
    if arguments.model is not None:
        yield superpixels_to_fill(arguments.model)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model")
    parser.add_argument("--sheets", type=Path, metavar="FOLDER")
    for figure_file in make(parser.parse_args()):
        print(figure_file)
