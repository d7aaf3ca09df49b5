"""The embedded models: complete, small, and better than classical fills."""

from __future__ import annotations

from pathlib import Path

import pytest
import skimage
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional as F

from inpaint_core import inpaint, load_model, translate
from inpaint_core.checkpoints.embedded import EMBEDDED_INPAINTING, EMBEDDED_TRANSLATION, FOLDER, embedded_models
from inpaint_core.checkpoints.inpainting_model import InpaintingModel
from inpaint_core.checkpoints.translation_model import TranslationModel
from inpaint_core.files.images import decode_image
from inpaint_core.inpainting.classical import ClassicalFill
from inpaint_core.masks import generate
from inpaint_core.metrics import psnr

MAX_BYTES, MAX_TOTAL_BYTES = 8_000_000, 45_000_000
PHOTOGRAPHS = ("astronaut.png", "chelsea.png", "coffee.png")  # scikit-image's, which no embedded model has seen


def photograph(name: str) -> Tensor:
    """`[1,3,256,256]`, the middle of one of scikit-image's."""
    image = decode_image(Path(skimage.data_dir) / name).image[None]
    height, width = image.shape[-2:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return F.interpolate(image[..., top : top + side, left : left + side], size=256, mode="area")


def test_every_name_has_its_file_and_every_file_its_name():
    assert tuple(embedded_models()) == (*EMBEDDED_INPAINTING, *EMBEDDED_TRANSLATION)
    assert set(embedded_models().values()) == set(FOLDER.glob("*.safetensors"))


def test_files_are_small_and_in_half_precision():
    sizes = [path.stat().st_size for path in embedded_models().values()]
    assert max(sizes) <= MAX_BYTES
    assert sum(sizes) <= MAX_TOTAL_BYTES
    for path in embedded_models().values():
        dtypes = {tensor.dtype for tensor in load_file(path).values()}
        assert not {torch.float32, torch.float64, torch.bfloat16} & dtypes


@pytest.mark.parametrize("name", embedded_models())
def test_every_name_loads_as_listed_and_says_where_it_comes_from(name):
    model = load_model(name)
    assert isinstance(model, InpaintingModel if name in EMBEDDED_INPAINTING else TranslationModel)
    assert model.card.name == name
    assert model.card.licence
    assert model.card.steps > 0


@pytest.mark.parametrize("name", EMBEDDED_INPAINTING)
def test_fills_are_nearer_to_photographs_never_seen_than_classical_ones(name):
    gains = []
    for number, picture in enumerate(PHOTOGRAPHS):
        image = photograph(picture)
        mask = generate("strokes", size=(256, 256), hole_ratio=(0.2, 0.4), seed=number)
        ours, classical = (
            psnr(inpaint(completer, image, mask, "whole", feather=0), image, mask)
            for completer in (load_model(name), ClassicalFill("telea"))
        )
        gains.append(float(ours - classical))
    assert min(gains) > 0.0


@pytest.mark.parametrize("name", EMBEDDED_TRANSLATION)
def test_translations_follow_the_shapes_of_a_picture_in_their_own_colors(name):
    model = load_model(name)
    image = photograph("astronaut.png")
    made = translate(model, image)
    assert made.shape == image.shape
    assert float((made - translate(model, image.flip(3))).abs().mean()) > 0.05
    assert float(made.std(1).mean()) > 0.05
