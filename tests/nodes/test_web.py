"""What the interface loads: help pages, translations and JavaScript."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def schemas(pack, host) -> dict[str, Any]:
    """The interface's entry for every node."""
    classes = asyncio.run(asyncio.run(pack.comfy_entrypoint()).get_node_list())
    return {cls.define_schema().node_id: json.loads(json.dumps(cls.GET_NODE_INFO_V1())) for cls in classes}


def tooltips(inputs: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Names, as translations spell them, and tooltips of inputs, including those of a choice's options."""
    for kind in ("required", "optional"):
        for name, (_, options) in inputs.get(kind, {}).items():
            yield f"{prefix}{name}", options["tooltip"]
            for choice in options.get("options", []):
                if isinstance(choice, dict):
                    yield from tooltips(choice["inputs"], f"{prefix}{name}_")


def test_every_node_has_a_help_page_whose_pictures_exist(pack, schemas):
    folder = ROOT / pack.WEB_DIRECTORY / "docs"
    assert {file.stem for file in folder.glob("*.md")} == set(schemas)
    for file in folder.glob("*.md"):
        text = file.read_text(encoding="utf-8")
        assert text.startswith("# ")
        for picture in re.findall(r"\]\(([^)]+)\)", text):
            assert (folder / picture).is_file(), f"{file.name}: {picture}"


@pytest.mark.parametrize("language", ["zh", "ja"])
def test_every_name_and_tooltip_is_translated_and_none_that_is_gone(schemas, language):
    texts = json.loads((ROOT / "locales" / language / "nodeDefs.json").read_text(encoding="utf-8"))
    assert set(texts) == set(schemas)
    for node, entry in texts.items():
        assert entry["display_name"]
        assert entry["description"]
        explained: dict[str, set[str]] = {}
        for name, tooltip in tooltips(schemas[node]["input"]):
            explained.setdefault(name, set()).add(tooltip)
        assert set(entry["inputs"]) == set(explained), node
        for name, found in explained.items():
            assert entry["inputs"][name]["name"]
            # An input of several choices has one translation: none where its explanations differ.
            assert bool(entry["inputs"][name].get("tooltip")) == (len(found) == 1), f"{node}.{name}"
        assert list(entry.get("outputs", {})) == [str(number) for number in range(len(schemas[node]["output"]))]


@pytest.mark.parametrize("language", ["zh", "ja"])
def test_translations_have_no_character_that_the_interface_interprets(language):
    """vue-i18n reads braces as values, @ as a link and | as a plural."""
    text = (ROOT / "locales" / language / "nodeDefs.json").read_text(encoding="utf-8")
    assert not re.search(r"[{}@|]", "".join(re.findall(r'": "(.*)"', text)))


def test_scripts_are_readable_and_load_nothing_from_elsewhere():
    for file in (ROOT / "web").rglob("*.js"):
        text = file.read_text(encoding="utf-8")
        assert max(map(len, text.splitlines())) <= 130, file.name
        assert not re.search(r"https?:|//[a-z]+\.[a-z]|eval\(|new Function|innerHTML", text), file.name
        imported = set(re.findall(r'from "([^"]+)"', text))
        own = {f"./{other.name}" for other in file.parent.glob("*.js")}
        assert imported <= own | {f"../../../scripts/{name}.js" for name in ("api", "app")}, file.name
