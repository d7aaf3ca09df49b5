"""Saved workflows (UI form, schema 0.4) converted to the input of POST /prompt (API form)."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

# Widgets that the frontend adds after an input with this option; their values are stored but never sent.
COMPANIONS = ("control_after_generate", "image_upload", "audio_upload", "video_upload")
WIDGET_TYPES = ("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO", "WEBCAM")
DYNAMIC_COMBO = "COMFY_DYNAMICCOMBO_V3"
SUBGRAPH_INPUTS, SUBGRAPH_OUTPUTS = -10, -20  # ids of a subgraph's ends
PREVIEWS = {
    "IMAGE": ("PreviewImage", "images"),
    "MASK": ("MaskPreview", "mask"),
    "STRING": ("PreviewAny", "source"),
}


# Lists that depend on what is installed or stored on a machine.
MACHINE_LISTS = {"Liminal_LoadModel": "name", "Liminal_TrainModel": "folder recipe", "Liminal_RandomMask": "folder"}


class WorkflowError(ValueError):
    """A workflow does not match its nodes."""


def to_api(workflow: dict[str, Any], object_info: dict[str, Any]) -> dict[str, Any]:
    """Convert a workflow.

    Parameters
    ----------
    workflow
        UI form, schema 0.4, without subgraphs.
    object_info
        The entries of /object_info for every node type in it. Unknown types without inputs and outputs (notes) are
        skipped.

    Raises
    ------
    WorkflowError
        A missing node type, a link between different types, too many or too few widget values, a value out of its range
        or not in its list, a required input without a link.
    """
    links = {link[0]: link for link in workflow["links"]}
    nodes = {node["id"]: node for node in workflow["nodes"]}
    prompt = {}
    for node in workflow["nodes"]:
        if node["type"] not in object_info:
            if node.get("inputs") or node.get("outputs"):
                raise WorkflowError(f"node {node['id']}: no node type {node['type']!r}")
            continue
        info = object_info[node["type"]]
        inputs = _widget_values(node, info)
        for slot in node.get("inputs", []):
            if slot.get("link") is not None:
                inputs[slot["name"]] = _source(links[slot["link"]], nodes, object_info, slot, node)
        missing = set(info["input"].get("required", {})) - inputs.keys()
        if missing:
            raise WorkflowError(
                f"node {node['id']} ({node['type']}): nothing is given for {', '.join(sorted(missing))}"
            )
        prompt[str(node["id"])] = {"class_type": node["type"], "inputs": inputs}
    return prompt


def opened(blueprint: dict[str, Any]) -> dict[str, Any]:
    """A workflow of a blueprint's nodes, with a photograph and its mask at the inputs, and a preview at every output.

    The previews have the outputs' names as titles.
    """
    (subgraph,) = blueprint["definitions"]["subgraphs"]
    nodes = {node["id"]: node for node in deepcopy(subgraph["nodes"])}
    photograph = max(nodes) + 1
    slots = [{"name": name, "type": name} for name in ("IMAGE", "MASK")]
    nodes[photograph] = {"id": photograph, "type": "Liminal_SamplePicture", "outputs": slots}
    nodes[photograph]["widgets_values"] = ["dunes"]
    for number, output in enumerate(subgraph["outputs"], photograph + 1):
        node_type, name = PREVIEWS[output["type"]]
        slot = {"name": name, "type": "*" if name == "source" else output["type"]}
        nodes[number] = {"id": number, "type": node_type, "title": output["name"], "inputs": [slot]}
    links = []
    for link in subgraph["links"]:
        origin, target, slot = link["origin_id"], link["target_id"], link["target_slot"]
        start = (origin, link["origin_slot"])
        if origin == SUBGRAPH_INPUTS:
            kind = subgraph["inputs"][link["origin_slot"]]["type"]
            start = (photograph, [one["type"] for one in slots].index(kind))
        if target == SUBGRAPH_OUTPUTS:
            target, slot = photograph + 1 + slot, 0
        nodes[target]["inputs"][slot]["link"] = link["id"]
        links.append([link["id"], *start, target, slot, link["type"]])
    return {"nodes": list(nodes.values()), "links": links, "version": 0.4}


def without_machine_lists(object_info: dict[str, Any]) -> dict[str, Any]:
    """Entries of our nodes, with lists emptied that differ between machines."""
    ours = {name: deepcopy(entry) for name, entry in object_info.items() if name.startswith("Liminal_")}
    for name, entry in ours.items():
        for options in _options_by_name(entry["input"], set(MACHINE_LISTS.get(name, "").split())):
            options["options"] = []
    return ours


def _options_by_name(inputs: dict[str, Any], names: set[str]) -> Iterator[dict[str, Any]]:
    for kind in ("required", "optional"):
        for name, (input_type, *rest) in inputs.get(kind, {}).items():
            if input_type == DYNAMIC_COMBO:
                for choice in rest[0]["options"]:
                    yield from _options_by_name(choice["inputs"], names)
            elif name in names:
                yield rest[0]


def _source(link: list[Any], nodes: dict[int, Any], object_info: dict[str, Any], slot: Any, node: Any) -> list[Any]:
    _, origin, origin_slot, target, target_slot, link_type = link
    outputs = object_info[nodes[origin]["type"]]["output"]
    if target != node["id"] or node["inputs"][target_slot] is not slot:
        raise WorkflowError(f"link {link[0]} does not end where node {node['id']} says")
    # An input of type * accepts everything.
    if outputs[origin_slot] != link_type or slot["type"] not in (link_type, "*"):
        raise WorkflowError(f"link {link[0]} joins {outputs[origin_slot]} to {slot['type']}")
    return [str(origin), origin_slot]


def _widget_values(node: dict[str, Any], info: dict[str, Any]) -> dict[str, Any]:
    values = iter(node.get("widgets_values", []))
    where = f"node {node['id']} ({node['type']})"
    given = dict(_named(info["input"], values, "", where))
    rest = list(values)
    if rest:
        raise WorkflowError(f"{where}: {len(rest)} widget values too many: {rest}")
    return given


def _named(inputs: dict[str, Any], values: Iterator[Any], prefix: str, where: str) -> Iterator[tuple[str, Any]]:
    for kind in ("required", "optional"):
        for name, (input_type, *options) in inputs.get(kind, {}).items():
            settings = options[0] if options else {}
            # Older nodes write a COMBO as a list instead of a type name.
            choices = input_type if isinstance(input_type, list) else settings.get("options", [])
            if isinstance(input_type, list):
                input_type = "COMBO"
            if input_type not in (*WIDGET_TYPES, DYNAMIC_COMBO) or settings.get("forceInput"):
                continue
            try:
                value = next(values)
            except StopIteration:
                if kind == "optional":
                    return  # saved before the input was added: the interface leaves it at its default
                raise WorkflowError(f"{where}: no widget value is left for {prefix}{name}") from None
            yield f"{prefix}{name}", value
            if input_type == DYNAMIC_COMBO:
                chosen = [choice for choice in choices if choice["key"] == value]
                if not chosen:
                    raise WorkflowError(f"{where}: {name} cannot be {value!r}")
                yield from _named(chosen[0]["inputs"], values, f"{prefix}{name}.", where)
            else:
                _check(value, input_type, settings, choices, f"{where}: {prefix}{name}")
            for _ in range(sum(bool(settings.get(companion)) for companion in COMPANIONS)):
                next(values, None)


def _check(value: Any, input_type: str, settings: dict[str, Any], choices: list[Any], what: str) -> None:
    python_types = {"INT": int, "FLOAT": (int, float), "BOOLEAN": bool, "COMBO": (str, int)}
    if not isinstance(value, python_types.get(input_type, str)) or (
        input_type != "BOOLEAN" and isinstance(value, bool)
    ):
        raise WorkflowError(f"{what} is {value!r}, which is no {input_type}")
    if input_type == "COMBO" and value not in choices:
        raise WorkflowError(f"{what} is {value!r}, not one of {choices}")
    if input_type in ("INT", "FLOAT") and not settings.get("min", value) <= value <= settings.get("max", value):
        raise WorkflowError(f"{what} is {value}, outside {settings.get('min')}..{settings.get('max')}")
