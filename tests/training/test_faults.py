"""Non-finite losses, full memory, full disks, kills."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from inpaint_core import load_model
from inpaint_core.losses.reconstruction import ELEMENTWISE
from training.callbacks.metrics_log import MetricsLog
from training.config import ReconstructionConfig, TrainConfig
from training.engine.session import run_training
from training.errors import DivergedError, OutOfMemoryError
from training.events import Event, Message, RolledBack, StepDone
from training.runs import state as state_module
from training.runs.state import load_newest_state

from .test_resume import assert_same_files, history

LOSS = ReconstructionConfig().loss


class Log:
    """Remembers events."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def __call__(self, event: Event) -> None:
        self.events.append(event)

    @property
    def messages(self) -> list[str]:
        return [event.text for event in self.events if isinstance(event, Message)]

    @property
    def steps(self) -> list[int]:
        return [event.step for event in self.events if isinstance(event, StepDone)]


def spoil(monkeypatch: pytest.MonkeyPatch, calls: Iterator[bool], factor: float = float("nan")) -> None:
    """Multiply the loss by NaN in those calls for which the iterator says so."""
    plain = ELEMENTWISE[LOSS]

    def loss(output: Tensor, truth: Tensor) -> Tensor:
        return plain(output, truth) * (factor if next(calls, False) else 1.0)

    monkeypatch.setitem(ELEMENTWISE, LOSS, loss)


