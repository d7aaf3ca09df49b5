"""What the interface loads: help pages, translations and JavaScript."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def ids(pack, host) -> dict[str, list[str]]:
    """Inputs of every node."""
    classes = asyncio.run(asyncio.run(pack.comfy_entrypoint()).get_node_list())
    schemas = [cls.define_schema() for cls in classes]
    return {schema.node_id: [item.id for item in schema.inputs] for schema in schemas}


def test_every_node_has_a_help_page_whose_pictures_exist(pack, ids):
    folder = ROOT / pack.WEB_DIRECTORY / "docs"
    assert {file.stem for file in folder.glob("*.md")} == set(ids)
    for file in folder.glob("*.md"):
        text = file.read_text(encoding="utf-8")
        assert text.startswith("# ")
        for picture in re.findall(r"\]\(([^)]+)\)", text):
            assert (folder / picture).is_file(), f"{file.name}: {picture}"


@pytest.mark.parametrize("language", ["zh", "ja"])
def test_every_node_is_translated_and_no_input_that_is_gone(ids, language):
    texts = json.loads((ROOT / "locales" / language / "nodeDefs.json").read_text(encoding="utf-8"))
    assert set(texts) == set(ids)
    for name, entry in texts.items():
        assert entry["display_name"]
        assert entry["description"]
        assert set(entry["inputs"]) <= set(ids[name])


def test_scripts_are_readable_and_load_nothing_from_elsewhere():
    for file in (ROOT / "web").rglob("*.js"):
        text = file.read_text(encoding="utf-8")
        assert max(map(len, text.splitlines())) <= 130, file.name
        assert not re.search(r"https?:|//[a-z]+\.[a-z]|eval\(|new Function|innerHTML", text), file.name
        assert set(re.findall(r'from "([^"]+)"', text)) <= {f"../../../scripts/{name}.js" for name in ("api", "app")}
