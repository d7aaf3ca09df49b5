"""The example workflows, checked without a ComfyUI: against the nodes' schemas and stored entries of the core nodes."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted((ROOT / "example_workflows").glob("*.json"))


@pytest.fixture
def example() -> dict:
    return json.loads((ROOT / "example_workflows" / "liminal_train_on_this_picture.json").read_text())


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_every_example_converts_and_fits_the_nodes(file, info, api_form):
    workflow = json.loads(file.read_text())
    prompt = api_form.to_api(workflow, info)
    assert workflow["version"] == 0.4
    assert any(entry["class_type"].startswith("Liminal_") for entry in prompt.values())
    for node in workflow["nodes"]:
        if node["type"].startswith("Liminal_"):
            assert node["properties"]["cnr_id"] == "liminal-inpaint"
            assert node["properties"]["Node name for S&R"] == node["type"]


def test_a_workflow_saved_by_an_earlier_version_still_fits_the_nodes(info, api_form):
    workflow = json.loads(Path(__file__).with_name("earlier_workflow.json").read_text())
    prompt = api_form.to_api(workflow, info)
    for entry in prompt.values():
        assert entry["inputs"].keys() >= info[entry["class_type"]]["input"].get("required", {}).keys()
    (fill,) = [entry for entry in prompt.values() if entry["class_type"] == "Liminal_Inpaint"]
    assert "detail" not in fill["inputs"]


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_no_nodes_of_an_example_overlap(file):
    title = 30
    boxes = [
        (node["pos"][0], node["pos"][1] - title, node["pos"][0] + node["size"][0], node["pos"][1] + node["size"][1])
        for node in json.loads(file.read_text())["nodes"]
    ]
    for number, (left, top, right, bottom) in enumerate(boxes):
        for other in boxes[number + 1 :]:
            assert other[0] >= right or other[2] <= left or other[1] >= bottom or other[3] <= top


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_every_example_has_a_thumbnail(file):
    thumbnail = file.with_suffix(".jpg")
    assert thumbnail.stat().st_size < 200_000
    with Image.open(thumbnail) as picture:
        assert picture.format == "JPEG"
        assert min(picture.size) >= 300


def test_widgets_get_their_names_and_companions_are_skipped(example, info, api_form):
    prompt = api_form.to_api(example, info)
    by_type = {entry["class_type"]: entry["inputs"] for entry in prompt.values()}
    train = by_type["Liminal_TrainModel"]
    assert train["run_name"] == "this picture"
    assert train["seed"] == 0
    assert train["preview_every"] == 25
    assert train["subfolders"] is False
    assert by_type["Liminal_SamplePicture"] == {"picture": "dunes"}
    clicked = json.loads((ROOT / "example_workflows" / "liminal_superpixels.json").read_text())
    (slic,) = [
        entry["inputs"]
        for entry in api_form.to_api(clicked, info).values()
        if entry["class_type"] == "Liminal_MaskFromSLIC"
    ]
    assert slic["select"] == "points"
    assert slic["select.points"].startswith("305, 90")
    assert slic["picture"] == "borders"


def test_links_become_node_and_slot(example, info, api_form):
    prompt = api_form.to_api(example, info)
    train = next(key for key, entry in prompt.items() if entry["class_type"] == "Liminal_TrainModel")
    report = next(entry for entry in prompt.values() if entry["class_type"] == "PreviewAny")
    assert report["inputs"]["source"] == [train, 4]


def test_every_example_is_called_after_the_pack_and_begins_with_a_photograph_of_it():
    """A name that two packs share hides both from the interface's search for templates."""
    for file in EXAMPLES:
        assert file.stem.startswith("liminal_")
        types = {item["type"] for item in json.loads(file.read_text())["nodes"]}
        assert types & {"Liminal_SamplePicture", "WebcamCapture"}


def test_every_node_is_in_an_example(info):
    shown = {item["type"] for file in EXAMPLES for item in json.loads(file.read_text())["nodes"]}
    assert {name for name in info if name.startswith("Liminal_")} - shown == {"Liminal_ModelInfo"}


def node(workflow: dict, node_type: str) -> dict:
    return next(item for item in workflow["nodes"] if item["type"] == node_type)


def too_many(workflow):
    node(workflow, "Liminal_Inpaint")["widgets_values"].append(1)


def too_few(workflow):
    del node(workflow, "Liminal_Inpaint")["widgets_values"][5:]  # fewer than are required


def wrong_type(workflow):
    node(workflow, "Liminal_Inpaint")["widgets_values"][1] = "4"


def out_of_range(workflow):
    node(workflow, "Liminal_Inpaint")["widgets_values"][2] = -1


def not_in_the_list(workflow):
    node(workflow, "Liminal_Inpaint")["widgets_values"][0] = "sideways"


def no_such_selection(workflow):
    workflow["nodes"].append(
        {"id": 99, "type": "Liminal_RandomMask", "inputs": [], "outputs": [], "widgets_values": ["magic"]}
    )


def unknown_node(workflow):
    node(workflow, "Liminal_Inpaint")["type"] = "Liminal_Outpaint"


def wrong_link_type(workflow):
    workflow["links"][0][5] = "LATENT"


def unconnected(workflow):
    node(workflow, "Liminal_Inpaint")["inputs"][0]["link"] = None


@pytest.mark.parametrize(
    "damage",
    [
        too_many,
        too_few,
        wrong_type,
        out_of_range,
        not_in_the_list,
        no_such_selection,
        unknown_node,
        wrong_link_type,
        unconnected,
    ],
)
def test_the_converter_rejects_what_does_not_match(example, info, api_form, damage):
    damaged = deepcopy(example)
    damage(damaged)
    with pytest.raises((api_form.WorkflowError, KeyError)):
        api_form.to_api(damaged, info)