def test_a_step_with_a_nan_is_skipped_counted_and_its_pictures_named(
    tiny: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(monkeypatch, iter([False, True, False]))
    log = Log()
    result = run_training(tiny, out=tmp_path / "run", callbacks=[log])
    assert log.steps == [1, 2, 3, 4, 5, 6]
    assert any("step 1 skipped" in message and ".png" in message for message in log.messages)
    assert all(torch.isfinite(weight).all() for weight in result.model.network.state_dict().values())
    assert '"skipped_steps": 1' in (tmp_path / "run" / "summary.json").read_text()


def test_an_infinite_gradient_leaves_weights_and_normalisation_as_they_were(
    tiny: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Spike(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, value: Tensor) -> Tensor:
            return value.clone()

        @staticmethod
        def backward(ctx: Any, *gradients: Tensor) -> Tensor:
            return gradients[0] * float("inf")

    run_training(tiny.model_copy(update={"steps": 2}), out=tmp_path / "run")
    before = load_newest_state(tmp_path / "run" / "state")
    plain = ELEMENTWISE[LOSS]
    monkeypatch.setitem(ELEMENTWISE, LOSS, lambda output, truth: Spike.apply(plain(output, truth)))
    calls = [0]

    def stop() -> bool:
        calls[0] += 1
        return calls[0] > 9 + 3

    run_training(tiny, out=tmp_path / "run", should_stop=stop)
    after = load_newest_state(tmp_path / "run" / "state")
    assert before is not None
    assert after is not None
    assert after.step == 2
    assert_same_files(before.folder / "00000002.safetensors", after.folder / "00000002.safetensors")
    network = after.values["objective"]["generator"]["network"]
    assert all(torch.isfinite(value).all() for value in network.values())


def test_many_nans_in_a_row_go_back_to_the_last_good_state(
    tiny: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(monkeypatch, iter([False] * 5 + [True] * 10 + [False] * 100))
    log = Log()
    result = run_training(tiny, out=tmp_path / "run", callbacks=[log])
    assert [event.step for event in log.events if isinstance(event, RolledBack)] == [4]
    assert log.steps == [1, 2, 3, 4, 5, 5, 6]
    assert [record["step"] for record in history(tmp_path / "run")] == [1, 2, 3, 4, 5, 6]
    assert result.steps == 6


def test_nans_that_do_not_end_stop_with_one_sentence_and_a_loadable_model(
    tiny: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(monkeypatch, iter([False] * 3 + [True] * 1000))
    with pytest.raises(DivergedError, match="lower the learning rate"):
        run_training(tiny, out=tmp_path / "run")
    load_model(tmp_path / "run" / "model.safetensors")


def test_out_of_memory_halves_the_parts_and_keeps_the_effective_batch(
    tiny: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny.model.model_copy(update={"arguments": {"width": 4, "depth": 2, "norm": "none"}})
    config = tiny.model_copy(update={"model": model, "batch_size": 4})
    whole = run_training(config, out=tmp_path / "whole").losses
    plain = ELEMENTWISE[LOSS]

    def loss(output: Tensor, truth: Tensor) -> Tensor:
        if len(output) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return plain(output, truth)

    monkeypatch.setitem(ELEMENTWISE, LOSS, loss)
    log = Log()
    parts = run_training(config, out=tmp_path / "parts", callbacks=[log]).losses
    assert sum("computed in" in message for message in log.messages) == 2
    torch.testing.assert_close(torch.tensor(whole), torch.tensor(parts), atol=1e-4, rtol=1e-4)


def test_out_of_memory_with_a_single_picture_says_what_to_do(
    tiny: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def loss(output: Tensor, truth: Tensor) -> Tensor:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes")

    monkeypatch.setitem(ELEMENTWISE, LOSS, loss)
    with pytest.raises(OutOfMemoryError, match=r"smaller data\.size"):
        run_training(tiny, out=tmp_path / "run")


def test_a_full_disk_while_saving_leaves_the_old_state_and_the_run_goes_on(
    tiny: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = state_module.save_file
    calls = [0]

    def full(tensors: Any, path: Path) -> None:
        calls[0] += 1
        if calls[0] == 3:
            Path(path).write_bytes(b"half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        plain(tensors, path)

    monkeypatch.setattr(state_module, "save_file", full)
    log = Log()
    result = run_training(tiny, out=tmp_path / "run", callbacks=[log])
    assert result.steps == 6
    assert any("No space left" in message and "earlier ones are intact" in message for message in log.messages)
    assert [path.name for path in sorted((tmp_path / "run" / "state").iterdir())] == [
        "00000002.json",
        "00000002.safetensors",
        "00000006.json",
        "00000006.safetensors",
    ]


def test_a_disk_that_stays_full_ends_with_an_error_and_the_old_state(
    tiny: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_training(tiny.model_copy(update={"steps": 2}), out=tmp_path / "run")

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(state_module, "save_file", full)
    with pytest.raises(OSError, match="No space left"):
        run_training(tiny, out=tmp_path / "run")
    state = load_newest_state(tmp_path / "run" / "state")
    assert state is not None
    assert state.step == 2
    load_model(tmp_path / "run" / "model.safetensors")


def test_a_log_that_cannot_be_written_does_not_end_the_training(
    tiny: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: MetricsLog, event: Event) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(MetricsLog, "__call__", full)
    log = Log()
    assert run_training(tiny, out=tmp_path / "run", callbacks=[log]).steps == 6
    assert sum("metrics.jsonl failed" in message for message in log.messages) == 1


def test_cancel_from_any_event_saves_what_was_learnt(
    tiny: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class CancelledError(Exception):
        pass

    spoil(monkeypatch, iter([False] * 3 + [True]))
    for number, wanted in enumerate(("skipped", "Preview", "Validated", "CheckpointSaved")):

        def cancel(event: Event, wanted: str = wanted) -> None:
            after_skip = isinstance(event, Message) and wanted in event.text
            if after_skip or (type(event).__name__ == wanted and getattr(event, "step", 0) >= 3):
                raise CancelledError

        out = tmp_path / str(number)
        with pytest.raises(CancelledError):
            run_training(tiny, out=out, callbacks=[cancel])
        state = load_newest_state(out / "state")
        assert state is not None
        assert state.step >= 3


def test_tensorboard_gets_its_files(tiny: TrainConfig, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    run_training(tiny.model_copy(update={"trackers": ("tensorboard",)}), out=tmp_path / "run")
    assert any((tmp_path / "run" / "tensorboard").iterdir())


@pytest.mark.parametrize("tracker", ["tensorboard", "wandb"])
def test_a_tracker_that_fails_is_left_out(
    tracker: str, tiny: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = {"tensorboard": "torch.utils.tensorboard", "wandb": "wandb"}[tracker]
    monkeypatch.setitem(__import__("sys").modules, module, None)
    log = Log()
    config = tiny.model_copy(update={"trackers": (tracker,), "steps": 2})
    assert run_training(config, out=tmp_path / "run", callbacks=[log]).steps == 2
    assert any(f"{tracker} is left out" in message for message in log.messages)
