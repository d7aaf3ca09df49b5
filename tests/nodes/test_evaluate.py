"""The node Evaluate / Compare, on networks with random weights."""

from __future__ import annotations

import pytest
import torch

from inpaint_core.checkpoints.card import ModelCard
from inpaint_core.checkpoints.inpainting_model import InpaintingModel
from inpaint_core.checkpoints.translation_model import TranslationModel
from inpaint_core.inpainting.classical import ClassicalFill
from inpaint_core.inpainting.inpaint import inpaint
from inpaint_core.metrics import l1_percent, psnr, ssim
from inpaint_core.models import build_model

DEFAULTS = dict(
    telea=True,
    navier_stokes=False,
    mean=True,
    biharmonic=False,
    strategy="whole",
    rows=2,
    invert_mask=False,
    smooth=False,
)


@pytest.fixture(scope="module")
def network():
    arguments = {"width": 4, "depth": 3}
    card = ModelCard(architecture="unet", arguments=arguments, trained_size=32, name="small")
    return InpaintingModel(card, build_model("unet", **arguments))


@pytest.fixture
def model(host, network):
    return host.hosted(network)


@pytest.fixture
def image():
    return torch.rand(3, 40, 60, 4, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def mask():
    mask = torch.zeros(3, 40, 60)
    for number in range(3):
        mask[number, 5 : 20 + number, 10:30] = 1
    return mask


def test_the_table_holds_the_means_over_all_pictures(nodes, model, network, image, mask):
    table = nodes.EvaluateModel.execute(model, image, mask, **DEFAULTS, detail="network")[0]
    header, *lines = table.splitlines()
    assert header.split()[:3] == ["method", "L1", "(%)"]
    assert [line.split()[0] for line in lines] == ["small", "mean", "telea"]
    truth, hole = image.movedim(-1, 1)[:, :3], mask[:, None]
    for line, completer in zip(lines, (network, ClassicalFill("mean"), ClassicalFill("telea")), strict=True):
        filled = inpaint(completer, truth, hole, "whole", feather=0, detail="network")
        wanted = [metric(filled, truth, where) for where in (None, hole) for metric in (l1_percent, psnr, ssim)]
        printed = [float(value) for value in line.split()[1:-1]]
        assert printed == pytest.approx([value.mean().item() for value in wanted], abs=0.0051)
        assert float(line.split()[-1]) > 0


def test_the_grid_shows_input_every_fill_and_truth(nodes, model, image, mask):
    grid = nodes.EvaluateModel.execute(model, image, mask, **DEFAULTS)[1]
    scale, gap, header = 3, 6, 26  # 60 pixels are enlarged three times
    height, width = 40 * scale, 60 * scale
    assert grid.shape == (1, header + 2 * (height + gap), gap + 5 * (width + gap), 3)
    assert 0.0 <= grid.min() <= grid.max() <= 1.0

    def cell(row, column):
        top, left = header + row * (height + gap), gap + column * (width + gap)
        return grid[0, top : top + height : scale, left : left + width : scale]

    for row in range(2):
        assert torch.allclose(cell(row, 4), image[row, ..., :3], atol=1 / 255)
        assert (cell(row, 0)[mask[row] == 1] == 1).all()
        for column in range(4):
            assert torch.allclose(cell(row, column)[mask[row] == 0], image[row, ..., :3][mask[row] == 0], atol=1 / 255)


def test_one_mask_serves_many_pictures_and_the_other_way_round(nodes, model, image, mask):
    for one, other in ((image[:1], mask), (image, mask[:1]), (image[..., :1], mask[:1])):
        table, _ = nodes.EvaluateModel.execute(model, one, other, **DEFAULTS).args
        assert len(table.splitlines()) == 4


def test_models_of_one_name_are_distinguished(nodes, model, image, mask):
    alone = DEFAULTS | dict(telea=False, mean=False)
    table = nodes.EvaluateModel.execute(model, image, mask, **alone, model_3=model)[0]
    assert [line.split("  ")[0] for line in table.splitlines()[1:]] == ["small", "small (2)"]


def test_an_inverted_mask_measures_the_other_part(nodes, model, image, mask):
    alone = DEFAULTS | dict(telea=False)
    inverted = nodes.EvaluateModel.execute(model, image, 1 - mask, **alone | dict(invert_mask=True))[0]
    plain = nodes.EvaluateModel.execute(model, image, mask, **alone)[0]
    assert [line.split()[:-1] for line in inverted.splitlines()] == [line.split()[:-1] for line in plain.splitlines()]


def test_without_a_hole_there_is_nothing_to_measure(nodes, model, image):
    with pytest.raises(ValueError, match="nothing to measure"):
        nodes.EvaluateModel.execute(model, image, torch.zeros(1, 64, 64), **DEFAULTS)


def test_tiny_pictures_are_measured_without_ssim(nodes, model):
    table, _ = nodes.EvaluateModel.execute(model, torch.rand(1, 3, 5, 3), torch.ones(1, 3, 5), **DEFAULTS).args
    assert "SSIM" not in table


def test_other_kinds_of_models_are_rejected(nodes, host, model, image, mask):
    card = ModelCard(architecture="pix2pix_unet", task="translation")
    other = host.HostedModel(TranslationModel(card, torch.nn.Identity()), model.patcher)
    with pytest.raises(ValueError, match="this is a translation model"):
        nodes.EvaluateModel.execute(model, image, mask, **DEFAULTS, model_2=other)


def test_the_bar_moves_and_cancel_ends_the_work(nodes, host, model, image, mask):
    import comfy.model_management
    import comfy.utils

    nodes.EvaluateModel.execute(model, image, mask, **DEFAULTS)
    assert [value for value, _, _ in comfy.utils.updates] == list(range(1, 10))
    comfy.model_management.interrupt_current_processing()
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        nodes.EvaluateModel.execute(model, image, mask, **DEFAULTS)
