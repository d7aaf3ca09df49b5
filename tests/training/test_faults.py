"""Non-finite losses, full memory, full disks, kills."""

from __future__ import annotations

import errno
import json
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from inpaint_core import load_model
from inpaint_core.checkpoints import weights
from inpaint_core.losses.reconstruction import ELEMENTWISE
from training.callbacks.metrics_log import MetricsLog
from training.config import ReconstructionConfig, TrainConfig, parse_config
from training.engine.session import run_training
from training.errors import DivergedError, OutOfMemoryError, SettingError
from training.events import CheckpointSaved, Event, Message, RolledBack, StepDone
from training.runs.folder import Resume
from training.runs.state import load_newest_state

from .conftest import draw_pictures, tiny_values
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
    """Multiply the loss by NaN in the calls selected by the iterator."""
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


def test_an_infinite_gradient_leaves_weights_and_normalization_unchanged(
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


def test_persistent_nans_stop_with_one_line_and_a_loadable_model(
    tiny: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(monkeypatch, iter([False] * 3 + [True] * 1000))
    with pytest.raises(DivergedError, match=r"lower `optimizer\.learning_rate`"):
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
    assert sum("processed in" in message for message in log.messages) == 2
    torch.testing.assert_close(torch.tensor(whole), torch.tensor(parts), atol=1e-4, rtol=1e-4)


def test_out_of_memory_with_a_single_picture_says_what_to_do(
    tiny: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def loss(output: Tensor, truth: Tensor) -> Tensor:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes")

    monkeypatch.setitem(ELEMENTWISE, LOSS, loss)
    with pytest.raises(OutOfMemoryError, match=r"smaller `data\.size`"):
        run_training(tiny, out=tmp_path / "run")


def fill_disk(monkeypatch: pytest.MonkeyPatch, refuses: Callable[[Path], bool]) -> None:
    """Refuse to publish the files selected by the condition."""
    plain = os.replace

    def replace(source: Any, target: Any) -> None:
        if refuses(Path(target)):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(source))
        plain(source, target)

    monkeypatch.setattr(os, "replace", replace)


def nth(number: int, pattern: str) -> Callable[[Path], bool]:
    """Selects the n-th published file that matches this pattern."""
    calls = [0]

    def refuses(path: Path) -> bool:
        calls[0] += path.match(pattern)
        return path.match(pattern) and calls[0] == number

    return refuses


def left(out: Path) -> dict[str, bytes]:
    """Everything in a run's folder that is the same for two equal runs."""
    files = [path for path in out.rglob("*") if path.is_file() and path.name not in ("run.lock", "summary.json")]
    found = {str(path.relative_to(out)): path.read_bytes() for path in files if path.suffix != ".json"}
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    losses = [{name: value for name, value in row.items() if name != "images_per_second"} for row in rows]
    return found | {"metrics.jsonl": json.dumps(losses).encode()}


class Undisturbed(NamedTuple):
    """A training, and what it leaves if nothing fails."""

    config: TrainConfig
    left: dict[str, bytes]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    folder = tmp_path_factory.mktemp("undisturbed")
    config = parse_config(tiny_values(draw_pictures(folder)))
    run_training(config, out=folder / "run")
    return Undisturbed(config, left(folder / "run"))


@pytest.mark.parametrize(
    "pattern",
    ["state/*.safetensors", "state/*.json", "model.safetensors", "samples/*.png", "loss.png"],
)
@pytest.mark.parametrize("number", [1, 2])
def test_a_single_failed_write_is_made_up_for(
    pattern: str, number: int, undisturbed: Undisturbed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        fill_disk(patch, nth(number, pattern))
        run_training(undisturbed.config, out=tmp_path / "hurt")
    assert left(tmp_path / "hurt") == undisturbed.left


@pytest.mark.parametrize("pattern", ["state/*.safetensors", "state/*.json", "model.safetensors", "samples/*.png"])
def test_a_disk_that_stays_full_ends_with_an_error_and_a_rerun_recovers(
    pattern: str, undisturbed: Undisturbed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log()
    with monkeypatch.context() as patch:
        fill_disk(patch, lambda path: path.match(pattern))
        with pytest.raises(OSError, match="No space left") as caught:
            run_training(undisturbed.config, out=tmp_path / "hurt", callbacks=[log])
        assert Path(caught.value.filename).match(pattern)
        assert any("No space left" in message and "Errno" not in message for message in log.messages)
        assert log.steps == [1, 2, 3, 4, 5, 6]
    run_training(undisturbed.config, out=tmp_path / "hurt", resume="unfinished")
    assert left(tmp_path / "hurt") == undisturbed.left


def test_lines_that_the_log_could_not_write_are_in_the_state_of_a_run_that_is_killed(
    tiny: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_training(tiny, out=tmp_path / "quiet")

    def full(self: MetricsLog) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "metrics.jsonl")

    class KilledError(BaseException):
        pass

    def kill(event: Event) -> None:
        if isinstance(event, CheckpointSaved) and event.kind == "state" and event.step == 4:
            raise KilledError

    log = Log()
    with monkeypatch.context() as patch:
        patch.setattr(MetricsLog, "_write", full)
        with pytest.raises(KilledError):
            run_training(tiny, out=tmp_path / "hurt", callbacks=[log, kill])
    assert [message for message in log.messages if "metrics.jsonl could not be written" in message] != []
    run_training(tiny, out=tmp_path / "hurt")
    assert left(tmp_path / "hurt") == left(tmp_path / "quiet")


@pytest.mark.parametrize("every", [3, 6])
@pytest.mark.parametrize("resume", ["unfinished", "auto"])
def test_a_stop_during_the_last_validation_is_reported_and_the_validation_repeated(
    every: int, resume: Resume, tiny: TrainConfig, tmp_path: Path
) -> None:
    validation = tiny.validation.model_copy(update={"every": every})
    config = tiny.model_copy(update={"validation": validation})
    quiet = run_training(config, out=tmp_path / "quiet")
    steps: list[int] = []

    def watch(event: Event) -> None:
        if isinstance(event, StepDone):
            steps.append(event.step)

    stopped = run_training(
        config, out=tmp_path / "hurt", callbacks=[watch], should_stop=lambda: steps[-1:] == [tiny.steps]
    )
    assert stopped.interrupted
    assert json.loads((tmp_path / "hurt" / "summary.json").read_text())["interrupted"] is True
    again = run_training(config, out=tmp_path / "hurt", resume=resume)
    assert not again.interrupted
    assert again.path.parent == tmp_path / "hurt"
    assert again.metrics == quiet.metrics
    assert left(tmp_path / "hurt") == left(tmp_path / "quiet")


def test_a_run_killed_before_reporting_its_result_is_completed_in_its_folder(tiny: TrainConfig, tmp_path: Path) -> None:
    class KilledError(BaseException):
        pass

    def kill(result: object) -> None:
        raise KilledError

    with pytest.raises(KilledError):
        run_training(tiny, out=tmp_path / "run", resume="unfinished", report=kill)
    before = left(tmp_path / "run")
    for name in ("summary.json", "loss.png"):
        (tmp_path / "run" / name).unlink()
    log = Log()
    result = run_training(tiny, out=tmp_path / "run", resume="unfinished", callbacks=[log])
    assert result.path.parent == tmp_path / "run"
    assert log.steps == []
    assert left(tmp_path / "run") == before
    assert run_training(tiny, out=tmp_path / "run", resume="unfinished").path.parent == tmp_path / "run-2"


def test_every_flipped_bit_of_a_state_is_detected_and_the_state_before_it_used(
    tiny: TrainConfig, tmp_path: Path
) -> None:
    run_training(tiny, out=tmp_path / "run")
    states = tmp_path / "run" / "state"
    whole = load_newest_state(states)
    assert whole is not None
    for path in (states / "00000006.json", states / "00000006.safetensors"):
        good = path.read_bytes()
        for number in random.Random(0).sample(range(8 * len(good)), 60):
            data = bytearray(good)
            data[number // 8] ^= 1 << number % 8
            path.write_bytes(bytes(data))
            found = load_newest_state(states)
            assert found is not None
            if found.step == 6:  # one space more or less in the JSON
                assert json.loads(bytes(data)) == json.loads(good)
            else:
                assert found.step == 4
                assert found.damaged == ("00000006.json",)
        path.write_bytes(good)


def test_a_state_without_a_checksum_of_its_own_is_read(tiny: TrainConfig, tmp_path: Path) -> None:
    run_training(tiny, out=tmp_path / "run")
    manifest = tmp_path / "run" / "state" / "00000006.json"
    record = json.loads(manifest.read_text())
    del record["sha256"], record["values"]["mapping"][-2]
    manifest.write_text(json.dumps(record | {"format": 1}))
    state = load_newest_state(tmp_path / "run" / "state")
    assert state is not None
    assert state.step == 6
    longer = tiny.model_copy(update={"steps": 8})
    assert run_training(longer, out=tmp_path / "run").path.parent == tmp_path / "run"


def test_what_killed_runs_left_unfinished_is_removed(tiny: TrainConfig, tmp_path: Path) -> None:
    out = tmp_path / "run"
    for folder in (out, out / "state", out / "samples"):
        folder.mkdir(exist_ok=True)
        (folder / ".0123abcd.part.png").write_bytes(b"half")
    run_training(tiny, out=out)
    assert [path for path in out.rglob(".*")] == []


def test_cancel_from_any_event_saves_the_progress(
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
def test_a_tracker_that_fails_is_disabled(
    tracker: str, tiny: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = {"tensorboard": "torch.utils.tensorboard", "wandb": "wandb"}[tracker]
    monkeypatch.setitem(__import__("sys").modules, module, None)
    log = Log()
    config = tiny.model_copy(update={"trackers": (tracker,), "steps": 2})
    assert run_training(config, out=tmp_path / "run", callbacks=[log]).steps == 2
    assert any(f"{tracker} is disabled" in message for message in log.messages)


def test_a_run_whose_model_could_not_be_loaded_is_rejected_before_it_starts(
    tiny: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wide = tiny.model.model_copy(update={"arguments": {"width": 64, "max_width": 64, "depth": 1}})
    large = tiny.model_copy(update={"data": tiny.data.model_copy(update={"size": 1024}), "model": wide})
    monkeypatch.setattr(weights, "_limit", 1.0)
    with pytest.raises(SettingError, match=r"1024 pixels takes about 2 GiB.*--pass-gib 2"):
        run_training(large, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
