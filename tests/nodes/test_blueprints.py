"""The subgraph blueprints, checked without a ComfyUI: against the schemas of our nodes and of core nodes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
BLUEPRINTS = sorted((ROOT / "subgraphs").glob("*.json"))


@pytest.fixture(params=BLUEPRINTS, ids=lambda file: file.stem)
def blueprint(request) -> dict[str, Any]:
    """A blueprint, with the name of its file."""
    return json.loads(request.param.read_text(encoding="utf-8")) | {"file": request.param.stem}


def test_there_are_three():
    assert len(BLUEPRINTS) == 3


def test_a_blueprint_is_one_subgraph_with_the_files_name(blueprint):
    (node,) = blueprint["nodes"]
    (subgraph,) = blueprint["definitions"]["subgraphs"]
    assert node["type"] == subgraph["id"]
    assert node["title"] == subgraph["name"] == blueprint["file"]
    assert blueprint["links"] == []
    assert blueprint["version"] == 0.4
    assert blueprint["extra"]["BlueprintDescription"].endswith(".")
    for ends in ("inputs", "outputs"):
        slots, ours = node[ends], subgraph[ends]
        assert [(slot["name"], slot["type"]) for slot in slots] == [(one["name"], one["type"]) for one in ours]


def test_the_nodes_inside_fit_their_schemas(blueprint, info, api_form):
    prompt = api_form.to_api(api_form.opened(blueprint), info)
    assert any(entry["class_type"].startswith("Liminal_") for entry in prompt.values())
    for node in blueprint["definitions"]["subgraphs"][0]["nodes"]:
        assert node["properties"]["cnr_id"] == "liminal-inpaint"


def test_every_end_of_a_subgraph_is_linked(blueprint):
    (subgraph,) = blueprint["definitions"]["subgraphs"]
    links = {link["id"]: link for link in subgraph["links"]}
    assert len(links) == len(subgraph["links"])
    for ends, id_name in (("inputs", "origin"), ("outputs", "target")):
        for slot, end in enumerate(subgraph[ends]):
            assert end["linkIds"]
            for number in end["linkIds"]:
                assert links[number][f"{id_name}_id"] == {"inputs": -10, "outputs": -20}[ends]
                assert links[number][f"{id_name}_slot"] == slot
                assert links[number]["type"] == end["type"]


def test_widgets_on_the_outside_are_those_of_the_nodes_inside(blueprint, info):
    (node,), (subgraph,) = blueprint["nodes"], blueprint["definitions"]["subgraphs"]
    inside = {str(one["id"]): info[one["type"]]["input"] for one in subgraph["nodes"]}
    assert node["properties"]["proxyWidgets"]
    for number, widget in node["properties"]["proxyWidgets"]:
        assert any(widget in inputs for inputs in inside[number].values())
