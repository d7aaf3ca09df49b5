"""Stopping and resuming is the same as never having stopped."""

from __future__ import annotations

import json
from collections.abc import Callable
from multiprocessing.context import BaseContext
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from training.config import TrainConfig
from training.engine.session import run_training
from training.events import Event, StepDone
from training.runs.folder import RunError, RunFolder
from training.runs.state import load_newest_state


def stop_after(step: int) -> tuple[Callable[[], bool], Callable[[Event], None]]:
    """A `should_stop` that turns true once the callback has seen a step."""
    seen = [0]

    def callback(event: Event) -> None:
        if isinstance(event, StepDone):
            seen[0] = event.step

    return lambda: seen[0] >= step, callback


def assert_same_run(first: Path, second: Path) -> None:
    """Same model, same state bit by bit, same history apart from speed."""
    assert_same_files(first / "model.safetensors", second / "model.safetensors")
    states = [load_newest_state(RunFolder(folder).states) for folder in (first, second)]
    assert states[0] is not None
    assert states[1] is not None
    assert states[0].step == states[1].step
    for suffix in ("safetensors",):
        name = f"{states[0].step:08d}.{suffix}"
        assert_same_files(first / "state" / name, second / "state" / name)
    assert states[0].values["progress"] == states[1].values["progress"]
    assert history(first) == history(second)


def assert_same_files(first: Path, second: Path) -> None:
    """Two safetensors files hold the same tensors."""
    one, other = load_file(first), load_file(second)
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def history(run: Path) -> list[dict[str, float]]:
    """Everything in metrics.jsonl that does not depend on the clock."""
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in record.items() if name != "images_per_second"} for record in records]


def test_stopped_and_resumed_run_equals_an_uninterrupted_one(tiny: TrainConfig, tmp_path: Path) -> None:
    run_training(tiny, out=tmp_path / "whole")
    for step in (1, 3, 4):
        should_stop, watch = stop_after(step)
        stopped = run_training(tiny, out=tmp_path / "parts", callbacks=[watch], should_stop=should_stop)
        assert stopped.interrupted
        assert stopped.steps == step
    run_training(tiny, out=tmp_path / "parts")
    assert_same_run(tmp_path / "whole", tmp_path / "parts")


def test_more_steps_on_a_finished_run_equal_one_longer_run(tiny: TrainConfig, tmp_path: Path) -> None:
    run_training(tiny, out=tmp_path / "whole")
    run_training(tiny.model_copy(update={"steps": 3}), out=tmp_path / "parts")
    run_training(tiny, out=tmp_path / "parts", resume="auto")
    one, other = (load_newest_state(tmp_path / name / "state") for name in ("whole", "parts"))
    assert one is not None
    assert other is not None
    assert_same_files(one.folder / "00000006.safetensors", other.folder / "00000006.safetensors")


@pytest.mark.parametrize("change", [{"channels_last": True}, {"accumulate": 2}, {"precision": "bfloat16"}])
def test_resume_is_exact_with(change: dict[str, object], tiny: TrainConfig, tmp_path: Path) -> None:
    config = tiny.model_copy(update={**change, "steps": 4})
    run_training(config, out=tmp_path / "whole")
    should_stop, watch = stop_after(1)
    run_training(config, out=tmp_path / "parts", callbacks=[watch], should_stop=should_stop)
    run_training(config, out=tmp_path / "parts")
    assert_same_run(tmp_path / "whole", tmp_path / "parts")


def test_accumulated_batch_gives_the_losses_of_the_whole_batch(tiny: TrainConfig, tmp_path: Path) -> None:
    # Without batch statistics, which parts of a batch do not share.
    config = tiny.model_copy(
        update={"model": tiny.model.model_copy(update={"arguments": {"width": 4, "depth": 2, "norm": "none"}})}
    )
    whole = run_training(config, out=tmp_path / "whole").losses
    parts = run_training(config.model_copy(update={"accumulate": 3}), out=tmp_path / "parts").losses
    torch.testing.assert_close(torch.tensor(whole), torch.tensor(parts), atol=1e-4, rtol=1e-4)


