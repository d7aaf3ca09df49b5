"""A real ComfyUI at $COMFYUI_PATH, started by $COMFYUI_PYTHON on a free port with its own folders.

$COMFYUI_FRONT_END is another interface to serve: the folder `static` of an unpacked comfyui-frontend-package.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 120
CLIENT = "liminal-tests"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests in this folder, and skip them without a ComfyUI."""
    skip = pytest.mark.skip(reason="needs a ComfyUI checkout at $COMFYUI_PATH")
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("host")
            if "COMFYUI_PATH" not in os.environ:
                item.add_marker(skip)


class ComfyUI:
    """A running server and its folders."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.log = base / "server.log"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{probe.getsockname()[1]}"
        self.python = os.environ.get("COMFYUI_PYTHON", "python3")
        arguments = ["--cpu", "--disable-auto-launch", "--disable-api-nodes", "--base-directory", str(base)]
        if "COMFYUI_FRONT_END" in os.environ:
            arguments += ["--front-end-root", os.environ["COMFYUI_FRONT_END"]]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [self.python, "main.py", "--port", self.address.split(":")[1], *arguments],
                cwd=os.environ["COMFYUI_PATH"],
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            try:
                self.get("/queue")
                return
            except OSError:
                time.sleep(0.2)
        self.stop()
        raise RuntimeError(f"ComfyUI did not start:\n{self.log.read_text()[-4000:]}")

    def stop(self) -> None:
        """End the server."""
        self.process.terminate()
        self.process.wait(30)

    def get(self, path: str) -> Any:
        """JSON of a route."""
        with urllib.request.urlopen(f"http://{self.address}{path}", timeout=30) as response:
            return json.load(response)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """Send JSON; returns the response, even if the server refuses."""
        data = json.dumps(body).encode()
        request = urllib.request.Request(f"http://{self.address}{path}", data, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return json.loads(response.read() or b"null")
        except urllib.error.HTTPError as error:
            return json.load(error)

    def queue(self, prompt: dict[str, Any]) -> str:
        """Queue a prompt; returns its id."""
        answer = self.post("/prompt", {"prompt": prompt, "client_id": CLIENT})
        assert "prompt_id" in answer, json.dumps(answer, indent=1)
        assert not answer["node_errors"], answer
        return answer["prompt_id"]

    def wait(self, prompt_id: str, seconds: float = 120.0) -> dict[str, Any]:
        """The server's history entry of a prompt once it has ended."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            history = self.get(f"/history/{prompt_id}")
            if prompt_id in history:
                return history[prompt_id]
            time.sleep(0.02)
        raise TimeoutError(f"prompt {prompt_id} did not end in {seconds} s")

    def run(self, prompt: dict[str, Any], seconds: float = 120.0) -> dict[str, Any]:
        """Run a prompt to its end; returns the outputs of its output nodes."""
        entry = self.wait(self.queue(prompt), seconds)
        assert entry["status"]["status_str"] == "success", json.dumps(entry["status"], indent=1)
        return entry["outputs"]

    def error(self, prompt: dict[str, Any]) -> str:
        """Run a prompt that must fail inside a node; returns the message shown to the user."""
        entry = self.wait(self.queue(prompt))
        errors = [data for kind, data in entry["status"]["messages"] if kind == "execution_error"]
        assert errors, entry["status"]
        return errors[0]["exception_message"].strip()

    def file(self, image: dict[str, str]) -> Path:
        """Path of a picture named by an output node."""
        return self.base / image["type"] / image["subfolder"] / image["filename"]

    def listen(self) -> subprocess.Popen[str]:
        """Everything the server sends to the frontend from now on, as lines of JSON on stdout."""
        url = f"http://{self.address}/ws?clientId={CLIENT}"
        script = str(Path(__file__).with_name("listen.py"))
        listener = subprocess.Popen([self.python, script, url], stdout=subprocess.PIPE, text=True)
        assert listener.stdout
        assert "connected" in listener.stdout.readline()
        return listener


@pytest.fixture(scope="session")
def comfyui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComfyUI]:
    """A freshly installed ComfyUI with the pack."""
    base = tmp_path_factory.mktemp("comfyui")
    (base / "custom_nodes").mkdir()
    (base / "custom_nodes" / "liminal-inpaint").symlink_to(ROOT, target_is_directory=True)
    (base / "input").mkdir()
    shutil.copy(Path(os.environ["COMFYUI_PATH"], "input", "example.png"), base / "input")
    server = ComfyUI(base)
    yield server
    server.stop()


def load(name: str) -> ModuleType:
    """A module beside this one."""
    spec = importlib.util.spec_from_file_location(f"liminal_{name}", Path(__file__).with_name(f"{name}.py"))
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def api_form() -> ModuleType:
    """The converter from UI form to API form."""
    return load("api_form")


@pytest.fixture(scope="session")
def interface(comfyui: ComfyUI) -> Iterator[Any]:
    """ComfyUI's interface in a browser; skipped without playwright or Chromium."""
    pytest.importorskip("playwright")
    module = load("interface")
    if not module.CHROMIUM.exists():
        pytest.skip("needs Chromium at /usr/bin/chromium or $CHROMIUM")
    with module.opened(comfyui) as interface:
        yield interface
