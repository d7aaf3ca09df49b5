"""What the registry would publish: the archive of `comfy node pack`, or the same selection of files by git."""

from __future__ import annotations

import re
import runpy
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from urllib.parse import unquote

import pytest
import torch
from PIL import Image

from inpaint_core.files.videos import write_clip

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
LARGEST = 60 * 2**20  # bytes, unpacked
LARGEST_FILE = 16 * 2**20
FOLDERS = {"inpaint_core", "training", "nodes", "web", "locales", "subgraphs", "example_workflows", "docs"}
FILES = {
    *("__init__.py", "install.py", "pyproject.toml", "requirements.txt", "README.md", "MODELS.md", "CHANGELOG.md"),
    *("CONTRIBUTING.md", "SECURITY.md", "LICENSE", ".gitignore", ".comfyignore"),
}
SUFFIXES = {".py", ".md", ".json", ".js", ".jpg", ".png", ".yaml", ".safetensors", ".typed"}
# What scanners of the registry and of ComfyUI-Manager stopped other packs for, and what a node has no use for.
FLAGGED_IN_PYTHON = (
    *(r"import_module", r"__import__", r"os\.environ", r"(?<![\w.])eval\(", r"(?<![\w.])exec\("),
    *(r"\bsubprocess\b", r"os\.system", r"os\.popen", r"pickle\.loads?\(", r"yaml\.load\(", r"\bmarshal\b"),
    r"\b(?:import|from) (?:urllib|requests|httpx|aiohttp|socket|http|ftplib|smtplib)\b",
)
FLAGGED_IN_SCRIPTS = (
    *(r"\beval\(", r"new Function", r"XMLHttpRequest", r"\bfetch\(", r"WebSocket", r"https?://", r"innerHTML"),
)


def git(*arguments: str) -> list[str]:
    done = subprocess.run(["git", "-C", str(ROOT), *arguments, "-z"], capture_output=True, text=True, check=True)
    return [name for name in done.stdout.split("\0") if name]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked archive."""
    folder = tmp_path_factory.mktemp("archive")
    comfy = shutil.which("comfy")
    if comfy is None:
        left_out = set(git("ls-files", "--cached", "--ignored", "--exclude-from=.comfyignore"))
        for name in git("ls-files"):
            if name not in left_out and (ROOT / name).exists():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, folder / name)
        return folder
    copy = tmp_path_factory.mktemp("repository") / "liminal"
    subprocess.run(["git", "clone", "--quiet", "--depth", "1", f"file://{ROOT}", str(copy)], check=True)
    quiet = ["--skip-prompt", "--no-enable-telemetry"]
    subprocess.run([comfy, *quiet, "node", "validate"], cwd=copy, check=True, capture_output=True)
    subprocess.run([comfy, *quiet, "node", "pack"], cwd=copy, check=True, capture_output=True)
    with zipfile.ZipFile(copy / "node.zip") as packed:
        packed.extractall(folder)
    return folder


def run_in(archive: Path, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program in the archive, without the finder of an editable installation, which would find what was left
    out."""
    alone = (
        "import sys\n"
        "sys.meta_path[:] = [each for each in sys.meta_path if not each.__module__.startswith('__editable__')]\n"
    )
    line = [sys.executable, "-c", alone + program, *arguments]
    return subprocess.run(line, cwd=archive, capture_output=True, text=True, check=False)


def files(archive: Path, *suffixes: str) -> list[Path]:
    return [path for path in sorted(archive.rglob("*")) if path.is_file() and (path.suffix in suffixes or not suffixes)]


def test_nothing_is_in_it_that_does_not_belong_there(archive: Path) -> None:
    for path in files(archive):
        name = path.relative_to(archive)
        assert name.parts[0] in FOLDERS if len(name.parts) > 1 else name.name in FILES, name
        assert len(name.parts) == 1 or path.suffix in SUFFIXES, name
        assert path.stat().st_size <= LARGEST_FILE, name
    assert {path.name for path in archive.iterdir()} >= {
        "__init__.py",
        "pyproject.toml",
        "requirements.txt",
        "README.md",
    }
    assert not (archive / "training" / "collect.py").exists()
    assert not (archive / "inpaint_core" / "live").exists()
    assert sum(path.stat().st_size for path in files(archive)) <= LARGEST