def test_an_exception_of_a_callback_saves_the_step_and_propagates(tiny: TrainConfig, tmp_path: Path) -> None:
    class CancelledError(Exception):
        pass

    def cancel(event: Event) -> None:
        if isinstance(event, StepDone) and event.step == 3:
            raise CancelledError

    with pytest.raises(CancelledError):
        run_training(tiny, out=tmp_path / "parts", callbacks=[cancel])
    state = load_newest_state(tmp_path / "parts" / "state")
    assert state is not None
    assert state.step == 3
    run_training(tiny, out=tmp_path / "parts")
    run_training(tiny, out=tmp_path / "whole")
    assert_same_run(tmp_path / "whole", tmp_path / "parts")


def test_an_incomplete_newer_state_is_skipped(tiny: TrainConfig, tmp_path: Path) -> None:
    out = tmp_path / "run"
    run_training(tiny, out=out)
    newest = out / "state" / "00000006.safetensors"
    newest.write_bytes(newest.read_bytes()[:-8])
    state = load_newest_state(out / "state")
    assert state is not None
    assert state.step == 4
    assert state.damaged == ("00000006.json",)


def test_foreign_files_in_a_run_folder_survive(tiny: TrainConfig, tmp_path: Path) -> None:
    out = tmp_path / "run"
    (out / "state").mkdir(parents=True)
    foreign = [out / "notes.txt", out / "state" / "00000001.json", out / "state" / ".x.part.json", out / "samples.txt"]
    for path in foreign:
        path.write_text("{}")
    run_training(tiny, out=out)
    assert all(path.read_text() == "{}" for path in foreign)


def test_a_state_of_another_architecture_is_rejected_in_one_line(tiny: TrainConfig, tmp_path: Path) -> None:
    run_training(tiny.model_copy(update={"steps": 1}), out=tmp_path / "run")
    other = tiny.model_copy(update={"model": tiny.model.model_copy(update={"arguments": {"width": 8}})})
    with pytest.raises(RunError, match=r"arguments.*set resume to none"):
        run_training(other, out=tmp_path / "run", resume="auto")


def test_a_plain_second_run_starts_next_to_a_finished_one_and_resumes_an_unfinished_one(
    tiny: TrainConfig, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    first = run_training(tiny, out=out, resume="unfinished")
    second = run_training(tiny, out=out, resume="unfinished")
    assert first.path.parent == out
    assert second.path.parent == tmp_path / "run-2"
    should_stop, watch = stop_after(1)
    third = run_training(tiny, out=out, resume="unfinished", callbacks=[watch], should_stop=should_stop)
    assert third.path.parent == tmp_path / "run-3"
    fourth = run_training(tiny, out=out, resume="unfinished")
    assert fourth.path.parent == tmp_path / "run-3"
    assert fourth.steps == tiny.steps


def test_two_trainers_in_one_folder_are_rejected(tiny: TrainConfig, tmp_path: Path) -> None:
    from training.runs.lock import LockedError

    def start_another(event: Event) -> None:
        if isinstance(event, StepDone):
            run_training(tiny, out=tmp_path / "run")

    with pytest.raises(LockedError, match="another training"):
        run_training(tiny, out=tmp_path / "run", callbacks=[start_another])


def test_killed_run_resumes_to_the_same_weights(tiny: TrainConfig, tmp_path: Path, fork_server: BaseContext) -> None:
    from training.config import dump_config

    config = tmp_path / "config.yaml"
    config.write_text(dump_config(tiny))
    program = (
        "import os, signal; from pathlib import Path\n"
        "from training.config import load_recipe; from training.engine.session import run_training\n"
        "from training.events import StepDone\n"
        "def kill(event):\n"
        "    if isinstance(event, StepDone) and event.step == 5: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"run_training(load_recipe({str(config)!r}), out=Path({str(tmp_path / 'parts')!r}), callbacks=[kill])\n"
    )
    process = fork_server.Process(target=exec, args=(program, {}))
    process.start()
    process.join()
    assert process.exitcode == -9
    run_training(tiny, out=tmp_path / "parts")
    run_training(tiny, out=tmp_path / "whole")
    assert_same_run(tmp_path / "whole", tmp_path / "parts")
