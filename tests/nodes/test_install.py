"""install.py, which ComfyUI-Manager runs, and the pack's door."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

import pytest

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
    assert "all packages are there" in capsys.readouterr().out


def test_outside_of_custom_nodes_nothing_is_created(install, tmp_path):
    (tmp_path / "somewhere").mkdir()
    assert install.main(tmp_path / "somewhere") == 0
    assert [path.name for path in tmp_path.rglob("*")] == ["somewhere"]


def test_missing_packages_are_named_by_what_to_install(install, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(install, "REQUIRED", {"torch": "torch", "no_such_module": "no-such-package"})
    assert install.main(tmp_path) == 1
    assert "missing packages: no-such-package. Install them" in capsys.readouterr().out


def test_what_is_checked_is_what_is_required(install):
    lines = (ROOT / "requirements.txt").read_text().split()
    names = {re.split(r"[<>=]", line)[0] for line in lines}
    assert names == set(install.REQUIRED.values()) - {"torch"}


def test_the_pack_comes_last_on_the_path_and_only_once(pack):
    assert sys.path.count(str(ROOT)) == 1
    before = sys.path.index(str(ROOT))
    pack.__spec__.loader.exec_module(pack)
    assert sys.path.index(str(ROOT)) == before
