"""Pictures, and the page as a visitor's program reaches it."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

# The page is no part of the installed package: it is started in the repository.
if str(Path(__file__).resolve().parents[2]) not in sys.path:
    sys.path.append(str(Path(__file__).resolve().parents[2]))

from demo.__main__ import start
from demo.models import Models
from demo.pictures import Limits

LIMITS = Limits(megapixels=21.0, megabytes=8.0)


@pytest.fixture(scope="session")
def models() -> Models:
    """Loaded once."""
    return Models()


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A small picture of smooth noise."""
    values = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    path = tmp_path / "noise.png"
    Image.fromarray(values).resize((96, 72), Image.Resampling.BICUBIC).save(path)
    return path


def free_port() -> int:
    """A port of the loopback address that nothing listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@dataclass(frozen=True)
class Server:
    """The running page.

    Attributes
    ----------
    url
        Where it is.
    folder
        Its temporary folder.
    limits
        What it accepts.
    connect
        Makes a visitor: a client with a session of its own.
    """

    url: str
    folder: Path
    limits: Limits
    connect: Callable[[], Any]


@pytest.fixture(scope="session")
def server(models: Models, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The page over HTTP on the loopback address, where Gradio is installed."""
    pytest.importorskip("gradio")
    from gradio_client import Client

    folder = tmp_path_factory.mktemp("served")
    downloads = tmp_path_factory.mktemp("downloads")
    port = free_port()
    page = start(models, LIMITS, folder, "127.0.0.1", port)
    url = f"http://127.0.0.1:{port}"

    def connect() -> Client:
        return Client(url, verbose=False, analytics_enabled=False, download_files=str(downloads))

    yield Server(url, folder, LIMITS, connect)
    page.close(verbose=False)
