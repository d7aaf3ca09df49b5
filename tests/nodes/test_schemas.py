"""The nodes' schemas. Workflows depend on ids, inputs and outputs."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
from pathlib import Path

import pytest

SNAPSHOT = Path(__file__).with_name("schemas.json")
"""The current schemas; refreshed with every deliberate change."""
FROZEN = Path(__file__).with_name("frozen_schemas.json")
"""The published schemas; only changed by a release."""


@pytest.fixture
def schemas(pack, host, api_form) -> dict:
    """Every node's entry of /object_info, except lists that depend on the machine."""
    extension = asyncio.run(pack.comfy_entrypoint())
    classes = asyncio.run(extension.get_node_list())
    info = {cls.define_schema().node_id: cls.GET_NODE_INFO_V1() for cls in classes}
    return api_form.without_machine_lists(json.loads(json.dumps(info)))


@pytest.fixture(scope="module")
def published():
    """The comparison of schemas, from the file beside this one."""
    spec = importlib.util.spec_from_file_location("liminal_published", Path(__file__).with_name("published.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def inputs(info: dict):
    """Every input of a node, including those of a choice's options."""
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


def test_what_releases_have_published_still_works(schemas, published):
    """A release adds what is new: LIMINAL_FREEZE_SCHEMAS=1 pytest tests/nodes/test_schemas.py."""
    current = published.extract(schemas)
    frozen = json.loads(FROZEN.read_text())
    assert published.breaking_changes(frozen["nodes"], current) == []
    if "LIMINAL_FREEZE_SCHEMAS" in os.environ:
        FROZEN.write_text(json.dumps(frozen | {"nodes": current}, indent=1) + "\n")


def swapped(inputs):
    inputs[0], inputs[1] = inputs[1], inputs[0]


def with_type(item, kind):
    item["type"] = kind


def named(nodes, node, name):
    (found,) = [item for kind in ("required", "optional") for item in nodes[node][kind] if item["name"] == name]
    return found


MASK, TRAIN = "Liminal_RandomMask", "Liminal_TrainModel"
NEW = {"name": "new", "type": "INT"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda nodes: nodes.pop(MASK), "Liminal_RandomMask is gone"),
        (lambda nodes: swapped(nodes[TRAIN]["required"]), "required: inputs were recipe, folder"),
        (lambda nodes: nodes[TRAIN]["required"].pop(), "now recipe, folder"),
        (lambda nodes: nodes[TRAIN]["required"].insert(3, NEW), "inputs were"),
        (lambda nodes: nodes[TRAIN]["required"].append(NEW), "inputs were"),
        (lambda nodes: swapped(nodes[TRAIN]["optional"]), "optional: inputs were images, mask"),
        (lambda nodes: with_type(named(nodes, TRAIN, "steps"), "FLOAT"), "type of steps was INT, now FLOAT"),
        (lambda nodes: named(nodes, TRAIN, "seed").pop("control_after_generate"), "control_after_generate of seed"),
        (lambda nodes: named(nodes, TRAIN, "optimizer")["choices"].pop("adam"), "optimizer can no longer be 'adam'"),
        (lambda nodes: named(nodes, MASK, "generator")["choices"].pop("slic"), "generator can no longer be 'slic'"),
        (
            lambda nodes: swapped(named(nodes, MASK, "generator")["choices"]["folder"]),
            "generator = 'folder': inputs were",
        ),
        (
            lambda nodes: named(nodes, MASK, "generator")["choices"]["slic"].append(NEW),
            "generator = 'slic': inputs were",
        ),
        (lambda nodes: swapped(nodes[TRAIN]["outputs"]), "outputs were"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_would_spoil_saved_workflows_is_found(schemas, published, change, said):
    nodes = published.extract(schemas)
    change(nodes)
    found = published.breaking_changes(json.loads(FROZEN.read_text())["nodes"], nodes)
    assert any(said in sentence for sentence in found), found


@pytest.mark.parametrize(
    "change",
    [
        lambda nodes: nodes.update(Liminal_New={"required": [NEW], "optional": [], "outputs": []}),
        lambda nodes: nodes[TRAIN]["optional"].append(NEW),
        lambda nodes: nodes[TRAIN]["outputs"].append("new: INT"),
        lambda nodes: named(nodes, TRAIN, "optimizer").update(
            choices={"lion": []} | named(nodes, TRAIN, "optimizer")["choices"]
        ),
        lambda nodes: named(nodes, MASK, "generator")["choices"].update(comb=[NEW]),
    ],
)
def test_appended_inputs_are_allowed(schemas, published, change):
    nodes = published.extract(schemas)
    change(nodes)
    assert published.breaking_changes(json.loads(FROZEN.read_text())["nodes"], nodes) == []


def test_a_new_optional_widget_may_not_shift_another(published):
    strength = {"name": "strength", "type": "FLOAT"}
    before = {"Node": {"required": [], "optional": [strength], "outputs": []}}
    after = {"Node": before["Node"] | {"optional": [NEW, strength]}}
    assert "Node: widgets were strength, now new, strength" in published.breaking_changes(before, after)


@pytest.mark.parametrize(
    "word", ["subprocess", "importlib", "requests", "urllib", "socket", "eval(", "exec(", "torch.load"]
)
def test_nodes_open_no_network_no_process_and_no_pickle(word):
    for file in (Path(__file__).resolve().parents[2] / "nodes").glob("*.py"):
        assert word not in file.read_text(), file.name


def test_every_node_can_be_searched_for_where_the_host_has_words_for_it(pack, host, monkeypatch):
    """The host of 0.8.0 has no place for them: `io.Schema` refuses the argument, and nothing is set."""
    from comfy_api.v0_0_2 import io

    classes = asyncio.run(asyncio.run(pack.comfy_entrypoint()).get_node_list())
    assert not any(hasattr(cls.define_schema(), "search_aliases") for cls in classes)
    monkeypatch.setattr(io.Schema, "search_aliases", None, raising=False)
    words = {cls.define_schema().node_id: cls.define_schema().search_aliases for cls in classes}
    assert all(len(found) >= 2 for found in words.values()), words
    assert {"remove object", "outpaint"} <= set(words["Liminal_Inpaint"])
    assert "superpixel" in words["Liminal_MaskFromSLIC"]
    assert "telea" in words["Liminal_ClassicalFill"]
    assert "pix2pix" in words["Liminal_LearningToSeeTranslate"]


def test_every_seed_has_the_hosts_largest(schemas):
    found = {
        options["max"]
        for info in schemas.values()
        for name, _, options in inputs(info["input"])
        if name in ("seed", "grain_seed")
    }
    assert found == {2**64 - 1}
