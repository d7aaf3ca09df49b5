"""Layered settings: what the user gave is kept, and a new kind gets its own defaults."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from training.config import ConfigError, parse_config, read_recipe
from training.errors import SettingError, with_named_fields
from training.layers import OPTIMIZER_DEFAULTS, layered
from training.run import main, read_command_line
from training.sweeps.config import make_sweep

from .conftest import draw_picture


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Eight pictures that are large enough for every recipe at 64 pixels."""
    (tmp_path / "pictures").mkdir()
    for number in range(8):
        draw_picture(number, 80, 72).save(tmp_path / "pictures" / f"{number}.png")
    return tmp_path / "pictures"


def test_layers_change_what_they_name_and_nothing_else() -> None:
    base = {"steps": 5, "data": {"size": 32, "zoom": [1.0, 2.0]}, "model": {"arguments": {"width": 4, "depth": 3}}}
    result = layered(base, {"data": {"size": 64}, "model": {"arguments": {"width": 8}}}, {"steps": 7})
    assert result == {
        "steps": 7,
        "data": {"size": 64, "zoom": [1.0, 2.0]},
        "model": {"arguments": {"width": 8, "depth": 3}},
    }
    assert base["steps"] == 5
    assert base["data"] == {"size": 32, "zoom": [1.0, 2.0]}


def test_another_architecture_drops_arguments_and_weights_of_the_former_one() -> None:
    base = {
        "model": {"architecture": "unet", "arguments": {"max_width": 8}, "init_from": "x.safetensors", "fill": "gray"}
    }
    result = layered(base, {"model": {"architecture": "glcic", "arguments": {"width": 8}}})
    assert result["model"] == {"architecture": "glcic", "arguments": {"width": 8}, "fill": "gray"}
    assert layered(base, {"model": {"architecture": "unet"}}) == base


def test_another_objective_drops_the_settings_of_the_former_one() -> None:
    base = {"objective": {"name": "composite", "style": 1.0}}
    assert layered(base, {"objective": {"name": "glcic", "alpha": 0.5}})["objective"] == {"name": "glcic", "alpha": 0.5}
    assert layered(base, {"objective": {"name": "partial_conv", "hole": 2.0}})["objective"]["style"] == 1.0
    # A recipe that names no objective has the first one.
    assert layered({"objective": {"loss": "mse"}}, {"objective": {"name": "glcic"}})["objective"] == {"name": "glcic"}


def test_files_that_call_a_field_by_its_former_name_are_read_and_can_be_overridden() -> None:
    former = {"data": {"recolour": True}}
    assert parse_config(former).data.recolor
    assert not parse_config(layered(former, {"data": {"recolor": False}})).data.recolor
    assert not parse_config(layered({"data": {"recolor": True}}, {"data": {"recolour": False}})).data.recolor
    with pytest.raises(ConfigError, match="recolored"):
        parse_config({"data": {"recolored": True}})


def test_another_optimizer_gets_its_own_rate_and_keeps_schedule_and_clipping() -> None:
    base = {"optimizer": {"name": "adam", "learning_rate": 3e-4, "beta1": 0.5, "schedule": "cosine", "clip_norm": 1.0}}
    changed = layered(base, {"optimizer": {"name": "sgd"}})["optimizer"]
    assert changed == {"name": "sgd", "schedule": "cosine", "clip_norm": 1.0, **OPTIMIZER_DEFAULTS["sgd"]}
    kept = layered(base, {"optimizer": {"name": "sgd", "learning_rate": 0.5}})["optimizer"]
    assert kept["learning_rate"] == 0.5


@pytest.mark.parametrize(
    ("options", "architecture", "objective"),
    [
        (["--model.architecture", "glcic", "--model.arguments", '{"width": 8}'], "glcic", "reconstruction"),
        (["--objective.name", "glcic"], "unet", "glcic"),
    ],
)
def test_the_command_line_changes_the_kind(
    options: list[str], architecture: str, objective: str, folder: Path, tmp_path: Path
) -> None:
    small = ["--data.size", "64", "--batch_size", "2", "--device", "cpu", "--validation.samples", "2"]
    line = ["--config", "reconstruction", "--data", str(folder), "--out", str(tmp_path / "run"), "--steps", "2"]
    arguments = ["--model.arguments", '{"width": 4}'] if architecture == "unet" else []
    assert main([*line, *small, *options, *arguments]) == 0
    written = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    assert (written["model"]["architecture"], written["objective"]["name"]) == (architecture, objective)


def test_a_sweep_changes_the_kind(folder: Path) -> None:
    levels = {
        "former": {"model": {"architecture": "unet"}},
        "other": {"model": {"architecture": "glcic", "arguments": {"width": 8}}},
    }
    base = {"data": {"folder": str(folder), "size": 64}}
    sweep = make_sweep({"recipe": "reconstruction", "base": base, "axes": {"model": levels}, "seeds": [0]})
    configs = {run.levels["model"]: run.config for run in sweep.runs}
    assert configs["other"].model.arguments == {"width": 8}
    assert configs["former"].model.arguments == read_recipe("reconstruction")["model"]["arguments"]  # type: ignore[index]


def test_the_command_line_names_the_option_and_python_the_field(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--optimizer.learning_rate", "-1"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("training.run: --optimizer.learning_rate: ")
    assert said.count("\n") == 1
    with pytest.raises(ConfigError) as caught:
        parse_config({"optimizer": {"learning_rate": -1.0}})
    assert str(caught.value).startswith("optimizer.learning_rate: -1.0 was given")


def test_messages_use_the_field_names_of_their_reader() -> None:
    error = SettingError("use another folder, or set `resume` to none", "out")
    assert str(error) == "out: use another folder, or set resume to none"
    assert error.named(lambda field: f"--{field}") == "--out: use another folder, or set --resume to none"
    assert with_named_fields("raise `steps`", str.upper) == "raise STEPS"


def test_options_of_every_objective_are_known() -> None:
    config, _, _ = read_command_line(["--objective.name", "pix2pix", "--objective.l1", "10"])
    assert config.objective.l1 == 10.0  # type: ignore[attr-defined]
