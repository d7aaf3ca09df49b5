"""The pack in a real ComfyUI: it loads, its schemas are right, and the stand-in used by other tests matches it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
HERE = Path(__file__).parent
STAND_IN = TESTS / "nodes" / "stand_in"
# Entries of /object_info that the stand-in does not imitate.
NOT_IMITATED = {"python_module", "output_matchtypes"}


def test_the_pack_loads_without_a_warning(comfyui):
    log = comfyui.log.read_text().split("Starting server")[0]
    lines = [line for line in log.splitlines() if "liminal" in line.lower()]
    imported = [line for line in lines if re.match(r"\s*[\d.]+ seconds: .*liminal-inpaint$", line)]
    assert imported
    assert lines == imported


def test_object_info_is_the_published_one(comfyui, api_form):
    published = json.loads((TESTS / "nodes" / "schemas.json").read_text())
    info = api_form.without_machine_lists(comfyui.get("/object_info"))
    assert {
        name: {k: v for k, v in entry.items() if k not in NOT_IMITATED} for name, entry in info.items()
    } == published


def test_every_input_has_a_tooltip(comfyui):
    for name, entry in comfyui.get("/object_info").items():
        if name.startswith("Liminal_"):
            for kind in ("required", "optional"):
                for input_name, (_, options) in entry["input"].get(kind, {}).items():
                    assert options["tooltip"], f"{name}.{input_name}"


def test_the_stand_in_has_the_hosts_signatures_and_defaults():
    script = str(HERE / "signatures.py")
    commands = [
        [os.environ.get("COMFYUI_PYTHON", "python3"), script, os.environ["COMFYUI_PATH"]],
        [sys.executable, script, str(STAND_IN)],
    ]
    outputs = [subprocess.run(command, capture_output=True, text=True, check=True).stdout for command in commands]
    real, stand_in = (json.loads(output.splitlines()[-1]) for output in outputs)
    assert stand_in == real


def test_the_stored_core_nodes_are_the_hosts(comfyui):
    stored = json.loads((TESTS / "nodes" / "core_nodes.json").read_text())
    info = comfyui.get("/object_info")
    # Other tests add pictures.
    info["LoadImage"]["input"]["required"]["image"][0] = ["example.png"]
    assert {name: {key: info[name][key] for key in entry} for name, entry in stored.items()} == stored


def test_the_example_workflows_are_offered_as_templates(comfyui):
    names = {file.stem for file in (TESTS.parent / "example_workflows").glob("*.json")}
    assert set(comfyui.get("/workflow_templates")["liminal-inpaint"]) == names


def test_the_translations_are_offered(comfyui):
    offered = comfyui.get("/i18n")
    for language in ("zh", "ja"):
        stored = json.loads((TESTS.parent / "locales" / language / "nodeDefs.json").read_text(encoding="utf-8"))
        found = offered[language]["nodeDefs"]
        assert {name: found[name] for name in stored} == stored
