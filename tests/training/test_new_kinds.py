"""A new architecture or objective needs one file and one registration: everything else finds it."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from inpaint_core import load_model
from inpaint_core.__main__ import main as core
from inpaint_core.models import ARCHITECTURES
from training.config import OBJECTIVE_CONFIGS, TrainConfig, dump_config, load_recipe, parse_config
from training.evaluate import main as evaluate
from training.objectives import OBJECTIVES
from training.run import main as train

from .conftest import tiny_values

MODULE = """
from typing import Literal

import torch
from torch import nn

from inpaint_core.models import ARCHITECTURES
from inpaint_core.models.architecture import Architecture, Arguments, Network
from inpaint_core.models.initialization import initialize_layers
from training.config import ObjectiveConfig
from training.objectives import register
from training.objectives.inpainting import InpaintingObjective


class SingleArguments(Arguments):
    width: int = 3


class Single(Network):
    def __init__(self, width):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(4, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, 3, 1), nn.Sigmoid())

    def initialize(self, generator):
        initialize_layers(self, generator)

    def forward(self, image, mask):
        return self.layers(torch.cat([image, mask], 1))


class QuarticConfig(ObjectiveConfig):
    name: Literal["quartic"] = "quartic"
    weight: float = 2.0


class Quartic(InpaintingObjective):
    def __init__(self, settings, config, card, network, placement):
        super().__init__(config, card, network, placement)
        self.weight = settings.weight

    def _losses(self, batch):
        return {"loss": self.weight * (self._complete(batch) - batch.image).pow(4).mean()}


ARCHITECTURES["single"] = Architecture("single", Single, SingleArguments, "inpainting", small={"width": 2})
register(QuarticConfig, Quartic)
"""


@pytest.fixture
def new_kinds(tmp_path: Path) -> Iterator[ModuleType]:
    """A module with one architecture and one objective, each registered once; both are removed afterwards."""
    path = tmp_path / "new_kinds.py"
    path.write_text(MODULE)
    spec = importlib.util.spec_from_file_location("new_kinds", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["new_kinds"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["new_kinds"], ARCHITECTURES["single"], OBJECTIVE_CONFIGS["quartic"]
    del OBJECTIVES[module.QuarticConfig]


def test_every_configuration_has_an_objective_and_every_objective_a_configuration() -> None:
    assert set(OBJECTIVE_CONFIGS.values()) == OBJECTIVES.keys()
    assert all(config.model_fields["name"].default == name for name, config in OBJECTIVE_CONFIGS.items())


def test_a_new_architecture_and_objective_train_from_a_recipe_and_from_the_command_line(
    new_kinds: ModuleType, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = tiny_values(pictures) | {"steps": 2, "objective": {"name": "quartic", "weight": 3.0}}
    values["model"] = {"architecture": "single"}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(values))
    assert train(["--config", str(tmp_path / "recipe.yaml"), "--out", str(tmp_path / "first")]) == 0
    assert load_recipe(tmp_path / "first" / "config.yaml").objective == new_kinds.QuarticConfig(weight=3.0)

    (tmp_path / "plain.yaml").write_text(yaml.safe_dump(tiny_values(pictures) | {"steps": 2}))
    line = [
        "--config",
        str(tmp_path / "plain.yaml"),
        "--out",
        str(tmp_path / "second"),
        "--model.architecture",
        "single",
    ]
    assert train([*line, "--objective.name", "quartic", "--objective.weight", "4"]) == 0
    losses = [json.loads(row)["loss"] for row in (tmp_path / "second" / "metrics.jsonl").read_text().splitlines()]
    assert len(losses) == 2

    model = tmp_path / "second" / "model.safetensors"
    assert load_model(model).card.architecture == "single"
    capsys.readouterr()
    assert core(["info", str(model)]) == 0
    assert "single" in capsys.readouterr().out
    options = ["--data", str(pictures), "--masks", "rectangles", "--size", "32", "--count", "2"]
    assert evaluate(["--model", str(model), "mean", *options, "--out", str(tmp_path / "report")]) == 0


def test_a_new_objective_survives_being_written_and_read(new_kinds: ModuleType, tmp_path: Path) -> None:
    config = parse_config({"objective": {"name": "quartic", "weight": 5.0}})
    (tmp_path / "config.yaml").write_text(dump_config(config))
    assert load_recipe(tmp_path / "config.yaml") == config


def test_configurations_with_the_former_name_of_an_objective_are_read() -> None:
    former = parse_config({"objective": {"name": "partial_conv", "style": 7.0}})
    assert former == parse_config({"objective": {"name": "composite", "style": 7.0}})
    assert isinstance(former, TrainConfig)
