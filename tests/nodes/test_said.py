"""Texts and pictures shown on nodes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from inpaint_core.checkpoints.card import ModelCard
from inpaint_core.checkpoints.inpainting_model import InpaintingModel
from inpaint_core.masks import slic_labels
from inpaint_core.models import build_model

from .conftest import SLIC_DEFAULTS

FILL = dict(method="mean", grow=0, invert_mask=False, threshold=0.5)
SLIC = SLIC_DEFAULTS | {"segments": 12}
SNAP = dict(segments=12, compactness=10.0, overlap=0.5, max_side=1024, refine=False, invert_mask=False)
RANDOM = dict(seed=0, width=96, height=64, count=1, margin=0.0, dilate=0.0, rotate=0.0)


@pytest.fixture
def image() -> torch.Tensor:
    return torch.rand(1, 40, 56, 3, generator=torch.Generator().manual_seed(0))


def middle() -> torch.Tensor:
    mask = torch.zeros(1, 40, 56)
    mask[:, 10:20, 10:38] = 1.0
    return mask


def shown(output, host) -> list[np.ndarray]:
    """Pictures shown on the node by an output."""
    import folder_paths

    where = [Path(folder_paths.get_temp_directory(), item["subfolder"], item["filename"]) for item in output["images"]]
    return [np.asarray(Image.open(file)) for file in where]


@pytest.mark.parametrize(
    ("mask", "sentence"),
    [
        (middle(), "Filled 12% of the picture."),
        (
            torch.zeros(1, 40, 56),
            "The mask is empty, so nothing is filled: only its white parts are filled. To fill the black parts, turn "
            "on invert_mask.",
        ),
        (
            torch.ones(1, 40, 56),
            "The mask covers the whole picture, so there is nothing to fill it from. If the mask is inverted, turn on "
            "invert_mask.",
        ),
        (
            torch.ones(1, 40, 40).triu(),
            "The mask has 40x40 pixels and was stretched to the size of the picture, 56x40, which has a different "
            "aspect ratio.",
        ),
    ],
    ids=["filled", "empty", "full", "stretched"],
)
@pytest.mark.parametrize("node", ["classical", "network"])
def test_a_fill_says_what_it_did_or_why_nothing_happened(nodes, host, said, image, mask, sentence, node):
    if node == "classical":
        output = nodes.ClassicalFillNode.execute(image, mask, **FILL)
    else:
        model = host.hosted(InpaintingModel(ModelCard(architecture="unet"), build_model("unet")))
        settings = dict(strategy="auto", grow=0, feather=8, blend="alpha", color_match=False)
        output = nodes.Inpaint.execute(model, image, mask, **settings, invert_mask=False, threshold=0.5)
    assert said == [sentence]
    (picture,) = shown(output.ui, host)
    assert np.array_equal(picture, (output[0][0].numpy() * 255.0).round().astype(np.uint8))


def choose(nodes, image, select, **more):
    return nodes.MaskFromSLIC.execute(image, select=select, **SLIC, **more)


@pytest.mark.parametrize(
    ("select", "sentence"),
    [
        (
            dict(select="points", points="9, 9; 100, 3", not_points=""),
            "the point 100, 3 is outside the picture of 56x40 pixels: x ranges from 0 to 55, y from 0 to 39",
        ),
        (
            dict(select="points", points="9, 9", not_points="9, -1"),
            "the point 9, -1 is outside the picture of 56x40 pixels: x ranges from 0 to 55, y from 0 to 39",
        ),
        (
            dict(select="index", numbers="0, 300, 302"),
            "numbers: there is no superpixel 300 and 1 more; there are {count}, numbered 0 to {last}",
        ),
        (
            dict(select="random", at_least=0.5, at_most=0.3),
            "at_least is 0.5 and at_most is 0.3: at_least must be below at_most; swap them or change one",
        ),
        (
            dict(select="random", at_least=0.3, at_most=0.3),
            "at_least is 0.3 and at_most is 0.3: at_least must be below at_most; swap them or change one",
        ),
        (
            dict(select="size", at_least=0.5, at_most=0.3),
            "at_least is 0.5 and at_most is 0.3: at_least must not be above at_most; swap them or change one",
        ),
    ],
)
def test_what_cannot_be_selected_is_reported_with_the_widgets_name(nodes, host, image, select, sentence):
    count = int(slic_labels(image.movedim(-1, 1), 12).max()) + 1
    with pytest.raises(ValueError) as raised:  # noqa: PT011 - compared word for word
        choose(nodes, image, select)
    assert str(raised.value) == sentence.format(count=count, last=count - 1)


def test_a_random_mask_names_both_ends_of_its_range(nodes, host):
    with pytest.raises(ValueError, match=r"^at_least is 0\.5 and at_most is 0\.3: at_least must be below at_most"):
        nodes.RandomMask.execute(dict(generator="strokes"), at_least=0.5, at_most=0.3, **RANDOM)


def test_missing_points_are_reported_and_leave_the_mask_empty(nodes, host, said, image):
    mask = choose(nodes, image, dict(select="points", points=" ", not_points=""))[0]
    assert not mask.any()
    first, second = said[0].split("\n")
    assert first == (
        "No points yet, so nothing is selected: click superpixels on the node, type x, y into points, or connect "
        "points."
    )
    assert second.endswith("superpixels, 0% of the picture selected.")


@pytest.mark.parametrize(("link", "wanted"), [("points", "points"), ("boxes", "box")])
def test_a_link_that_the_selection_does_not_use_is_reported(nodes, host, said, image, link, wanted):
    choose(nodes, image, dict(select="all"), **{link: [[1, 2]]})
    assert f"The connected {link} are ignored because select is all; set it to {wanted}.\n" in said[0]


def test_a_snap_that_finds_nothing_names_overlap(nodes, host, said, image):
    dot = torch.zeros(1, 40, 56)
    dot[:, 20, 20] = 1.0
    nodes.SnapMaskToSLIC.execute(image, dot, **SNAP)
    nodes.SnapMaskToSLIC.execute(image, dot, **SNAP | {"overlap": 0.0})
    assert said[0] == "The mask covers no superpixel by at least 50%: lower overlap, or use more segments."
    assert said[1].endswith("% of the picture selected.")


def test_model_info_says_what_it_gives(nodes, host, said):
    model = host.hosted(InpaintingModel(ModelCard(architecture="unet", name="mine"), build_model("unet")))
    output = nodes.ModelInfo.execute(model)
    assert said == [output[0]]
    assert "mine" in said[0]


def test_names_from_strangers_cannot_become_markup(nodes, host, said):
    model = host.hosted(
        InpaintingModel(ModelCard(architecture="unet", name="<img src=x> [[a|https://b]]"), build_model("unet"))
    )
    nodes.ModelInfo.execute(model)
    assert "<" not in said[0]
    assert "[[" not in said[0]
    assert "&lt;img src=x&gt;" in said[0]


def test_nothing_is_sent_when_nobody_watches(nodes, host, said, image, monkeypatch):
    from server import PromptServer

    monkeypatch.setattr(PromptServer.instance, "client_id", None)
    nodes.ClassicalFillNode.execute(image, middle(), **FILL)
    assert said == []


def test_masks_and_superpixels_are_shown(nodes, host, image):
    (picture,) = shown(choose(nodes, image, dict(select="all")).ui, host)
    assert picture.shape == (40, 56, 3)
    output = nodes.RandomMask.execute(dict(generator="strokes"), at_least=0.1, at_most=0.3, **RANDOM)
    (mask,) = shown(output.ui, host)
    assert np.array_equal(mask[..., 0] / 255.0, output[0][0].numpy())


def test_of_a_long_clip_only_the_first_frames_are_shown(nodes, host):
    frames = torch.rand(12, 8, 8, 3, generator=torch.Generator().manual_seed(0))
    output = nodes.ClassicalFillNode.execute(frames, torch.eye(8)[None], **FILL)
    assert len(shown(output.ui, host)) == 8


@pytest.mark.parametrize("select", [dict(select="points", points="", not_points=""), dict(select="index", numbers="")])
def test_the_picker_gets_the_picture_and_exact_labels(nodes, host, image, select):
    import folder_paths

    output = choose(nodes, image, select)
    (files,) = output.ui["liminal_superpixels"]
    read = {
        name: np.asarray(Image.open(Path(folder_paths.get_temp_directory(), file["subfolder"], file["filename"])))
        for name, file in files.items()
    }
    labels = read["labels"].astype(np.int64) @ [1, 256, 65536]
    assert np.array_equal(labels, slic_labels(image.movedim(-1, 1), 12)[0].numpy())
    assert np.array_equal(read["picture"], (image[0].numpy() * 255.0).round().astype(np.uint8))
