"""Strings from a workflow are untrusted: only one function turns them into paths, and it stays inside allowed
folders."""

from __future__ import annotations

import ast
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

NODES = Path(__file__).resolve().parents[2] / "nodes"

HOSTILE = [
    "",
    ".",
    "..",
    "/",
    "/etc",
    "//server/share",
    "\\\\server\\share",
    "C:\\Windows",
    "C:/Windows",
    "D:evil",
    "~",
    "~root/x",
    "$HOME/x",
    "models/x",
    "input/..",
    "input/../..",
    "input/../output",
    "input/a/../../../etc",
    "input/./a",
    "input//etc/passwd",
    "input//a",
    "input/a/",
    "input\\..\\..",
    "input/..\\..\\x",
    "input/a\x00b",
    "input/a\nb",
    "input/\x1b[2Jx",
    "input/\u202ecod.exe",
    "input/\u200b",
    "input/\ud800",
    "input/CON",
    "input/nul.txt",
    "input/com1",
    "input/a:stream",
    "input/a*",
    "input/a?",
    "input/<a>",
    "input/a|b",
    'input/"a"',
    "input/ a",
    "input/a ",
    "input/a.",
    "input/.. ",
    "input/" + "a" * 300,
    "input/" + "a/" * 2000 + "b",
    "INPUT/a",
    "input ",
    "file:///etc/passwd",
    "http://example.com/x",
]


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_hostile_paths_are_rejected(host, text):
    with pytest.raises(ValueError, match=r"\w"):
        host.safe_path(text, host.allowed_roots())


@pytest.mark.parametrize("value", [None, 5, ["input/a"], b"input/a"])
def test_what_is_not_a_string_is_rejected(host, value):
    with pytest.raises(ValueError, match="not allowed"):
        host.safe_path(value, host.allowed_roots())


@pytest.mark.parametrize(
    "text", ["input", "input/flowers", "output/a b/c-d.e", "input/Bl\u00fcten/\u82b1", "input/..a", "input/~"]
)
def test_ordinary_paths_resolve_inside_their_root(host, text):
    root, *rest = text.split("/")
    assert host.safe_path(text, host.allowed_roots()) == Path(os.path.realpath(host.allowed_roots()[root])).joinpath(
        *rest
    )


@given(text=st.text(max_size=80) | st.text("./\\:~ainput\x00", max_size=40).map("input/".__add__))
def test_no_string_leads_out_of_the_roots(nodes, text):
    host = nodes.inpaint.host
    roots = {"input": Path("/srv/comfy/input"), "output": Path("/srv/comfy/output")}
    try:
        path = host.safe_path(text, roots)
    except ValueError:
        return
    assert any(path == root or root in path.parents for root in roots.values())


def test_a_link_that_leaves_the_roots_is_rejected_and_one_into_another_root_is_followed(host, tmp_path):
    roots = host.allowed_roots()
    (tmp_path / "secret").mkdir()
    (roots["input"] / "leak").symlink_to(tmp_path / "secret")
    (roots["output"] / "shared").mkdir()
    (roots["input"] / "shared").symlink_to(roots["output"] / "shared")
    with pytest.raises(ValueError, match="is outside"):
        host.safe_path("input/leak", roots)
    with pytest.raises(ValueError, match="is outside"):
        host.safe_path("input/leak/more", roots)
    assert host.safe_path("input/shared", roots) == (roots["output"] / "shared").resolve()


def test_a_root_that_is_itself_a_link_may_be_used(host, tmp_path):
    import folder_paths

    elsewhere = tmp_path / "big disk"
    (elsewhere / "flowers").mkdir(parents=True)
    Path(folder_paths.get_input_directory()).rmdir()
    Path(folder_paths.get_input_directory()).symlink_to(elsewhere)
    assert host.safe_path("input/flowers", host.allowed_roots()) == elsewhere / "flowers"


def test_folders_that_the_owner_lists_are_allowed_under_their_own_name(host, tmp_path):
    import folder_paths

    (tmp_path / "photos" / "flowers").mkdir(parents=True)
    with pytest.raises(ValueError, match=r"must begin with one of these folders: input, output$"):
        host.safe_path("photos/flowers", host.allowed_roots())
    folder_paths.add_model_folder_path("datasets", str(tmp_path / "photos"))
    assert host.safe_path("photos/flowers", host.allowed_roots()) == tmp_path / "photos" / "flowers"
    assert host.picture_folders() == ["photos", "photos/flowers"]


@pytest.mark.parametrize(
    "name", ["", "..", "a/b", "a\\b", "/a", "c:a", "nul", "a\x00", "a" * 201, "\u00e9" * 101, "a.", " a", "\ud800"]
)
def test_a_run_name_is_one_plain_name(host, name):
    with pytest.raises(ValueError, match=r"\w"):
        host.run_folder(name)


def test_runs_live_in_output_liminal(host):
    import folder_paths

    assert host.run_folder("flowers 2") == Path(folder_paths.get_output_directory()).resolve() / "liminal" / "flowers 2"


def test_a_run_folder_that_links_elsewhere_is_rejected(host, tmp_path):
    import folder_paths

    runs = Path(folder_paths.get_output_directory(), "liminal")
    runs.mkdir()
    (runs / "run").symlink_to(tmp_path)
    with pytest.raises(ValueError, match="is outside"):
        host.run_folder("run")


def test_folders_are_listed_two_levels_deep_without_hidden_ones_and_runs(host):
    roots = host.allowed_roots()
    for folder in (
        "input/a/b/c",
        "input/.git",
        "input/x:y",
        "input/__MACOSX",
        "output/frames",
        "output/liminal/run/samples",
    ):
        (roots[folder.split("/")[0]] / folder.split("/", 1)[1]).mkdir(parents=True)
    assert host.picture_folders() == ["input/a", "input/a/b", "output/frames"]


@pytest.mark.parametrize(
    "name", ["../secret.safetensors", "/etc/passwd", "output/liminal/..", "output/liminal/../../x", "x.pth"]
)
def test_only_listed_models_have_a_file(host, name, tmp_path):
    (tmp_path / "comfyui" / "models" / "secret.safetensors").write_bytes(b"x")
    (tmp_path / "comfyui" / "models" / "liminal" / "x.pth").write_bytes(b"x")
    with pytest.raises(ValueError, match="not in the list of models"):
        host.model_file(name)


def test_models_are_the_packs_own_those_in_the_model_folder_and_those_of_runs(host, tmp_path, monkeypatch):
    base = tmp_path / "comfyui"
    for file in ("models/liminal/a.safetensors", "models/liminal/a.pth", "output/liminal/run/model.safetensors"):
        (base / file).parent.mkdir(parents=True, exist_ok=True)
        (base / file).write_bytes(b"x")
    monkeypatch.setattr(host, "embedded_models", lambda: {"own": base / "own.safetensors"})
    assert host.model_names() == ["own", "a.safetensors", "output/liminal/run"]
    assert host.model_file("own") == base / "own.safetensors"
    assert host.model_file("a.safetensors") == base / "models/liminal/a.safetensors"
    assert host.model_file("output/liminal/run") == base / "output/liminal/run/model.safetensors"


def test_only_host_py_touches_paths():
    touching = {"open", "makedirs", "mkdir", "write_text", "write_bytes", "unlink", "rmtree", "realpath", "scandir"}
    for file in NODES.glob("*.py"):
        if file.name != "host.py":
            tree = list(ast.walk(ast.parse(file.read_text())))
            names = {node.id for node in tree if isinstance(node, ast.Name)}
            names |= {node.attr for node in tree if isinstance(node, ast.Attribute)}
            assert not names & touching, file.name
