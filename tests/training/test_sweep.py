"""`python -m training.sweep`: every combination runs once, whatever happens, and all are measured in the same way."""

from __future__ import annotations

import errno
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from inpaint_core import load_model
from training import sweep as command
from training.callbacks.metrics_log import read_metrics
from training.config import ConfigError
from training.dataset.samples import Samples
from training.engine.session import StoppedError
from training.runs.folder import RunError, RunFolder, cannot_write
from training.sweep import Request, run_sweep
from training.sweeps.config import make_sweep, read_sweep
from training.sweeps.runs import Bench, Runs
from training.sweeps.statistics import analyze, answer, estimate

from .conftest import draw_picture

# `LIMINAL_KILLS=3 pytest tests/training/test_sweep.py` is the full measure.
KILLS = min(int(os.environ.get("LIMINAL_KILLS", "1")), 3)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """As in the processes started here, because more threads round sums differently."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty pictures."""
    folder = tmp_path_factory.mktemp("album")
    for number in range(20):
        draw_picture(number, 40, 36).save(folder / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def quiet(album: Path, tmp_path_factory: pytest.TempPathFactory, one_thread: None) -> Path:
    """The finished, undisturbed sweep of `grid`."""
    out = tmp_path_factory.mktemp("quiet") / "out"
    run_sweep(Request(grid(album), out))
    return out


def grid(album: Path, **changes: object) -> dict[str, Any]:
    """Two models, two losses; a few steps each."""
    values: dict[str, Any] = {
        "name": "tiny grid",
        "base": {
            "steps": 6,
            "batch_size": 2,
            "device": "cpu",
            "data": {"folder": str(album), "size": 32, "shorter_side": 36, "held_out": 0.2},
            "masks": {"sources": [{"name": "rectangles"}], "hole_ratio": [0.1, 0.3]},
            "validation": {"every": 2, "samples": 4},
            "preview_every": 100,
            "checkpoint_every": 2,
        },
        "axes": {
            "model": {
                "unet": {"model": {"architecture": "unet", "arguments": {"width": 4, "max_width": 4, "depth": 1}}},
                "encoder_decoder": {"model": {"architecture": "encoder_decoder", "arguments": {"width": 2}}},
            },
            "loss": {"l1": {"objective": {"loss": "l1"}}, "mse": {"objective": {"loss": "mse"}}},
        },
        "seeds": [0],
        "test": {"share": 0.3, "samples": 6},
    }
    return values | changes


def results(out: Path) -> dict[str, Any]:
    """`results.json` without what depends on the clock."""
    values = json.loads((out / "results.json").read_text())
    for run in values["runs"]:
        del run["seconds"]
    return values


def test_every_combination_is_run_once_and_measured_in_the_holes_of_the_same_crops(album: Path, tmp_path: Path) -> None:
    request = Request(grid(album, seeds=[0, 1]), tmp_path / "out")
    answers = run_sweep(request)
    found = results(tmp_path / "out")
    assert [(run["levels"]["model"], run["levels"]["loss"], run["seed"]) for run in found["runs"]] == [
        (model, loss, seed) for seed, model, loss in product((0, 1), ("unet", "encoder_decoder"), ("l1", "mse"))
    ]
    assert found["answers"] == answers
    # Recomputed pixel by pixel, independent of a run's training settings.
    sweep = make_sweep(request.values)
    bench = Bench(sweep)
    pictures = bench.pictures(sweep.base.data, 0.2)
    names = [{record.file for record in part} for part in (pictures.dataset.train, pictures.dataset.held_out)]
    tested = {record.file for record in pictures.test}
    assert len(names[0] | names[1] | tested) == 20 == len(names[0]) + len(names[1]) + len(tested)
    masks = sweep.base.masks
    batch = Samples(pictures.test, sweep.base.data, masks, seed=0, device=torch.device("cpu"), augment=False).batch(
        0, 6
    )
    for run in found["runs"]:
        model = load_model(tmp_path / "out" / "runs" / run["name"] / "model.safetensors")
        output = np.round(model.complete(batch.image, batch.mask).numpy() * 255.0) / 255.0
        scores = []
        for made, truth, mask in zip(output, batch.image.numpy(), batch.mask.numpy(), strict=True):
            error = (made - truth)[:, mask[0] == 1.0]
            scores.append((-10 * math.log10((error**2).mean()), np.abs(error).mean(), (error**2).mean()))
        wanted = np.mean(scores, 0)
        assert [run["metrics"][name] for name in ("hole_psnr", "hole_l1", "hole_mse")] == pytest.approx(wanted, 1e-4)
        # The best step was chosen on other pictures.
        report = json.loads((tmp_path / "out" / "runs" / run["name"] / "dataset_report.json").read_text())
        assert tested.isdisjoint({*report["training"], *report["held_out"]})
        looked = [line["step"] for line in read_metrics(RunFolder(tmp_path / "out" / "runs" / run["name"]).metrics)]
        assert looked == [1, 2, 3, 4, 5, 6]
        lines = list(read_metrics(RunFolder(tmp_path / "out" / "runs" / run["name"]).metrics))
        assert [line["step"] for line in lines if "held_out_hole_psnr" in line] == [2, 4, 6]
    text = (tmp_path / "out" / "report.md").read_text()
    assert all(sentence in text for sentence in answers)
    assert "| *mean fill* |" in text
    for name in ("curves.png", "bars.png", "pictures.png"):
        assert len(Image.open(tmp_path / "out" / name).convert("L").getcolors() or []) > 2


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_killed_again_and_again_it_ends_with_the_results_of_a_quiet_life(
    album: Path, tmp_path: Path, quiet: Path
) -> None:
    path, out = tmp_path / "grid.yaml", tmp_path / "killed"
    path.write_text(yaml.safe_dump(grid(album), sort_keys=False))
    line = [sys.executable, "-m", "training.sweep", "--config", str(path), "--out", str(out), "--processes", "2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}

    def states() -> int:
        return len(list(out.glob("runs/*/state/[0-9]*.json")))

    def complete() -> dict[Path, int]:
        return {found: found.stat().st_mtime_ns for found in out.glob("runs/*/result.json")}

    before: dict[Path, int] = {}
    for kills in range(KILLS):
        with subprocess.Popen(line, env=environment, stdout=subprocess.DEVNULL) as process:
            while process.poll() is None and (len(complete()) <= kills or states() < 4):
                time.sleep(0.02)
            before = complete()
            process.send_signal(signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL
        assert not (out / "results.json").exists()
    # What the helper of the killed process is still busy with is finished or left by it; then all is resumed.
    assert command.main(["--config", str(path), "--out", str(out)]) == 0
    assert before
    assert before.items() <= complete().items()
    assert results(out) == results(quiet)
    assert curves_of(out) == curves_of(quiet)


def curves_of(out: Path) -> dict[str, list[tuple[int, float, float | None]]]:
    """Losses and measurements of all runs."""
    return {
        folder.name: [
            (line["step"], line["loss"], line.get("held_out_hole_psnr"))
            for line in read_metrics(RunFolder(folder).metrics)
        ]
        for folder in sorted((out / "runs").iterdir())
    }


def test_a_stop_in_the_middle_of_a_run_changes_nothing(album: Path, tmp_path: Path, quiet: Path) -> None:
    for asked in (3, 4, 9):

        def should_stop(count: list[int] = [asked]) -> bool:  # noqa: B006
            count[0] -= 1
            return count[0] < 0

        with pytest.raises(StoppedError):
            run_sweep(Request(grid(album), tmp_path / "stopped"), should_stop)
    run_sweep(Request(grid(album), tmp_path / "stopped"))
    assert results(tmp_path / "stopped") == results(quiet)
    assert curves_of(tmp_path / "stopped") == curves_of(quiet)


def test_complete_runs_are_not_repeated_and_levels_can_be_added(album: Path, tmp_path: Path, quiet: Path) -> None:
    values = grid(album)
    shutil.copytree(quiet, tmp_path / "out")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "runs").rglob("*") if path.is_file()}
    values["axes"]["loss"]["charbonnier"] = {"objective": {"loss": "charbonnier"}}
    run_sweep(Request(values, tmp_path / "out"))
    after = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "runs").rglob("*") if path.is_file()}
    assert before.items() <= after.items()
    assert len(results(tmp_path / "out")["runs"]) == 6
    # More steps resume all of them; fewer are rejected.
    run_sweep(Request(values, tmp_path / "out", steps=8))
    assert {run["steps"] for run in results(tmp_path / "out")["runs"]} == {8}
    assert all(len(curve) == 8 for curve in curves_of(tmp_path / "out").values())
    with pytest.raises(ConfigError, match="was trained for 8 steps"):
        run_sweep(Request(values, tmp_path / "out", steps=6))
    values["base"]["batch_size"] = 3
    with pytest.raises(ConfigError, match="other settings"):
        run_sweep(Request(values, tmp_path / "out", steps=8))


