"""Folders divided among torchrun's processes: together they write what one would."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inpaint_core.__main__ import main
from inpaint_core.processes import share_of

NAMES = [f"{number}.png" for number in range(5)]


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number, name in enumerate(NAMES):
        coarse = np.random.default_rng(number).integers(0, 256, (4, 5, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((50, 40)).save(folder / name)
    return folder


def as_process(monkeypatch: pytest.MonkeyPatch, rank: int, count: int) -> None:
    monkeypatch.setenv("RANK", str(rank))
    monkeypatch.setenv("WORLD_SIZE", str(count))


@pytest.mark.parametrize(
    "command",
    [["inpaint", "--model", "telea", "--mask", "strokes", "--image"], ["translate", "--model", "see-waves", "--input"]],
    ids=["inpaint", "translate"],
)
def test_processes_write_together_what_one_writes(
    command: list[str],
    pictures: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if command[0] == "translate":
        for name in NAMES[2:]:
            (pictures / name).unlink()
    assert main([*command, str(pictures), "--out", str(tmp_path / "one")]) == 0
    written = set()
    for rank in range(2):
        as_process(monkeypatch, rank, 2)
        assert main([*command, str(pictures), "--out", str(tmp_path / "two")]) == 0
        assert f"(process {rank + 1} of 2)" in capsys.readouterr().out
        now = {path.name for path in (tmp_path / "two").iterdir()}
        assert now > written
        written = now
    for path in (tmp_path / "one").iterdir():
        assert (tmp_path / "two" / path.name).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_every_picture_belongs_to_exactly_one_process(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    shares = []
    for rank in range(count):
        as_process(monkeypatch, rank, count)
        shares += share_of(NAMES)
    assert sorted(shares) == NAMES


def test_what_cannot_be_divided_is_refused(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    as_process(monkeypatch, 0, 2)
    files = ["--image", str(pictures / NAMES[0]), "--out", str(tmp_path / "out.png")]
    assert main(["inpaint", "--model", "telea", "--mask", "strokes", *files]) == 2
    assert "a single picture cannot be divided among 2 processes" in capsys.readouterr().err
    assert main(["translate", "--model", "see-waves", "--input", str(pictures), "--out", str(tmp_path / "a.mp4")]) == 2
    assert "a clip cannot be divided" in capsys.readouterr().err
    monkeypatch.setenv("WORLD_SIZE", "many")
    assert main(["inpaint", "--model", "telea", "--mask", "strokes", *files]) == 2
    assert "WORLD_SIZE is 'many'" in capsys.readouterr().err
