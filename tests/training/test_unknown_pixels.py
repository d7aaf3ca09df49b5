"""Where the ground truth is unknown (transparent parts of a picture) nothing is learned and nothing is measured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from inpaint_core.checkpoints.card import ModelCard
from inpaint_core.checkpoints.prepare_settings import PrepareSettings
from inpaint_core.losses.reconstruction import ELEMENTWISE
from inpaint_core.models import build_model
from inpaint_core.translation import prepare
from training.config import parse_config
from training.dataset.samples import Batch
from training.engine.measurement import measure
from training.objectives import build_objective
from training.objectives.inpainting import InpaintingObjective, measure_fills
from training.placement import Placement

from .conftest import tiny_values
from .test_losses import vgg16_weights

CPU = torch.device("cpu")
SIDE = 32
ONLY_HOLES = {"valid": 0.0, "features_of": "composite"}
PATCHES = {"adversarial": 0.1, "adversarial_from": 0, "discriminator": {"width": 4, "layers": 2}}
OBJECTIVES: dict[str, dict[str, Any]] = {
    **{f"reconstruction by {name}": {"name": "reconstruction", "loss": name, "valid": 0.0} for name in ELEMENTWISE},
    "composite": {"name": "composite", "features": "none", "valid": 0.0, "total_variation": 1.0},
    "composite with features": {"name": "composite", **ONLY_HOLES, "perceptual": 1.0},
    "composite with an adversary": {"name": "composite", "features": "none", "valid": 0.0, **PATCHES},
    "glcic": {"name": "glcic", "completion_steps": 9, "discriminator": {"width": 2, "global_layers": 3}},
    "glcic with its adversary": {
        **{"name": "glcic", "completion_steps": 0, "discriminator_steps": 0},
        "discriminator": {"width": 2, "global_layers": 3, "local_layers": 3},
    },
}
EXACT = [name for name in OBJECTIVES if "with" not in name]  # no other network uses the colors


def build(name: str, tmp_path: Path) -> InpaintingObjective:
    settings = dict(OBJECTIVES[name])
    if "features" in name:
        save_file(vgg16_weights(), str(tmp_path / "vgg.safetensors"))
        settings["features"] = str(tmp_path / "vgg.safetensors")
    values = tiny_values(tmp_path) | {"objective": settings}
    if settings["name"] == "glcic":
        values["model"] = {"architecture": "glcic", "arguments": {"width": 4}}
    config = parse_config(values)
    arguments = dict(config.model.arguments)
    network = build_model(config.model.architecture, generator=torch.Generator().manual_seed(0), **arguments)
    card = ModelCard(architecture=config.model.architecture, arguments=arguments, trained_size=SIDE)
    built = build_objective(config, card, network, Placement(CPU))
    assert isinstance(built, InpaintingObjective)
    return built


def batch(known_part: bool, seed: int = 0) -> Batch:
    """Two pictures of which a square is unknown, with a hole that holds it and, if asked to, more."""
    image = torch.rand(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))
    unknown = torch.zeros(2, 1, SIDE, SIDE)
    unknown[..., 8:20, 6:18] = 1.0
    mask = unknown.clone()
    if known_part:
        mask[..., 12:28, 14:26] = 1.0
    return Batch(image, mask, ("a", "b"), unknown=unknown)


def other_colors(one: Batch) -> Batch:
    assert one.unknown is not None
    return replace(one, image=torch.where(one.unknown > 0.5, 1.0 - one.image, one.image))


def weights(objective: InpaintingObjective) -> dict[str, Tensor]:
    network = objective._generator.network
    return {name: value.detach().clone() for name, value in network.named_parameters()}


@pytest.mark.parametrize("name", EXACT)
def test_the_colors_of_unknown_pixels_change_neither_losses_nor_weights(name: str, tmp_path: Path) -> None:
    one, other = build(name, tmp_path), build(name, tmp_path)
    given = batch(known_part=True)
    before = weights(one)
    assert one.step([given], 0) == other.step([other_colors(given)], 0)
    after = weights(one)
    assert all(torch.equal(value, weights(other)[key]) for key, value in after.items())
    assert any(not torch.equal(value, before[key]) for key, value in after.items())


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_hole_of_which_nothing_is_known_teaches_nothing(name: str, tmp_path: Path) -> None:
    objective = build(name, tmp_path)
    before = weights(objective)
    objective.step([batch(known_part=False)], 0)
    assert all(torch.equal(value, before[key]) for key, value in weights(objective).items())
    objective.step([replace(batch(known_part=False), unknown=None)], 1)
    assert any(not torch.equal(value, before[key]) for key, value in weights(objective).items())


def test_a_translation_neither_learns_nor_measures_what_is_unknown(tmp_path: Path) -> None:
    arguments = {"width": 4, "depth": 3, "input_channels": 1}
    objective = {"name": "pix2pix", "discriminator": {"width": 4, "layers": 2}}
    model = {"architecture": "pix2pix_unet", "arguments": arguments}
    config = parse_config(tiny_values(tmp_path) | {"objective": objective, "model": model})
    prepared = PrepareSettings()
    card = ModelCard(task="translation", prepare=prepared, trained_size=SIDE, **model)
    network = build_model("pix2pix_unet", generator=torch.Generator().manual_seed(0), **arguments)
    built = build_objective(config, card, network, Placement(CPU))
    part = batch(known_part=False)
    part = replace(part, mask=torch.zeros_like(part.mask))
    before = {name: value.detach().clone() for name, value in network.named_parameters()}
    built.step([replace(part, unknown=torch.ones_like(part.mask))], 0)
    assert all(torch.equal(value, before[name]) for name, value in network.named_parameters())
    built.step([part], 1)
    assert any(not torch.equal(value, before[name]) for name, value in network.named_parameters())
    given = prepare(part.image, prepared)
    blank = replace(part, given=given)
    measured = built.evaluate(blank)
    known = (part.unknown < 0.5).expand_as(part.image)
    output = built._model().predict(given)
    for number in range(2):
        errors = (output - part.image)[number][known[number]]
        assert measured["l1"][number].item() == pytest.approx(float(errors.abs().mean()), rel=1e-5)
        assert measured["psnr"][number].item() == pytest.approx(-10 * float(torch.log10((errors**2).mean())), rel=1e-5)


def test_measurements_count_the_known_part_of_the_hole_alone(tmp_path: Path) -> None:
    objective = build("composite", tmp_path)
    given = batch(known_part=True)
    assert given.unknown is not None
    output = objective._model().complete(given.image, given.mask).mul(255.0).round().div(255.0)
    counted = ((given.mask > 0.5) & (given.unknown < 0.5)).expand_as(output)
    for number, value in enumerate(objective.evaluate(given)["hole_psnr"].tolist()):
        errors = (output - given.image)[number][counted[number]]
        assert value == pytest.approx(-10.0 * float(torch.log10((errors**2).mean())), abs=1e-4)
    assert measure(objective, [given]) == measure(objective, [other_colors(given)])
    assert measure_fills([given]) == measure_fills([other_colors(given)])


def test_a_picture_without_a_known_part_in_its_hole_is_left_out_of_the_mean(tmp_path: Path) -> None:
    objective = build("composite", tmp_path)
    both = [batch(known_part=True), batch(known_part=False, seed=1)]
    assert measure(objective, both) == measure(objective, both[:1])
    assert measure_fills(both) == measure_fills(both[:1])
