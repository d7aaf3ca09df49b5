"""`python -m training.run`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from training import run
from training.config import ConfigError, TrainConfig, dump_config, load_recipe, parse_config, recipe_names
from training.engine.session import run_training
from training.runs.folder import RunFolder

from .conftest import draw_picture


@pytest.fixture
def recipe(tiny: TrainConfig, tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(dump_config(tiny))
    return path


def rejected(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """Run, expect exit code 2 and one line on standard error, return it."""
    code = run.main([str(argument) for argument in arguments])
    error = capsys.readouterr().err
    assert code == 2
    assert error.count("\n") == 1
    assert "Traceback" not in error
    return error


@pytest.mark.parametrize("name", recipe_names())
def test_recipes_are_complete_configurations(name: str) -> None:
    config = load_recipe(name)
    assert parse_config(yaml.safe_load(dump_config(config))) == config


def test_options_are_laid_over_the_recipe(recipe: Path, tmp_path: Path) -> None:
    arguments = ["--config", str(recipe), "--steps", "9", "--data", "somewhere", "--optimizer.learning_rate", "0.5"]
    arguments += ["--data.size=48", "--model.arguments", '{"width": 6}', "--masks.hole_ratio", "[0.2, 0.3]"]
    config, out, resume = run.read_command_line([*arguments, "--channels_last", "true"])
    tiny = load_recipe(recipe)
    assert (config.steps, config.data.folder, config.data.size) == (9, "somewhere", 48)
    assert config.optimizer == tiny.optimizer.model_copy(update={"learning_rate": 0.5})
    assert config.model.arguments["width"] == 6
    assert config.masks.hole_ratio == (0.2, 0.3)
    assert config.channels_last
    assert config.data.held_out == tiny.data.held_out
    assert (out, resume) == (Path("runs/tiny"), "unfinished")


def test_trains_and_says_where_everything_is(recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(["--config", str(recipe), "--out", str(tmp_path / "a b")]) == 0
    output = capsys.readouterr().out
    assert "mean fill" in output
    assert f"--model '{tmp_path / 'a b' / 'model.safetensors'}'" in output


def test_steps_then_twice_the_steps_with_resume_is_one_run(recipe: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "run")
    assert run.main(["--config", str(recipe), "--out", out, "--steps", "2"]) == 0
    assert run.main(["--out", out, "--steps", "4", "--resume", "auto"]) == 0
    assert run.main(["--resume", out, "--steps", "5"]) == 0
    assert len((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()) == 5


def test_bad_inputs_give_one_line_and_leave_nothing(
    recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "0 usable pictures" in rejected(capsys, "--config", recipe, "--out", out, "--data", empty)
    assert "no such folder" in rejected(capsys, "--config", recipe, "--out", out, "--data", tmp_path / "none")
    assert "no recipe" in rejected(capsys, "--config", "nonsense", "--out", out)
    assert "steps" in rejected(capsys, "--config", recipe, "--out", out, "--steps", "0")
    assert "steps" in rejected(capsys, "--config", recipe, "--out", out, "--steps", "many")
    assert "nonsense" in rejected(capsys, "--config", recipe, "--out", out, "--nonsense", "1")
    assert "learning_rate" in rejected(capsys, "--config", recipe, "--out", out, "--optimizer.learning_rate", "-1")
    assert "multiple of" in rejected(capsys, "--config", recipe, "--out", out, "--data.size", "33")
    assert "no complete state" in rejected(capsys, "--resume", tmp_path / "none")
    assert "unknown architecture" in rejected(capsys, "--config", recipe, "--out", out, "--model.architecture", "x")
    assert "unknown mask" in rejected(capsys, "--config", recipe, "--out", out, "--masks.sources", '[{"name": "x"}]')
    assert not out.exists()


def test_an_output_path_that_cannot_be_written_gives_one_line(
    recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("mine")
    assert "not a folder" in rejected(capsys, "--config", recipe, "--out", tmp_path / "file" / "run")
    assert "not a folder" in rejected(capsys, "--config", recipe, "--out", tmp_path / "file")
    assert "cannot be written" in rejected(capsys, "--config", recipe, "--out", "/proc/run")
    assert (tmp_path / "file").read_text() == "mine"


def test_three_good_and_five_broken_pictures_train_on_the_three_and_list_the_five(
    recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "mixed"
    folder.mkdir()
    for number in range(3):
        draw_picture(number).save(folder / f"good{number}.png")
    for number in range(5):
        (folder / f"broken{number}.jpg").write_bytes(b"\xff\xd8\xff" + bytes(number * 100))
    assert (
        run.main(["--config", str(recipe), "--out", str(tmp_path / "run"), "--data", str(folder), "--steps", "2"]) == 0
    )
    output = "".join(capsys.readouterr())
    assert all(f"broken{number}.jpg (broken)" in output for number in range(5))


def test_ctrl_c_finishes_the_step_saves_and_ends_with_130(recipe: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    command = [sys.executable, "-m", "training.run", "--config", recipe, "--out", out, "--steps", "100000"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        metrics = RunFolder(out).metrics
        while process.poll() is None and (not metrics.exists() or metrics.read_text().count("\n") < 3):
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGINT)
        _, output = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"--resume {out}" in output
    tiny = load_recipe(recipe)
    steps = metrics.read_text().count("\n")
    result = run_training(tiny.model_copy(update={"steps": steps + 1}), out=out)
    assert result.steps == steps + 1


def test_configuration_names_every_mistake_in_one_line() -> None:
    with pytest.raises(ConfigError, match=r"data\.size.*stepz") as caught:
        parse_config({"stepz": 1, "data": {"size": 1}})
    assert "\n" not in str(caught.value)


def test_importing_the_command_loads_nothing_heavy() -> None:
    heavy = ("cv2", "skimage", "torchmetrics", "pydantic_settings", "tensorboard", "wandb")
    program = f"import sys, training.run, training.engine.session; print([m for m in {heavy} if m in sys.modules])"
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert output.strip() == "[]"


@pytest.mark.skipif(sys.platform != "linux", reason="needs /dev/full")
def test_a_command_that_cannot_print_its_message_still_ends_with_its_exit_code() -> None:
    # Each in its own process, which ends as any other; forked, so that torch is imported once.
    program = """
import os, runpy, sys
import inpaint_core, training.config
for module in ("training.run", "training.sweep", "training.evaluate"):
    if child := os.fork():
        print(module, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
    else:
        sys.argv = [module, "--no-such-option", "1"]
        runpy.run_module(module, run_name="__main__", alter_sys=True)
"""
    with Path("/dev/full").open("w") as full:
        line = [sys.executable, "-c", program]
        done = subprocess.run(line, stdout=subprocess.PIPE, stderr=full, text=True, check=True)
    assert done.stdout.splitlines() == ["training.run 2", "training.sweep 2", "training.evaluate 2"]
