"""Every import contract fails on a tree that violates it, and every wing is covered by one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # put there by pytest

ROOT = Path(__file__).resolve().parents[1]
CONTRACTS = {
    contract["id"]: contract
    for contract in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
}
LAYERED = [name for name, contract in CONTRACTS.items() if contract["type"] == "layers"]
# For every contract, one import that it forbids.
FORBIDDEN = {
    "library": ("inpaint_core/commands/info.py", "from training.config import TrainConfig"),
    "training": ("training/engine/session.py", "import folder_paths"),
    "demo": ("demo/filling.py", "from training.config import TrainConfig"),
    "demo-layers": ("demo/holes.py", "import gradio"),
    "library-wings": ("inpaint_core/inpainting/inpaint.py", "from ..checkpoints.files import load_model"),
    "mask-wings": ("inpaint_core/masks/superpixels/slic.py", "from ..generators.registry import generate"),
    "networks": ("inpaint_core/models/unet.py", "from ..files.images import decode_image"),
    "training-wings": ("training/dataset/scan.py", "from ..engine.loop import Keeper"),
    "recipes": ("training/config.py", "from .objectives.objective import Objective"),
}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the packages' sources and of the contracts."""
    copy = tmp_path_factory.mktemp("tree")
    for package in ("inpaint_core", "training", "demo"):
        shutil.copytree(
            ROOT / package, copy / package, ignore=shutil.ignore_patterns("weights", "*.yaml", "__pycache__")
        )
    shutil.copy(ROOT / "pyproject.toml", copy)
    return copy


@contextmanager
def changed(tree: Path, added: Mapping[str, str]) -> Iterator[None]:
    """Lines temporarily appended to files; missing files are created."""
    before = {name: (tree / name).read_text() if (tree / name).exists() else None for name in added}
    try:
        for name, lines in added.items():
            (tree / name).write_text(f"{before[name] or ''}\n{lines}\n")
        yield
    finally:
        for name, text in before.items():
            if text is None:
                (tree / name).unlink()
            else:
                (tree / name).write_text(text)


def lint(tree: Path, *contracts: str) -> tuple[int, str]:
    """Exit code and output of lint-imports in a tree."""
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()", "--no-logo"]
    command += [part for name in contracts for part in ("--contract", name)]
    environment = os.environ | {"PYTHONPATH": str(tree), "COLUMNS": "200"}
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, timeout=120)
    return done.returncode, " ".join((done.stdout + done.stderr).split())


def wings(contract: Mapping[str, object]) -> list[list[str]]:
    """The modules of a contract's layers that exist, from the top down."""
    container = contract["containers"][0]
    folder = ROOT / container.replace(".", "/")
    names = [[name.strip(" ()") for name in layer.split("|")] for layer in contract["layers"]]
    return [
        [f"{container}.{name}" for name in layer if (folder / name).is_dir() or (folder / f"{name}.py").is_file()]
        for layer in names
    ]


def source_of(module: str) -> str:
    path = module.replace(".", "/")
    return f"{path}/__init__.py" if (ROOT / path).is_dir() else f"{path}.py"


def test_the_tree_keeps_every_contract(tree: Path) -> None:
    code, said = lint(tree)
    assert code == 0, said
    assert f"{len(CONTRACTS)} kept, 0 broken" in said


@pytest.mark.parametrize("name", CONTRACTS)
def test_a_forbidden_import_breaks_the_contract(tree: Path, name: str) -> None:
    file, line = FORBIDDEN[name]
    with changed(tree, {file: line}):
        code, said = lint(tree, name)
    assert code == 1, said
    assert f"{CONTRACTS[name]['name']} BROKEN" in said
    assert f"{file.removesuffix('.py').replace('/', '.')} ->" in said


@pytest.mark.parametrize("name", LAYERED)
def test_no_wing_imports_the_one_above_it_or_next_to_it(tree: Path, name: str) -> None:
    layers = wings(CONTRACTS[name])
    forbidden = [(low, above[0]) for above, below in pairwise(layers) for low in below]
    forbidden += [(one, other) for layer in layers for one in layer for other in layer if one != other]
    added: dict[str, str] = {}
    for importer, imported in forbidden:
        added[source_of(importer)] = added.get(source_of(importer), "") + f"\nimport {imported}"
    with changed(tree, added):
        code, said = lint(tree, name)
    assert code == 1
    missed = [pair for pair in forbidden if f"{pair[0]} is not allowed to import {pair[1]}:" not in said]
    assert not missed


@pytest.mark.parametrize("name", LAYERED)
def test_a_new_wing_needs_a_place(tree: Path, name: str) -> None:
    container = CONTRACTS[name]["containers"][0]
    with changed(tree, {f"{container.replace('.', '/')}/annex.py": ""}):
        code, said = lint(tree, name)
    assert code == 1
    assert f"{container}.annex" in said


@pytest.mark.parametrize("name", LAYERED)
def test_contributing_lists_every_wing(name: str) -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    missing = [wing for layer in wings(CONTRACTS[name]) for wing in layer if f"`{wing.rpartition('.')[2]}`" not in text]
    assert not missing