@pytest.mark.parametrize(("suffix", "flagged"), [(".py", FLAGGED_IN_PYTHON), (".js", FLAGGED_IN_SCRIPTS)])
def test_nothing_in_it_would_stop_a_scanner(archive: Path, suffix: str, flagged: tuple[str, ...]) -> None:
    found = [
        f"{path.relative_to(archive)}:{number}: {line.strip()}"
        for path in files(archive, suffix)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        for pattern in flagged
        if re.search(pattern, line)
    ]
    assert files(archive, suffix)
    assert not found


def test_every_link_and_picture_in_its_documents_is_in_it(archive: Path) -> None:
    for page in files(archive, ".md"):
        text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
        for link in re.findall(r"\]\(([^)\s]+)\)", text):
            if re.match(r"[a-z]+:", link):
                continue
            target, _, heading = unquote(link).partition("#")
            found = page if not target else page.parent / target
            assert found.exists(), f"{page.relative_to(archive)}: {link}"
            if heading:
                titles = re.findall(r"^#+ (.*)$", found.read_text(encoding="utf-8"), flags=re.MULTILINE)
                assert heading in {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}, link


def test_the_pack_in_it_needs_nothing_that_was_left_out(archive: Path) -> None:
    program = (
        "import importlib, pkgutil, inpaint_core, training\n"
        "for package in (inpaint_core, training):\n"
        "    for module in pkgutil.walk_packages(package.__path__, package.__name__ + '.'):\n"
        "        if not module.name.endswith('__main__'):\n"
        "            importlib.import_module(module.name)\n"
        "assert inpaint_core.__file__.startswith(PLACE)"
    )
    done = run_in(archive, program.replace("PLACE", repr(str(archive))))
    assert done.returncode == 0, done.stderr


def test_a_command_in_it_says_what_was_left_out(archive: Path, tmp_path: Path) -> None:
    clip = tmp_path / "clip.avi"
    with write_clip(clip, 25.0, 32, 32) as writer:
        writer.write(torch.zeros(3, 32, 32))
    program = "from inpaint_core.__main__ import main\nsys.exit(main(sys.argv[1:]))"
    for options in (["virtualcam"], ["ndi:test"], ["window", "--osc", "9000"]):
        command = ["translate", "--model", "see-waves", "--input", str(clip), "--out", *options]
        done = run_in(archive, program, *command)
        assert done.returncode == 2
        (error,) = done.stderr.splitlines()
        assert "is not part of the registry's archive" in error


def test_the_registry_is_told_where_the_publishing_repository_is() -> None:
    named = runpy.run_path(str(ROOT / ".github" / "name_repository.py"))["named"]
    text = (ROOT / "pyproject.toml").read_text()
    before, after = tomllib.loads(text), tomllib.loads(named(text, "someone/their-fork"))
    urls = after["project"].pop("urls")
    assert set(urls) == {"Repository", "Documentation", "Issues", "Bug Tracker"}
    assert all(url.startswith("https://github.com/someone/their-fork") for url in urls.values())
    icon, banner = after["tool"]["comfy"].pop("Icon"), after["tool"]["comfy"].pop("Banner")
    assert before == after
    with Image.open(ROOT / icon.partition("/main/")[2]) as picture:
        assert picture.width == picture.height <= 400
    with Image.open(ROOT / banner.partition("/main/")[2]) as picture:
        assert picture.width * 9 == picture.height * 21
    for wrong in ("someone", 'a/b"\nx = 1', "a/b/c"):
        with pytest.raises(ValueError, match="OWNER/NAME"):
            named(text, wrong)


def test_the_registry_is_told_what_it_reads_literally() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert "dynamic" not in project
    assert sorted(project["dependencies"]) == sorted((ROOT / "requirements.txt").read_text().split())
    assert "Environment :: GPU :: NVIDIA CUDA" in project["classifiers"]
