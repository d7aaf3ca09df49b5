"""Loads the pack as ComfyUI does, on a stand-in for the host."""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
STAND_IN = Path(__file__).with_name("stand_in")

# What Mask from Superpixels is given where a test says nothing else.
SLIC_DEFAULTS = dict(
    segments=30,
    compactness=10.0,
    all_but=False,
    seed=0,
    combine="add",
    picture="borders",
    split=False,
    max_side=1024,
    refine=False,
    clip=False,
)


def load_pack() -> ModuleType:
    """The pack's root package under a name made from its path, as in the host's loader."""
    name = str(ROOT).replace(".", "_x_")
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(
            name, ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
        )
        assert spec
        assert spec.loader
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


@pytest.fixture(scope="session")
def pack() -> ModuleType:
    """The pack, loaded."""
    sys.path.insert(0, str(STAND_IN))
    return load_pack()


@pytest.fixture(scope="session")
def nodes(pack: ModuleType) -> ModuleType:
    """The pack's `nodes` package."""
    return importlib.import_module(f"{pack.__name__}.nodes")


@pytest.fixture
def host(nodes: ModuleType, tmp_path: Path) -> ModuleType:
    """`nodes.host` with an empty ComfyUI in `tmp_path` and Cancel not pressed."""
    import comfy.model_management
    import comfy.utils
    import folder_paths

    comfy.model_management.interrupted = False
    comfy.model_management.calls.clear()
    comfy.utils.updates.clear()
    folder_paths.set_base(tmp_path / "comfyui")
    module = importlib.import_module(f"{nodes.__name__}.host")
    module.register_model_folder()
    return module


@pytest.fixture
def said(nodes: ModuleType, host: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Texts shown on nodes, as sent to a client watching a graph in which they all have number 7."""
    from comfy_api.v0_0_2 import io
    from server import PromptServer

    monkeypatch.setattr(io.ComfyNode, "hidden", io.HiddenHolder(unique_id="7"))
    sent: list[str] = []

    def record(text: str, node_id: str, sid: str | None = None) -> None:
        assert (node_id, sid) == ("7", "watcher")
        sent.append(text)

    monkeypatch.setattr(PromptServer.instance, "send_progress_text", record)
    return sent


@pytest.fixture(scope="session")
def api_form() -> ModuleType:
    """The converter of workflows that the tests against a real host use."""
    spec = importlib.util.spec_from_file_location("liminal_api_form", ROOT / "tests" / "host" / "api_form.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def info() -> dict:
    """Entries of /object_info for our nodes and for the core nodes that the examples and blueprints use."""
    from inpaint_core.checkpoints.embedded import embedded_models

    here = Path(__file__).parent
    entries = json.loads((here / "schemas.json").read_text()) | json.loads((here / "core_nodes.json").read_text())
    # Lists that depend on the machine, as they are on a fresh one.
    train = entries["Liminal_TrainModel"]["input"]["required"]
    train["recipe"][1]["options"] = [file.stem for file in (ROOT / "training" / "recipes").glob("*.yaml")]
    train["folder"][1]["options"] = ["(connected images)", "(photographs of scikit-image)"]
    load = entries["Liminal_LoadModel"]["input"]["required"]
    load["name"][1]["options"] = list(embedded_models())
    return entries
