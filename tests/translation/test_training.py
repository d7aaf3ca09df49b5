"""Training translations: inputs made on the fly, pairs, the mode-collapse warning, resuming."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from inpaint_core.checkpoints.files import load_model
from inpaint_core.checkpoints.prepare_settings import PrepareSettings
from inpaint_core.checkpoints.translation_model import TranslationModel
from inpaint_core.files.images import write_image
from inpaint_core.translation import prepare
from training.config import ConfigError, DataConfig, TrainConfig, load_recipe, parse_config
from training.dataset.samples import Batch, Samples
from training.dataset.scan import load_dataset
from training.engine.measurement import fixed_batches
from training.engine.session import TrainResult, run_training
from training.events import Event, Message, Validated
from training.objectives.pix2pix import Pix2Pix

CPU = torch.device("cpu")


def config(**changes: object) -> TrainConfig:
    values: dict[str, object] = {
        "device": "cpu",
        "steps": 4,
        "batch_size": 3,
        "data": {"size": 32, "shorter_side": 42, "zoom": [1.0, 1.3]},
        "model": {
            "architecture": "pix2pix_unet",
            "arguments": {"input_channels": 1, "width": 4, "depth": 4, "upsampling": "nearest"},
        },
        "objective": {"name": "pix2pix", "prepare": {"reduction": 3}, "discriminator": {"width": 4, "layers": 2}},
        "optimizer": {"learning_rate": 0.001, "beta1": 0.5},
        "validation": {"every": 2, "samples": 5},
    }
    return parse_config(values | changes)


def train(out: Path, settings: TrainConfig, events: list[Event] | None = None) -> TrainResult:
    return run_training(settings, out=out, callbacks=[] if events is None else [events.append])


def test_a_run_leaves_a_model_that_makes_its_inputs_by_itself(tmp_path: Path) -> None:
    result = train(tmp_path / "run", config())
    model = load_model(result.path)
    assert isinstance(model, TranslationModel)
    assert model.card.task == "translation"
    assert model.card.value_range == "signed"
    settings = model.card.prepare
    assert settings is not None
    assert settings.reduction == 3
    assert settings.statistics is not None
    assert 0.0 < settings.statistics.low < settings.statistics.mean < settings.statistics.high < 1.0
    assert {"l1", "psnr", "sensitivity_shifted", "sensitivity_inverted", "sensitivity_replaced"} <= set(result.metrics)
    assert 0.0 < result.baselines["mean_picture_l1"] < 1.0


def test_the_contact_sheet_shows_the_prepared_truth(tmp_path: Path) -> None:
    result = train(tmp_path / "run", config())
    rows = result.samples.unflatten(1, (-1, 32)).unflatten(3, (3, 32))  # [3,rows,32,columns,32]
    given, truth = rows[:, :, :, 0].transpose(0, 1), rows[:, :, :, 2].transpose(0, 1)
    expected = prepare(truth, PrepareSettings(reduction=3)).expand(-1, 3, -1, -1)
    torch.testing.assert_close(given, expected, atol=1e-6, rtol=0.0)


def test_resuming_gives_the_same_weights_as_never_having_stopped(tmp_path: Path) -> None:
    whole = train(tmp_path / "whole", config())
    run_training(config(steps=2), out=tmp_path / "parts")
    parts = run_training(config(), out=tmp_path / "parts")
    first, second = load_file(whole.path), load_file(parts.path)
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_batches_computed_in_parts_train_the_same(tmp_path: Path) -> None:
    arguments = {"input_channels": 1, "width": 4, "depth": 4, "norm": "instance"}
    changes = {
        "model": {"architecture": "pix2pix_unet", "arguments": arguments},
        "objective": {"name": "pix2pix", "discriminator": {"width": 4, "layers": 2, "norm": "instance"}},
        "optimizer": {"name": "sgd", "learning_rate": 0.01},
        "steps": 2,
        "batch_size": 4,
    }
    whole, parts = (train(tmp_path / str(n), config(**changes, accumulate=n)) for n in (1, 2))
    first, second = load_file(whole.path), load_file(parts.path)
    for key in first:
        torch.testing.assert_close(first[key], second[key], atol=1e-5, rtol=1e-4)


def test_a_network_that_ignores_its_input_is_reported_as_collapsed_and_does_not_replace_the_model(
    tmp_path: Path,
) -> None:
    events: list[Event] = []
    # With fresh weights the input hardly affects the output.
    train(tmp_path / "run", config(optimizer={"learning_rate": 1e-9}), events)
    warnings = [event.text for event in events if isinstance(event, Message) and event.level == "warning"]
    assert any("mode collapse" in text for text in warnings)
    looks = [event for event in events if isinstance(event, Validated)]
    assert [look.best for look in looks] == [True, False]


def test_without_a_discriminator_only_l1_is_minimized(tmp_path: Path) -> None:
    objective = {"name": "pix2pix", "prepare": {"reduction": 3}, "adversarial": 0.0}
    result = train(tmp_path / "run", config(objective=objective, steps=60, validation={"every": 60, "samples": 5}))
    assert result.losses[-1] < 0.8 * result.losses[0]


def test_statistics_are_those_of_the_prepared_training_pictures() -> None:
    settings = config()
    dataset = load_dataset(settings.data)
    measured = Pix2Pix.input_settings(settings, dataset, None)
    assert measured is not None
    assert measured.statistics is not None
    samples = Samples(dataset.train, settings.data, None, seed=0, device=CPU, augment=False)
    inputs = prepare(samples.batch(0, len(dataset.train)).image, PrepareSettings(reduction=3))
    assert measured.statistics.mean == pytest.approx(float(inputs.mean()), abs=1e-5)
    assert measured.statistics.std == pytest.approx(float(inputs.std(correction=0)), abs=1e-5)
    assert measured.statistics.low == pytest.approx(float(inputs.quantile(0.01)), abs=1e-5)


def test_the_mean_picture_is_the_baseline() -> None:
    settings = config()
    dataset = load_dataset(settings.data)
    batches, _ = fixed_batches(dataset, settings, CPU)
    samples = Samples(dataset.train, settings.data, None, seed=0, device=CPU, augment=False)
    mean = samples.batch(0, len(dataset.train)).image.mean(0)
    error = sum((image - mean).abs().mean() for batch in batches for image in batch.image)
    expected = float(error) / sum(map(len, batches))
    assert Pix2Pix.baselines(settings, dataset, batches)["mean_picture_l1"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", ["l2s_unet", "l2s_resnet", "l2s_fast", "facades"])
def test_every_recipe_is_complete_and_makes_no_checkerboards(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.model.arguments["upsampling"] == "nearest"
    assert recipe.objective.name == "pix2pix"
    assert 1 <= recipe.batch_size <= 16
    if name != "facades":
        assert recipe.objective.prepare == PrepareSettings(reduction=24, brightness=0.2, contrast=0.15)
        # scaled to 100-130% and cropped, which is a crop of 1/1.3 to 1 that is enlarged
        assert recipe.data.zoom == (pytest.approx(1 / 1.3, abs=0.001), 1.0)
        assert recipe.data.shorter_side == recipe.data.size == 256


# --- pairs -----------------------------------------------------------------------------------------------------------


def pair(folder: Path, name: str, seed: int, height: int = 48, width: int = 40) -> torch.Tensor:
    """Write a truth with its negative to the right; returns the truth."""
    folder.mkdir(exist_ok=True)
    truth = torch.rand(3, height, width, generator=torch.Generator().manual_seed(seed)).mul(255.0).round() / 255.0
    write_image(folder / name, torch.cat([truth, 1.0 - truth], 2))
    return truth


def test_pairs_are_cut_flipped_and_scaled_together(tmp_path: Path) -> None:
    for seed in range(6):
        pair(tmp_path / "pairs", f"{seed}.png", seed)
    for side in ("left", "right"):
        data = DataConfig(folder=str(tmp_path / "pairs"), input_side=side, size=16, zoom=(1.0, 2.5), flip_vertical=True)
        batch = Samples(load_dataset(data).train, data, None, seed=0, device=CPU).batch(0, 12)
        assert batch.given is not None
        assert batch.given.shape == batch.image.shape
        torch.testing.assert_close(batch.given, 1.0 - batch.image, atol=1.01 / 255.0, rtol=0.0)
    first = batch.split(5)
    assert torch.equal(torch.cat([part.given for part in first if part.given is not None]), batch.given)


def test_two_folders_of_the_same_names_are_pairs(tmp_path: Path) -> None:
    (tmp_path / "inputs").mkdir()
    (tmp_path / "truths").mkdir()
    for seed in range(3):
        picture = torch.rand(3, 40, 50, generator=torch.Generator().manual_seed(seed)).mul(255.0).round() / 255.0
        write_image(tmp_path / "truths" / f"{seed}.png", picture)
        write_image(tmp_path / "inputs" / f"{seed}.bmp", 1.0 - picture)
    data = DataConfig(folder=str(tmp_path / "truths"), input_folder=str(tmp_path / "inputs"), size=16, held_out=0.0)
    batch = Samples(load_dataset(data).train, data, None, seed=0, device=CPU).batch(0, 6)
    assert batch.given is not None
    torch.testing.assert_close(batch.given, 1.0 - batch.image, atol=1.01 / 255.0, rtol=0.0)


def test_side_by_side_files_that_are_not_pairs_are_named(tmp_path: Path) -> None:
    for seed in range(5):
        pair(tmp_path / "pairs", f"{seed}.png", seed)
    write_image(tmp_path / "pairs" / "odd.png", torch.zeros(3, 48, 81))
    write_image(tmp_path / "pairs" / "single.png", torch.full((3, 48, 40), 0.5))
    dataset = load_dataset(DataConfig(folder=str(tmp_path / "pairs"), input_side="right", size=16))
    reasons = {item.file: (item.kind, item.reason) for item in dataset.left_out}
    assert set(reasons) == {"odd.png", "single.png"}
    assert {kind for kind, _ in reasons.values()} == {"unpaired"}
    assert "81 pixels wide" in reasons["odd.png"][1]
    assert "does not hold two pictures side by side" in reasons["single.png"][1]


def test_pictures_and_inputs_without_partner_or_of_other_sizes_are_named(tmp_path: Path) -> None:
    for folder, names in {"truths": "abc", "inputs": "abd"}.items():
        (tmp_path / folder).mkdir()
        for number, name in enumerate(names):
            size = 41 if (folder, name) == ("inputs", "b") else 40
            write_image(tmp_path / folder / f"{name}.png", torch.full((3, 40, size), 0.1 * number))
    data = DataConfig(folder=str(tmp_path / "truths"), input_folder=str(tmp_path / "inputs"), size=16)
    left_out = {Path(item.file).name: item for item in load_dataset(data).left_out}
    assert set(left_out) == {"b.png", "c.png", "d.png"}
    assert {item.kind for item in left_out.values()} == {"unpaired"}
    assert "41x40" in left_out["b.png"].reason
    assert "no inputs named c" in left_out["c.png"].reason
    assert "without a picture of the same name" in left_out["d.png"].reason


def test_pairs_train_a_model_that_reads_colors(tmp_path: Path) -> None:
    for seed in range(8):
        pair(tmp_path / "pairs", f"{seed}.png", seed)
    result = train(
        tmp_path / "run",
        config(
            data={"folder": str(tmp_path / "pairs"), "input_side": "right", "size": 32, "held_out": 0.3},
            model={"architecture": "pix2pix_resnet", "arguments": {"input_channels": 3, "width": 4, "blocks": 1}},
            objective={"name": "pix2pix", "prepare": None, "discriminator": {"width": 4, "layers": 2}},
        ),
    )
    assert result.model.card.prepare is None
    assert isinstance(result.model, TranslationModel)
    assert result.model.predict(torch.zeros(1, 3, 20, 20)).shape == (1, 3, 20, 20)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": {"folder": "x", "input_side": "left"}}, "must be null for pairs"),
        ({"objective": {"name": "pix2pix", "prepare": None}}, "is required otherwise"),
        (
            {"data": {"folder": "x", "input_side": "left"}, "objective": {"name": "reconstruction"}},
            "paired inputs are only for translation",
        ),
        ({"data": {"folder": "x", "input_side": "left", "input_folder": "y"}}, "set only one"),
        ({"data": {"input_side": "left"}}, "pairs need a folder"),
        (
            {"model": {"architecture": "unet"}},
            "'unet' is for inpainting, but objective 'pix2pix' is for translation",
        ),
        (
            {"model": {"architecture": "pix2pix_unet", "arguments": {"input_channels": 3, "depth": 4}}},
            "input_channels must be 1",
        ),
    ],
)
def test_configurations_that_contradict_themselves_are_rejected(
    changes: dict[str, object], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=message):
        train(tmp_path / "run", config(**changes))
    assert not list(tmp_path.iterdir())


def test_a_batch_without_pairs_has_no_given_inputs() -> None:
    batch = Batch(torch.zeros(4, 3, 8, 8), torch.zeros(4, 1, 8, 8), ("a", "b", "c", "d"))
    assert all(part.given is None for part in batch.split(2))
