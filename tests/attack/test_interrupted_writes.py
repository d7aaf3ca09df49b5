"""A kill or a disk fault at any writing system call loses nothing and leaves nothing behind.

`pytest -m attack` tries every moment. `LIMINAL_ATTACK_STRIDE` tries only every n-th, from `LIMINAL_ATTACK_START` on, so
that the whole can be done in parts.

A kill leaves the folder as it is at that moment: one undisturbed run is stopped before each of its calls and the folder
copied; the command is then repeated on every copy that differs from the one before it.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from ..training.conftest import draw_picture, tiny_values
from . import faults
from .tracing import KILL, REMOVING, Answer, Call, supported

pytestmark = [
    pytest.mark.attack,
    pytest.mark.skipif(not supported(), reason="system calls can only be stopped on Linux on x86-64"),
]

STRIDE = int(os.environ.get("LIMINAL_ATTACK_STRIDE", "1"))
START = int(os.environ.get("LIMINAL_ATTACK_START", "1"))
KILLS = range(START, 401, STRIDE)
FAULTS = range(START, 101, STRIDE)
COMMANDS = ("run", "prepare", "evaluate", "sweep", "inpaint")

Line = Callable[[Path], list[str]]


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """See `lay_ground`."""
    return lay_ground(tmp_path_factory.mktemp("ground"))


def lay_ground(base: Path) -> Path:
    """Pictures, a recipe, a sweep and a model in an empty folder, as input of the commands."""
    for folder, count in (("pictures", 8), ("few", 3)):
        (base / folder).mkdir()
        for number in range(count):
            draw_picture(number).save(base / folder / f"{number}.png")
    values = tiny_values(base / "pictures")
    (base / "tiny.yaml").write_text(yaml.safe_dump(values))
    losses = {name: {"objective": {"loss": name}} for name in ("l1", "mse")}
    short = {"steps": 3, "preview_every": 3, "checkpoint_every": 3}
    base_values = {name: value for name, value in (values | short).items() if name != "name"}
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
    return {name: leave(line, ground, ground / f"quiet {name}") for name, line in lines(ground).items()}


def leave(line: Line, ground: Path, out: Path) -> dict[str, str]:
    """The results of an undisturbed command in a new folder: see `faults.contents`."""
    out.mkdir()
    outcome = faults.run(line(out), ground / "log")
    assert outcome.code == 0, outcome.said
    return faults.contents(out)


def raw(folder: Path) -> str:
    """Digest of all names and bytes below a folder."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        digest.update(f"{path.relative_to(folder)}\0".encode())
        if path.is_file():
            digest.update(path.read_bytes())
    return digest.hexdigest()


def left_by_kills(line: Line, ground: Path, work: Path) -> dict[int, Path]:
    """Copies of what the command has written at each of the calls `KILLS`, without duplicates."""
    out, found, latest = work / "out", {}, ""
    out.mkdir()

    def look(call: Call) -> Answer:
        nonlocal latest
        if call.number in KILLS and raw(out) != latest:
            latest = raw(out)
            found[call.number] = work / f"at {call.number}"
            shutil.copytree(out, found[call.number])
        return None

    outcome = faults.run(line(out), ground / "log", look, work)
    assert outcome.code == 0, outcome.said
    shutil.rmtree(out)
    return found


@pytest.mark.parametrize("name", COMMANDS)
def test_a_kill_at_any_write_loses_nothing(name: str, ground: Path, references, tmp_path: Path) -> None:
    wrong, line, out = [], lines(ground)[name], tmp_path / "out"
    found = left_by_kills(line, ground, tmp_path)
    for number, left in found.items():
        left.rename(out)
        wrong += complaints(f"killed at {number}", faults.run(line(out), ground / "log"), out, references[name])
        shutil.rmtree(out)
    print(f"{name}: {len(found)} different states, {len(wrong)} wrong")
    assert found
    assert not wrong, "\n".join(wrong)


def test_what_a_kill_leaves_is_what_was_copied(ground: Path, tmp_path: Path) -> None:
    line, out = lines(ground)["run"], tmp_path / "out"
    for number, left in list(left_by_kills(line, ground, tmp_path).items())[:60:10]:
        out.mkdir()
        killed = faults.run(
            line(out), ground / "log", lambda call, at=number: KILL if call.number == at else None, tmp_path
        )
        assert killed.code == -9
        assert sorted(nameless(out)) == sorted(nameless(left))
        shutil.rmtree(out)


def nameless(folder: Path) -> list[str]:
    """Names in a folder, without the random part of temporary files' names."""
    names = [str(path.relative_to(folder)) for path in folder.rglob("*")]
    return [name.rsplit(".", 3)[0] + "part" if ".part" in name else name for name in names]


def disturb(
    line: Line, number: int, lasting: bool, ground: Path, work: Path, reference: dict[str, str]
) -> tuple[bool, list[str]]:
    """Let a command's call of this number fail (and all after it), then repeat the command: returns whether there is
    such a call, and what was wrong."""
    met: list[Call] = []

    def answer(call: Call) -> Answer:
        if call.number != number and not (lasting and call.number > number):
            return None
        met.append(call)
        return errno.EIO if call.name in REMOVING else errno.ENOSPC

    out = work / "out"
    out.mkdir()
    hurt = faults.run(line(out), ground / "log", answer, work)
    wrong = []
    if met:
        at = f"{'from' if lasting else 'at'} {number} ({met[0].name} {Path(met[0].path).name})"
        if hurt.traceback or "Errno" in hurt.said:
            wrong.append(f"{at}: {hurt.said[-300:]}")
        if hurt.code == 0:
            wrong += complaints(f"{at}, exit code 0", hurt, out, reference)
        else:
            if not hurt.said.strip():
                wrong.append(f"{at}: exit code {hurt.code} without a word")
            wrong += complaints(f"{at}, repeated", faults.run(line(out), ground / "log"), out, reference)
    shutil.rmtree(out)
    return bool(met), wrong


@pytest.mark.parametrize("lasting", [False, True], ids=["once", "for-ever"])
@pytest.mark.parametrize("name", COMMANDS)
def test_a_disk_fault_at_any_write_is_reported_or_recovered_from(
    name: str, lasting: bool, ground: Path, references, tmp_path: Path
) -> None:
    wrong, count = [], 0
    for number in FAULTS:
        there, found = disturb(lines(ground)[name], number, lasting, ground, tmp_path, references[name])
        if not there:
            break  # it has fewer calls than this
        wrong += found
        count += 1
    print(f"{name}: {count} faults, {len(wrong)} wrong")
    assert count
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", COMMANDS)
def test_output_that_cannot_be_printed_loses_nothing(name: str, ground: Path, references, tmp_path: Path) -> None:
    line, out = lines(ground)[name], tmp_path / "out"
    out.mkdir()
    mute = faults.run(line(out), Path("/dev/full"))
    again = faults.run(line(out), ground / "log") if mute.code else mute
    assert not complaints(f"exit code {mute.code}, repeated", again, out, references[name])


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