def test_a_run_that_diverges_is_recorded_and_the_others_continue(album: Path, tmp_path: Path) -> None:
    values = grid(album)
    del values["axes"]["loss"]
    values["axes"]["optimizer"] = {
        "adam": {"optimizer": {"name": "adam", "learning_rate": 0.001}},
        "wild": {"optimizer": {"name": "sgd", "learning_rate": 100.0, "weight_decay": 10.0}},
    }
    values["base"] |= {"steps": 25, "checkpoint_every": 40, "validation": {"every": 40, "samples": 4}}
    run_sweep(Request(values, tmp_path / "out"))
    found = results(tmp_path / "out")
    failed = [run for run in found["runs"] if run["outcome"] == "failed"]
    assert failed
    assert {run["levels"]["optimizer"] for run in failed} == {"wild"}
    assert all("not finite" in run["reason"] for run in failed)
    assert len([run for run in found["runs"] if run["outcome"] == "done"]) >= 2
    text = (tmp_path / "out" / "report.md").read_text()
    assert f"- {failed[0]['name']}: " in text
    run_sweep(Request(values, tmp_path / "out"))
    assert results(tmp_path / "out") == found


def test_a_folder_that_cannot_be_made_is_an_error_and_no_result(
    album: Path, tmp_path: Path, quiet: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "grid.yaml").write_text(yaml.safe_dump(grid(album), sort_keys=False))
    arguments = ["--config", str(tmp_path / "grid.yaml"), "--out", str(tmp_path / "out")]
    make, calls = RunFolder.make, []

    def full_once(folder: RunFolder) -> None:
        calls.append(folder)
        if len(calls) == 2:
            raise RunError(cannot_write(folder.path, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))))
        make(folder)

    monkeypatch.setattr(RunFolder, "make", full_once)
    assert command.main(arguments) == 2
    assert "No space left on device" in capsys.readouterr().err
    assert command.main(arguments) == 0
    assert results(tmp_path / "out") == results(quiet)


