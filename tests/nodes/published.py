"""The parts of a node's schema that saved workflows rely on, and changes that break them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

DYNAMIC_COMBO = "COMFY_DYNAMICCOMBO_V3"
WIDGETS = {"INT", "FLOAT", "STRING", "BOOLEAN", "COMBO", DYNAMIC_COMBO}

Input = dict[str, Any]


def extract(schemas: Mapping[str, Any]) -> dict[str, Any]:
    """For every node: its inputs in order, the choices of each, and its outputs in order."""
    return {
        node: {
            "required": _inputs(info["input"].get("required", {})),
            "optional": _inputs(info["input"].get("optional", {})),
            "outputs": [f"{name}: {kind}" for name, kind in zip(info["output_name"], info["output"], strict=True)],
        }
        for node, info in schemas.items()
    }


def _inputs(inputs: Mapping[str, Any]) -> list[Input]:
    found = []
    for name, (kind, options) in inputs.items():
        item: Input = {"name": name, "type": kind}
        if options.get("control_after_generate"):
            item["control_after_generate"] = True  # has its own widget, with a place among the saved values
        if kind == DYNAMIC_COMBO:
            item["choices"] = {option["key"]: _nested(option["inputs"]) for option in options["options"]}
        elif kind == "COMBO":
            item["choices"] = {choice: [] for choice in options["options"]}
        found.append(item)
    return found


def _nested(inputs: Mapping[str, Any]) -> list[Input]:
    return [item for kind in ("required", "optional") for item in _inputs(inputs.get(kind, {}))]


def breaking_changes(frozen: Mapping[str, Any], current: Mapping[str, Any]) -> list[str]:
    """Changes that would break workflows saved with `frozen`, a sentence each; both arguments come from `extract`.

    Values are saved by position, and the host refuses a prompt that lacks a required input: an input may only be added
    after all others, and must be optional. A choice may be added anywhere.
    """
    return [sentence for node in frozen for sentence in _node_changes(node, frozen[node], current.get(node))]


def _node_changes(node: str, frozen: Mapping[str, Any], current: Mapping[str, Any] | None) -> Iterator[str]:
    if current is None:
        yield f"{node} is gone"
        return
    yield from _input_changes(f"{node}, required", frozen["required"], current["required"], may_grow=False)
    yield from _input_changes(f"{node}, optional", frozen["optional"], current["optional"], may_grow=True)
    widgets = [
        [item["name"] for kind in ("required", "optional") for item in schema[kind] if item["type"] in WIDGETS]
        for schema in (frozen, current)
    ]
    if widgets[1][: len(widgets[0])] != widgets[0]:
        yield f"{node}: widgets were {', '.join(widgets[0])}, now {', '.join(widgets[1])}"
    if current["outputs"][: len(frozen["outputs"])] != frozen["outputs"]:
        yield f"{node}: outputs were {', '.join(frozen['outputs'])}, now {', '.join(current['outputs'])}"


def _input_changes(where: str, frozen: list[Input], current: list[Input], *, may_grow: bool) -> Iterator[str]:
    names = [[item["name"] for item in inputs] for inputs in (frozen, current)]
    kept = names[1][: len(names[0])] if may_grow else names[1]
    if kept != names[0]:
        yield f"{where}: inputs were {', '.join(names[0])}, now {', '.join(names[1])}"
        return
    for before, now in zip(frozen, current, strict=False):
        name = before["name"]
        for key in ("type", "control_after_generate"):
            if before.get(key) != now.get(key):
                yield f"{where}: {key} of {name} was {before.get(key)}, now {now.get(key)}"
        for choice, nested in before.get("choices", {}).items():
            if choice not in now.get("choices", {}):
                yield f"{where}: {name} can no longer be {choice!r}"
            else:
                # The inputs of a choice come before those after it, so not even the last place is free.
                yield from _input_changes(
                    f"{where}, {name} = {choice!r}", nested, now["choices"][choice], may_grow=False
                )
