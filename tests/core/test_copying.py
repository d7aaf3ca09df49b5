"""Sources of patches: allowed parts, other pictures, frames; and when inpaint copies patches at all."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from inpaint_core import inpaint
from inpaint_core.checkpoints.card import ModelCard
from inpaint_core.checkpoints.inpainting_model import InpaintingModel
from inpaint_core.inpainting.classical import CLASSICAL_METHODS, ClassicalFill
from inpaint_core.models import build_model

from .drawn import noise, square_hole

RED = torch.tensor([1.0, 0.0, 0.0]).view(1, 3, 1, 1)
WAYS = {"classical": (ClassicalFill("patches"), "network"), "detail": (ClassicalFill("mean"), "patches")}


def gray_with_red(height: int, width: int) -> torch.Tensor:
    """Gray noise on the left half, red on the right."""
    image = (0.3 + 0.3 * noise(1, 1, height, width)).expand(1, 3, height, width).clone()
    image[..., width // 2 :] = RED
    return image


@pytest.mark.parametrize("way", WAYS)
def test_only_what_is_allowed_is_copied_however_far_it_is(way):
    model, detail = WAYS[way]
    image = noise(1, 3, 64, 700)
    image[..., 640:] = torch.tensor([0.2, 0.6, 0.4]).view(1, 3, 1, 1)
    mask = square_hole(64, 700, 20, 30, 20)
    allowed = torch.zeros(64, 700)
    allowed[:, 640:] = 1.0
    filled = inpaint(model, image, mask, feather=0, detail=detail, allowed=allowed)
    assert torch.allclose(filled[..., 20:40, 30:50], image[..., :20, 650:670], atol=1e-6)
    assert torch.equal(filled[(mask < 0.5).expand_as(filled)], image[(mask < 0.5).expand_as(image)])


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_other_pictures_are_copied_from(way, channels):
    model, detail = WAYS[way]
    image = torch.full((1, channels, 40, 40), 0.5)
    mask = torch.ones(1, 1, 40, 40)
    mask[..., :2, :] = 0.0  # too little for a whole patch
    other = torch.full((3, 30, 50), 0.25)
    filled = inpaint(model, image, mask, feather=0, detail=detail, sources=[other])
    assert torch.equal(filled[:, : min(channels, 3), 2:], torch.full((1, min(channels, 3), 38, 40), 0.25))


@pytest.mark.parametrize("hide", ["alpha", "nan"])
@pytest.mark.parametrize("way", WAYS)
def test_what_is_unknown_in_a_picture_is_never_copied(way, hide):
    model, detail = WAYS[way]
    image = gray_with_red(64, 96)
    if hide == "alpha":
        alpha = torch.ones(1, 1, 64, 96)
        alpha[..., 48:] = 0.0
        image = torch.cat([image, alpha], dim=1)
    else:
        image[..., 48:] = float("nan")
    mask = square_hole(64, 96, 16, 30, 18)
    filled = inpaint(model, image, mask, feather=0, detail=detail)
    inside = filled[:, :3, 16:34, 30:48]
    assert torch.isfinite(inside).all()
    assert torch.equal(inside[:, :1].expand_as(inside), inside)  # no red
    assert inside.max() <= 0.6 + 1e-6
    outside = (mask < 0.5).expand_as(filled)
    assert torch.equal(filled[outside].nan_to_num(9.0), image[outside].nan_to_num(9.0))


@pytest.mark.parametrize("hide", ["alpha", "nan"])
def test_what_is_unknown_in_a_source_is_never_copied(hide):
    source = gray_with_red(64, 96)[0]
    if hide == "alpha":
        source = torch.cat([source, torch.ones(1, 64, 96)])
        source[3, :, 48:] = 0.0
    else:
        source[:, :, 48:] = float("nan")
    image, mask = torch.zeros(1, 3, 40, 40), torch.ones(1, 1, 40, 40)
    mask[..., :1, :1] = 0.0
    image[..., :1, :1] = 0.5
    filled = inpaint(ClassicalFill("patches"), image, mask, feather=0, sources=[source])
    inside = filled[(mask > 0.5).expand_as(filled)]
    assert inside.min() >= 0.3
    assert inside.max() <= 0.6 + 1e-6


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_frames_are_copied_from_where_they_are_known(way, seed):
    model, detail = WAYS[way]
    frames = F.interpolate(noise(1, 3, 16, 16, seed=seed), (64, 64), mode="bilinear").repeat(2, 1, 1, 1)
    frames[0, :, 20:40, 20:40] = RED[0]  # the object to remove, in the first frame only
    masks = torch.cat([square_hole(64, 64, 20, 20, 20), square_hole(64, 64, 2, 2, 6)])
    alone = inpaint(model, frames, masks, feather=0, detail=detail)
    together = inpaint(model, frames, masks, feather=0, detail=detail, sources="frames")
    truth = frames[1, :, 20:40, 20:40]
    errors = [(filled[0, :, 20:40, 20:40] - truth).abs().mean() for filled in (alone, together)]
    assert errors[1] < 0.05 * errors[0]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_frames_of_a_large_still_clip_are_copied_from_the_same_place(seed):
    frames = F.interpolate(noise(1, 3, 100, 100, seed=seed), (400, 400), mode="bilinear").repeat(2, 1, 1, 1)
    masks = torch.cat([square_hole(400, 400, 310, 290, 24), square_hole(400, 400, 2, 2, 6)])
    filled = inpaint(ClassicalFill("patches"), frames, masks, feather=0, sources="frames")
    assert (filled[0] - frames[1])[:, 310:334, 290:314].abs().max() < 0.02


def test_another_picture_of_the_same_size_is_not_copied_in_place():
    image, mask = torch.full((1, 3, 80, 80), 0.5), square_hole(80, 80, 30, 30, 20)
    other = noise(1, 3, 80, 80, seed=1)[0]
    filled = inpaint(ClassicalFill("patches"), image, mask, feather=0, sources=[other])
    assert torch.equal(filled, image)


@pytest.mark.parametrize("way", WAYS)
def test_a_still_clip_that_copies_from_its_frames_stays_still(way):
    model, detail = WAYS[way]
    frames = noise(1, 3, 40, 48).expand(6, 3, 40, 48)
    filled = inpaint(model, frames, square_hole(40, 48, 10, 12, 14), detail=detail, sources="frames", seed=2)
    assert torch.equal(filled[1:], filled[:1].expand(5, 3, 40, 48))


def test_restricting_sources_where_nothing_is_copied_is_rejected():
    image, mask = noise(1, 3, 20, 20), square_hole(20, 20, 5, 5, 5)
    for material in ({"allowed": torch.ones(20, 20)}, {"sources": [image[0]]}, {"sources": "frames"}):
        with pytest.raises(ValueError, match="only apply to patches"):
            inpaint(ClassicalFill("telea"), image, mask, **material)


@pytest.mark.parametrize(
    ("material", "said"),
    [
        ({"sources": "clips"}, "sources is 'clips'"),
        ({"sources": [torch.zeros(1, 3, 8, 8)]}, r"a source has shape \[1, 3, 8, 8\]"),
        ({"sources": [torch.zeros(3, 8, 8, dtype=torch.uint8)]}, "torch.uint8"),
        ({"allowed": torch.ones(3, 1, 20, 20)}, "3 masks of allowed sources and 2 pictures"),
    ],
)
def test_material_that_does_not_fit_is_named(material, said):
    image, mask = noise(2, 3, 20, 20), square_hole(20, 20, 5, 5, 5)
    with pytest.raises(ValueError, match=said):
        inpaint(ClassicalFill("patches"), image, mask, **material)


def test_networks_of_the_pack_guide_patches_unless_told_otherwise():
    arguments = {"width": 4, "depth": 2}
    model = InpaintingModel(ModelCard(architecture="unet", arguments=arguments), build_model("unet", **arguments))
    image, mask = noise(1, 3, 48, 48), square_hole(48, 48, 12, 12, 20)
    fills = {detail: inpaint(model, image, mask, detail=detail) for detail in ("network", "patches")}
    assert torch.equal(inpaint(model, image, mask), fills["patches"])
    assert not torch.equal(fills["network"], fills["patches"])


@pytest.mark.parametrize("method", CLASSICAL_METHODS)
def test_classical_fills_stay_as_they_are_unless_told_otherwise(method):
    image, mask = noise(1, 3, 32, 32), square_hole(32, 32, 8, 8, 12)
    fill = ClassicalFill(method)
    assert torch.equal(inpaint(fill, image, mask), inpaint(fill, image, mask, detail="network"))
