"""What the nodes look like from outside. Ids, inputs and outputs are what people's workflows are made of."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest

SNAPSHOT = Path(__file__).with_name("schemas.json")


@pytest.fixture
def schemas(pack, host, api_form) -> dict:
    """Every node's entry of /object_info, but for lists that depend on the machine."""
    extension = asyncio.run(pack.comfy_entrypoint())
    classes = asyncio.run(extension.get_node_list())
    info = {cls.define_schema().node_id: cls.GET_NODE_INFO_V1() for cls in classes}
    return api_form.without_machine_lists(json.loads(json.dumps(info)))


def inputs(info: dict):
    """Every input of a node, those of a selection's options included."""
    for kind in ("required", "optional"):
        for name, (input_type, options) in info.get(kind, {}).items():
            yield name, input_type, options
            if input_type == "COMFY_DYNAMICCOMBO_V3":
                for option in options["options"]:
                    yield from inputs(option["inputs"])


def test_the_nodes_are_the_published_ones(schemas):
    """After a deliberate change, LIMINAL_WRITE_SCHEMAS=1 pytest tests/nodes/test_schemas.py writes the new snapshot."""
    if "LIMINAL_WRITE_SCHEMAS" in os.environ:
        SNAPSHOT.write_text(json.dumps(schemas, indent=1) + "\n")
    # As text, because the order of inputs is part of the promise.
    assert json.dumps(schemas, indent=1).splitlines() == SNAPSHOT.read_text().splitlines()


def test_every_node_input_and_output_is_explained(schemas):
    for name, info in schemas.items():
        assert info["description"], name
        assert info["category"].startswith("Liminal/"), name
        assert all(info["output_tooltips"]), name
        for input_name, _, options in inputs(info["input"]):
            assert options.get("tooltip"), f"{name}.{input_name}"


def test_every_number_is_bounded(schemas):
    for name, info in schemas.items():
        for input_name, input_type, options in inputs(info["input"]):
            if input_type in ("INT", "FLOAT"):
                assert options["min"] <= options["default"] <= options["max"], f"{name}.{input_name}"


def test_widgets_are_only_ever_added_after_the_others(schemas):
    """Saved workflows keep widget values by position."""
    published = json.loads(SNAPSHOT.read_text())
    for name, info in schemas.items():
        before = published[name]["input_order"]["required"]
        assert info["input_order"]["required"][: len(before)] == before, name


@pytest.mark.parametrize(
    "word", ["subprocess", "importlib", "requests", "urllib", "socket", "eval(", "exec(", "torch.load"]
)
def test_nodes_open_no_network_no_process_and_no_pickle(word):
    for file in (Path(__file__).resolve().parents[2] / "nodes").glob("*.py"):
        assert word not in file.read_text(), file.name
