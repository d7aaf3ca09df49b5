"""A kill or a disk fault at any writing system call loses nothing and leaves nothing behind.

`pytest -m attack` tests every moment that `LIMINAL_ATTACK_STRIDE` does not skip (1: all of them).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from ..training.conftest import draw_picture, tiny_values
from . import faults

pytestmark = [pytest.mark.attack]

STRIDE = int(os.environ.get("LIMINAL_ATTACK_STRIDE", "1"))
KILLS = range(1, 401, STRIDE)
FAULTS = range(1, 101, STRIDE)

Line = Callable[[Path], list[str]]


@pytest.fixture(scope="module", autouse=True)
def _injection() -> None:
    if not faults.available():
        pytest.skip("needs strace, and leave to attach it")


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the inputs of the commands: pictures, masks, a recipe, a sweep and a model."""
    base = tmp_path_factory.mktemp("ground")
    for folder, count in (("pictures", 8), ("few", 3)):
        (base / folder).mkdir()
        for number in range(count):
            draw_picture(number).save(base / folder / f"{number}.png")
    values = tiny_values(base / "pictures")
    (base / "tiny.yaml").write_text(yaml.safe_dump(values))
    losses = {name: {"objective": {"loss": name}} for name in ("l1", "mse")}
    base_values = {name: value for name, value in values.items() if name != "name"}
    sweep = {"base": base_values, "axes": {"loss": losses}, "seeds": [0], "test": {"share": 0.2, "samples": 4}}
    (base / "sweep.yaml").write_text(yaml.safe_dump(sweep))
    first = faults.run(
        ["training.run", "--config", str(base / "tiny.yaml"), "--out", str(base / "model")], base / "log"
    )
    assert first.code == 0, first.said
    return base


def lines(base: Path) -> dict[str, Line]:
    """The command lines to attack, for an output folder."""
    model = str(base / "model" / "model.safetensors")
    few = str(base / "few")
    return {
        "run": lambda out: ["training.run", "--config", str(base / "tiny.yaml"), "--out", str(out / "x")],
        "prepare": lambda out: [
            *("training.prepare", "--data", str(base / "pictures"), "--out", str(out / "x"), "--size", "32", "--tiles")
        ],
        "evaluate": lambda out: [
            *("training.evaluate", "--model", model, "mean", "--data", few, "--masks", "rectangles"),
            *("--out", str(out / "x"), "--size", "32"),
        ],
        "sweep": lambda out: ["training.sweep", "--config", str(base / "sweep.yaml"), "--out", str(out / "x")],
        "inpaint": lambda out: [
            *("inpaint_core.__main__", "inpaint", "--model", model, "--image", few, "--mask", "rectangles"),
            *("--out", str(out / "x")),
        ],
    }


@pytest.fixture(scope="module")
def references(ground: Path) -> dict[str, dict[str, str]]:
    """The results of undisturbed commands, by name."""
    found = {}
    for name, line in lines(ground).items():
        out = ground / f"quiet {name}"
        out.mkdir()
        outcome = faults.run(line(out), ground / "log")
        assert outcome.code == 0, outcome.said
        found[name] = faults.contents(out)
    return found


@pytest.mark.parametrize("name", ["run", "prepare", "evaluate", "sweep", "inpaint"])
def test_a_kill_at_any_write_loses_nothing(name: str, ground: Path, references, tmp_path: Path) -> None:
    wrong = []
    for number in KILLS:
        out = tmp_path / "out"
        out.mkdir()
        killed = faults.run(lines(ground)[name](out), tmp_path / "log", f"signal=KILL:when={number}")
        again = faults.run(lines(ground)[name](out), tmp_path / "log") if killed.code else killed
        wrong += complaints(f"kill at {number}", again, out, references[name])
        if killed.traceback:
            wrong.append(f"kill at {number}: traceback before it")
        shutil.rmtree(out)
        if killed.code == 0:
            break  # it has fewer writes than this
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("lasting", [False, True], ids=["once", "for-ever"])
@pytest.mark.parametrize("name", ["run", "prepare", "evaluate", "sweep", "inpaint"])
def test_a_disk_fault_at_any_write_is_reported_or_recovered_from(
    name: str, lasting: bool, ground: Path, references, tmp_path: Path
) -> None:
    wrong = []
    for number in FAULTS:
        out = tmp_path / "out"
        out.mkdir()
        fault = f"error=ENOSPC:when={number}{'+' if lasting else ''}"
        hurt = faults.run(lines(ground)[name](out), tmp_path / "log", fault)
        if hurt.traceback:
            wrong.append(f"{fault}: traceback {hurt.said[-300:]}")
        if hurt.code == 0:
            wrong += complaints(f"{fault}, exit code 0", hurt, out, references[name])
        else:
            again = faults.run(lines(ground)[name](out), tmp_path / "log")
            wrong += complaints(f"{fault}, repeated", again, out, references[name])
        shutil.rmtree(out)
    assert not wrong, "\n".join(wrong)


def complaints(when: str, outcome: faults.Outcome, out: Path, reference: dict[str, str]) -> list[str]:
    """Differences from the results of an undisturbed command."""
    found = []
    if outcome.code != 0:
        found.append(f"{when}: exit code {outcome.code}: {outcome.said[-300:]}")
    if outcome.traceback:
        found.append(f"{when}: traceback")
    contents = faults.contents(out) if outcome.code == 0 else reference
    for name in sorted(contents.keys() | reference.keys()):
        if contents.get(name) != reference.get(name):
            found.append(f"{when}: {name} differs: {contents.get(name)!r:.200} for {reference.get(name)!r:.200}")
    return found
