"""A training called from a program."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from inpaint_core import inpaint, load_model
from training.config import ConfigError, TrainConfig
from training.engine.network import build_network
from training.engine.session import StoppedError, run_training
from training.events import CheckpointSaved, Event, Finished, Message, Preview, Scanning, Started, StepDone, Validated


def test_run_folder_holds_everything_that_was_promised(tiny: TrainConfig, tmp_path: Path) -> None:
    result = run_training(tiny, out=tmp_path / "run")
    run = tmp_path / "run"
    assert {path.name for path in run.iterdir()} == {
        "config.yaml",
        "dataset_report.json",
        "loss.png",
        "metrics.jsonl",
        "model.safetensors",
        "run.lock",
        "samples",
        "state",
        "summary.json",
    }
    assert [path.name for path in sorted((run / "samples").iterdir())] == [f"step_{step:08d}.png" for step in (4, 5, 6)]
    assert [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines()] == [1, 2, 3, 4, 5, 6]
    assert json.loads((run / "summary.json").read_text())["steps"] == 6
    for picture in (run / "loss.png", *(run / "samples").iterdir()):
        with Image.open(picture) as opened:
            opened.load()
    assert result.path == run / "model.safetensors"
    assert len(result.losses) == 6
    assert result.samples.shape == (3, 4 * 32, 5 * 32)
    assert set(result.baselines) == {"mean", "telea"}


def test_saved_model_completes_a_picture_and_keeps_known_pixels(tiny: TrainConfig, tmp_path: Path) -> None:
    path = run_training(tiny, out=tmp_path / "run").path
    image = torch.rand(1, 3, 45, 70, generator=torch.Generator().manual_seed(0))
    mask = torch.zeros(1, 1, 45, 70)
    mask[..., 10:20, 10:30] = 1.0
    output = inpaint(load_model(path), image, mask)
    assert torch.equal(output * (1 - mask), image * (1 - mask))


def test_card_says_what_the_model_is(tiny: TrainConfig, tmp_path: Path) -> None:
    model = run_training(tiny.model_copy(update={"licence": "CC0"}), out=tmp_path / "run").model
    assert model.card.trained_size == 32
    assert model.card.licence == "CC0"
    assert model.card.arguments["max_width"] == 8
    assert "hole_psnr" in model.card.metrics
    assert model.card.fill != (0.5, 0.5, 0.5)


def test_training_works_under_inference_mode_and_returns_a_trainable_model(tiny: TrainConfig, tmp_path: Path) -> None:
    with torch.inference_mode():
        result = run_training(tiny, out=tmp_path / "inside")
    outside = run_training(tiny, out=tmp_path / "outside")
    assert result.losses == outside.losses
    assert not any(parameter.is_inference() for parameter in result.model.network.parameters())
    assert not result.samples.is_inference()


def test_global_random_states_are_untouched_also_by_dropout(
    tiny: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from inpaint_core.models.unet import UNet

    plain = UNet.forward
    monkeypatch.setattr(
        UNet,
        "forward",
        lambda self, image, mask: torch.nn.functional.dropout(plain(self, image, mask), 0.1, self.training),
    )
    # For comparison: random numbers drawn by the calling program before and after.
    states = (random.getstate(), np.random.get_state(), torch.get_rng_state())  # noqa: NPY002
    first = run_training(tiny, out=tmp_path / "first")
    torch.rand(5)
    second = run_training(tiny, out=tmp_path / "second")
    torch.set_rng_state(states[2])
    run_training(tiny.model_copy(update={"steps": 1}), out=tmp_path / "third")
    assert random.getstate() == states[0]
    assert all(np.array_equal(one, other) for one, other in zip(np.random.get_state(), states[1], strict=True))  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), states[2])
    assert first.losses == second.losses


def test_another_seed_gives_other_weights_the_same_seed_the_same(tiny: TrainConfig, tmp_path: Path) -> None:
    losses = [
        run_training(tiny.model_copy(update={"seed": seed, "steps": 2}), out=tmp_path / str(number)).losses
        for number, seed in enumerate((1, 1, 2))
    ]
    assert losses[0] == losses[1] != losses[2]


def test_events_come_in_order(tiny: TrainConfig, tmp_path: Path) -> None:
    events: list[Event] = []
    run_training(tiny, out=tmp_path / "run", callbacks=[events.append])
    kinds = [type(event) for event in events if not isinstance(event, Scanning | Message)]
    assert kinds[0] is Started
    assert kinds[-1] is Finished
    assert kinds.count(StepDone) == 6
    assert kinds.count(Validated) == 2
    assert kinds.count(Preview) == 3  # at 4, early at 5, at the end
    states = [event.step for event in events if isinstance(event, CheckpointSaved) and event.kind == "state"]
    assert states == [0, 2, 4, 6]
    steps = [event.step for event in events if isinstance(event, StepDone)]
    assert steps == [1, 2, 3, 4, 5, 6]


def test_stop_while_scanning_writes_nothing(tiny: TrainConfig, tmp_path: Path) -> None:
    with pytest.raises(StoppedError):
        run_training(tiny, out=tmp_path / "run", should_stop=lambda: True)
    assert not (tmp_path / "run").exists()


def test_one_picture_is_enough(tiny: TrainConfig, tmp_path: Path, pictures: Path) -> None:
    for path in sorted(pictures.iterdir())[1:]:
        path.unlink()
    result = run_training(tiny, out=tmp_path / "run")
    assert result.metrics == {}
    assert result.model.card.steps == 6


def test_training_starts_from_the_weights_of_init_from(tiny: TrainConfig, tmp_path: Path) -> None:
    first = run_training(tiny, out=tmp_path / "first")
    model = tiny.model.model_copy(update={"init_from": str(first.path)})
    slow = tiny.optimizer.model_copy(update={"learning_rate": 1e-12, "ema": None})
    second = run_training(tiny.model_copy(update={"model": model, "optimizer": slow}), out=tmp_path / "second")
    first_weights, second_weights = (dict(result.model.network.named_parameters()) for result in (first, second))
    for name, weight in first_weights.items():
        torch.testing.assert_close(second_weights[name], weight, atol=1e-6, rtol=1e-6)
    other = model.model_copy(update={"arguments": {"width": 8}})
    with pytest.raises(ConfigError, match="init_from"):
        run_training(tiny.model_copy(update={"model": other}), out=tmp_path / "third")


def test_a_model_that_is_trained_on_with_smaller_crops_keeps_its_training_size(
    tiny: TrainConfig, tmp_path: Path
) -> None:
    first = run_training(tiny, out=tmp_path / "first")
    model = tiny.model.model_copy(update={"init_from": str(first.path)})
    for size, kept in ((16, 32), (64, 64)):
        data = tiny.data.model_copy(update={"size": size})
        second = run_training(tiny.model_copy(update={"model": model, "data": data}), out=tmp_path / str(size))
        assert load_model(second.path).card.trained_size == kept


def test_a_detailed_head_continues_from_the_weights_of_a_residual_one(tiny: TrainConfig, tmp_path: Path) -> None:
    arguments = {**tiny.model.arguments, "head": "residual"}
    plain = tiny.model.model_copy(update={"architecture": "unet", "arguments": arguments})
    first = run_training(tiny.model_copy(update={"model": plain, "steps": 1}), out=tmp_path / "first")
    detailed = {"arguments": {**arguments, "head": "detailed"}, "init_from": str(first.path)}
    _, network, _ = build_network(tiny.model_copy(update={"model": plain.model_copy(update=detailed)}))
    assert network.detail_share == 0.75
    for name, weight in first.model.network.state_dict().items():
        assert torch.equal(network.state_dict()[name], weight), name


def test_training_reduces_the_loss(tiny: TrainConfig, tmp_path: Path) -> None:
    optimizer = tiny.optimizer.model_copy(update={"learning_rate": 0.01})
    losses = run_training(tiny.model_copy(update={"steps": 30, "optimizer": optimizer}), out=tmp_path / "run").losses
    assert sum(losses[-5:]) < 0.85 * sum(losses[:5])


def test_early_stopping_ends_a_training_that_gets_no_better(tiny: TrainConfig, tmp_path: Path) -> None:
    optimizer = tiny.optimizer.model_copy(update={"learning_rate": 1e-30})
    validation = tiny.validation.model_copy(update={"every": 1, "patience": 2})
    config = tiny.model_copy(update={"optimizer": optimizer, "validation": validation, "steps": 30})
    assert run_training(config, out=tmp_path / "run").steps < 10