@pytest.mark.skipif(
    not torch.distributed.is_available() or sys.platform == "win32", reason="needs torch.distributed with gloo"
)
def test_processes_of_torchrun_share_the_runs(album: Path, tmp_path: Path, quiet: Path) -> None:
    path, out = tmp_path / "grid.yaml", tmp_path / "two"
    path.write_text(yaml.safe_dump(grid(album), sort_keys=False))
    line = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--rdzv-backend", "c10d"]
    line += ["--rdzv-endpoint", "localhost:0", "-m", "training.sweep", "--config", str(path), "--out", str(out)]
    done = subprocess.run(line, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Best model") == 1
    assert results(out) == results(quiet)


def test_a_sweep_in_use_elsewhere_is_shared_not_disturbed(album: Path, tmp_path: Path) -> None:
    """Two sweeps on one folder at the same time do each run once."""
    sweep = make_sweep(grid(album))
    bench = Bench(sweep)
    runs, others = Runs(sweep, tmp_path / "out", bench), Runs(sweep, tmp_path / "out", bench)
    mine: list[str] = []
    theirs: list[str] = []

    def meanwhile(run: Any, outcome: Any) -> None:
        mine.append(run.name)
        if len(mine) == 1:
            others.work(lambda: False, lambda run, outcome: theirs.append(run.name), wait=False)

    runs.work(lambda: False, meanwhile, wait=True)
    assert sorted([*mine, *theirs]) == sorted(run.name for run in sweep.runs)


def test_the_embedded_sweep_is_the_one_of_the_ancestor() -> None:
    sweep = make_sweep(read_sweep("landscape"))
    assert [len(levels) for levels in sweep.config.axes.values()] == [2, 5, 4]
    assert len(sweep.runs) == 2 * 5 * 4 * len(sweep.config.seeds)
    assert {run.config.objective.loss for run in sweep.runs} == {
        *("mse", "l1", "poisson", "kl_divergence", "cross_entropy"),
    }
    assert {run.config.optimizer.name for run in sweep.runs} == {"adam", "sgd", "rmsprop", "adagrad"}
    assert {run.config.optimizer.beta1 for run in sweep.runs if run.config.optimizer.name == "rmsprop"} == {0.0}


def test_intervals_are_students_and_pairs_are_paired() -> None:
    from scipy import stats

    rng = np.random.default_rng(0)
    settings = [f"s{number}" for number in range(6)]
    table = rng.normal(0, 3, (6, 1)) + np.array([[0.0, -1.0, 0.1]]) + rng.normal(0, 0.2, (6, 3))
    scores = {
        (level, setting): [float(table[row, column]) + 0.5, float(table[row, column]) - 0.5]
        for row, setting in enumerate(settings)
        for column, level in enumerate("abc")
    }
    axis = analyze({"level": list("abc"), "setting": settings}, scores)[0]
    best = axis.levels[0].name
    for level in axis.levels[1:]:
        assert level.behind is not None
        assert level.behind.half is not None
        difference = table[:, "abc".index(best)] - table[:, "abc".index(level.name)]
        low, high = stats.ttest_1samp(difference, 0.0).confidence_interval(0.95)
        assert (level.behind.mean - level.behind.half, level.behind.mean + level.behind.half) == pytest.approx(
            (low, high)
        )
    # Morey 2008: without what the settings have in common, the width by the variance within, times k / (k - 1).
    within = table - table.mean(1, keepdims=True)
    for level in axis.levels:
        assert level.mean is not None
        deviation = within[:, "abc".index(level.name)].std(ddof=1) * math.sqrt(3 / 2)
        assert level.mean.half == pytest.approx(stats.t.ppf(0.975, 5) * deviation / math.sqrt(6))
        assert level.mean.mean == pytest.approx(table[:, "abc".index(level.name)].mean())
    assert "no clear difference between" in answer(axis)
    assert "clearly worse: b." in answer(axis)
    assert estimate([1.0, 2.0]).half == pytest.approx(stats.t.ppf(0.975, 1) * 0.5)


def test_settings_where_a_level_failed_are_excluded_from_its_comparison() -> None:
    scores: dict[tuple[str, ...], list[float | None]] = {
        ("a", "x"): [3.0, 3.2],
        ("b", "x"): [1.0, 1.2],
        ("a", "y"): [9.0, 9.0],
        ("b", "y"): [None, None],
        ("a", "z"): [5.0, 5.0],
        ("b", "z"): [4.0, None],
        ("c", "x"): [None, None],
        ("c", "y"): [None, None],
        ("c", "z"): [None, None],
    }
    axis = analyze({"level": ["a", "b", "c"], "setting": ["x", "y", "z"]}, scores)[0]
    a, b, c = axis.levels
    assert (a.name, a.failed, b.failed, c.failed) == ("a", 0, 3, 6)
    assert a.mean is not None
    assert a.mean.mean == pytest.approx((3.1 + 5.0) / 2)
    assert b.behind is not None
    assert b.behind.mean == pytest.approx((2.0 + 1.0) / 2)
    assert (c.mean, c.best) == (None, None)
    assert "All runs with c failed." in answer(axis)
    alone = analyze({"level": ["a", "b"]}, {("a",): [3.0, 3.1, 3.2], ("b",): [1.0, 1.2, 1.3]})[0]
    assert alone.seeds
    assert answer(alone).startswith("Best level: a (3.10 dB on average), 1.93 dB above b")
    single = analyze({"level": ["a", "b"]}, {("a",): [3.0], ("b",): [1.0]})[0]
    assert "may be due to chance" in answer(single)
    lost = analyze({"level": ["a"]}, {("a",): [None]})[0]
    assert answer(lost) == "Best level: every run failed."


def test_bad_input_gives_one_line_and_leaves_nothing(
    album: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"

    def rejected(change: Callable[[dict[str, Any]], object], *more: str) -> str:
        values = grid(album)
        change(values)
        (tmp_path / "bad.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
        return refusal(capsys, "--config", str(tmp_path / "bad.yaml"), "--out", str(out), *more)

    assert "axes" in rejected(lambda v: v.pop("axes"))
    assert "no levels" in rejected(lambda v: v["axes"].update(empty={}))
    assert "stepz" in rejected(lambda v: v["base"].update(stepz=3))
    assert "unet-nonsense-0" in rejected(lambda v: v["axes"].update(loss={"nonsense": {"objective": {"loss": "?"}}}))
    assert "both set objective.loss" in rejected(lambda v: v["axes"].update(b={"x": {"objective": {"loss": "l1"}}}))
    assert "see seeds" in rejected(lambda v: v["axes"].update(b={"x": {"seed": 3}}))
    assert "seeds must be unique" in rejected(lambda v: v.update(seeds=[1, 1]))
    assert "multiple of" in rejected(lambda v: v["base"]["data"].update(size=33))
    assert "pix2pix" in rejected(lambda v: v["axes"].update(loss={"p": {"objective": {"name": "pix2pix"}}}))
    assert "held_out" in rejected(lambda v: v["base"]["data"].update(held_out=0.0))
    assert "no such folder" in rejected(lambda v: None, "--data", str(tmp_path / "none"))
    assert "not an integer of at least 1" in rejected(lambda v: None, "--processes", "0")
    assert "no sweep 'x'" in refusal(capsys, "--config", "x", "--out", str(out))
    assert "--out is missing" in refusal(capsys, "--config", "landscape")
    assert not out.exists()
    (out / "runs").mkdir(parents=True)
    assert "there is already a sweep here" in rejected(lambda v: None, "--resume", "none")
    (out / "results.json").write_text("[]")
    assert "not from a sweep" in rejected(lambda v: None)
    assert (out / "results.json").read_text() == "[]"


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert command.main(arguments) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert len(output.err.splitlines()) == 1
    return output.err
