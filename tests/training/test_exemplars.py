"""Training by selecting exemplars: the exchange against brute force, resuming, the selection."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from inpaint_core.checkpoints.files import load_model
from training.config import ConfigError, TrainConfig, load_recipe, parse_config
from training.dataset.samples import Samples
from training.dataset.scan import load_dataset
from training.engine.session import run_training
from training.events import Event, Message
from training.objectives.exemplars import best_exchange, sharpness


def config(**changes: object) -> TrainConfig:
    values: dict[str, object] = {
        "device": "cpu",
        "steps": 6,
        "batch_size": 3,
        "data": {"size": 64, "shorter_side": 80, "zoom": [1.0, 1.2]},
        "model": {"architecture": "exemplar_montage", "arguments": {"pictures": 5, "side": 64}},
        "objective": {"name": "exemplars"},
        "validation": {"every": 3, "samples": 2},
        "checkpoint_every": 2,
    }
    return parse_config(values | changes)


@pytest.mark.parametrize("seed", range(5))
def test_the_best_exchange_is_that_of_trying_all(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    held, offered = torch.rand(30, 1 + seed, generator=generator), torch.rand(30, 4, generator=generator)
    penalty = 0.05 * torch.randn(1 + seed, 4, generator=generator)
    tried = {}
    for out in range(held.shape[1]):
        for new in range(4):
            after = held.clone()
            after[:, out] = offered[:, new]
            tried[out, new] = float((after.amin(1) - held.amin(1)).mean() + penalty[out, new])
    change, out, new = best_exchange(held, offered, penalty)
    assert (out, new) == min(tried, key=lambda pair: tried[pair])
    assert change == pytest.approx(min(tried.values()), abs=1e-6)


def test_resuming_gives_the_same_exemplars_as_training_without_a_stop(tmp_path: Path) -> None:
    whole = run_training(config(), out=tmp_path / "whole")
    run_training(config(steps=3), out=tmp_path / "parts")
    parts = run_training(config(), out=tmp_path / "parts")
    first, second = load_file(whole.path), load_file(parts.path)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_exemplars_are_training_pictures(tmp_path: Path) -> None:
    settings = config()
    result = run_training(settings, out=tmp_path / "run")
    held = load_model(result.path).network.pictures()
    dataset = load_dataset(settings.data, seed=settings.seed)
    shown = Samples(dataset.train, settings.data, None, seed=settings.seed, device=torch.device("cpu")).batch(0, 18)
    distance = torch.cdist(held.flatten(1), shown.image.flatten(1)) / held[0].numel() ** 0.5
    assert float(distance.amin(1).max()) < 0.04  # colors are kept at half resolution
    assert len(distance.argmin(1).unique()) == 5


def test_the_exemplars_represent_more_and_more_of_the_pictures(tmp_path: Path) -> None:
    chosen = run_training(config(steps=12, objective={"name": "exemplars", "focus": 0.0}), out=tmp_path / "run")
    losses = [entry["loss"] for entry in map(dict, _metrics(tmp_path / "run"))]
    assert sum(entry["exchanged"] for entry in _metrics(tmp_path / "run")) > 0
    assert losses[-1] <= max(losses)
    assert chosen.steps == 12


def test_training_continues_from_the_exemplars_of_an_initial_model(tmp_path: Path) -> None:
    first = run_training(config(), out=tmp_path / "first")
    model = {"architecture": "exemplar_montage", "arguments": {"pictures": 5, "side": 64}, "init_from": str(first.path)}
    again = run_training(config(steps=1, model=model), out=tmp_path / "again")
    before, after = load_file(first.path)["luma"], load_file(again.path)["luma"]
    kept = sum(any(torch.equal(a, b) for b in before) for a in after)
    assert kept >= 2  # a step offers three pictures


def test_the_exemplars_are_listed_at_the_end(tmp_path: Path) -> None:
    events: list[Event] = []
    run_training(config(), out=tmp_path / "run", callbacks=[events.append])
    named = [event.text for event in events if isinstance(event, Message) and "the exemplars are" in event.text]
    assert len(named) == 1


def test_pictures_in_focus_are_distinguished_from_blurred_ones() -> None:
    from skimage import data, filters

    picture = torch.from_numpy(data.astronaut()[:128, :128].copy()).permute(2, 0, 1)[None] / 255.0
    soft = torch.from_numpy(filters.gaussian(picture.numpy(), (0, 0, 3, 3)))
    assert float(sharpness(soft)) < 0.5 * float(sharpness(picture))


def test_networks_and_ways_of_training_that_do_not_go_together_are_rejected(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="learns by exemplars"):
        run_training(config(objective={"name": "pix2pix", "prepare": {"reduction": 12}}), out=tmp_path / "a")
    with pytest.raises(ConfigError, match="learns by gradients"):
        run_training(config(model={"architecture": "pix2pix_unet", "arguments": {"input_channels": 1, "depth": 4}}),
                     out=tmp_path / "b")  # fmt: skip
    with pytest.raises(ConfigError, match=r"set model\.arguments\.side"):
        run_training(config(data={"size": 128}), out=tmp_path / "c")


def test_the_recipe_of_the_embedded_model_is_valid() -> None:
    assert load_recipe("see_flowers").objective.name == "exemplars"


def _metrics(run: Path) -> list[dict[str, float]]:
    import json

    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
