"""python -m demo: serve the web page."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from inpaint_core.devices import find_device

from .models import Models
from .pictures import Limits

MISSING = 'the web page needs gradio 6: pip install -e ".[demo]"'


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    limits = Limits()
    parser = argparse.ArgumentParser(prog="python -m demo", description="Serve the web page of Liminal.")
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on; 0.0.0.0 for all (default: 127.0.0.1)"
    )
    parser.add_argument("--port", type=int, default=7860, help="port to listen on (default: 7860)")
    parser.add_argument("--device", default="cpu", help="where networks run, e.g. cuda (default: cpu)")
    parser.add_argument("--threads", type=int, metavar="N", help="number of CPU threads (default: all cores)")
    parser.add_argument(
        "--max-megapixels",
        type=float,
        default=limits.megapixels,
        metavar="N",
        help=f"maximum size of a picture (default: {limits.megapixels:g})",
    )
    parser.add_argument(
        "--max-megabytes",
        type=float,
        default=limits.megabytes,
        metavar="N",
        help=f"maximum size of an uploaded file (default: {limits.megabytes:g})",
    )
    found = parser.parse_args(arguments)
    if not 0 < found.port < 65536:
        parser.error(f"--port {found.port}: choose a number from 1 to 65535")
    if found.threads is not None and found.threads < 1:
        parser.error(f"--threads {found.threads}: must be at least 1")
    if not (0.0 < found.max_megapixels < 1e4 and 0.0 < found.max_megabytes < 1e4):
        parser.error("--max-megapixels and --max-megabytes must be above 0 and below 10,000")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until Ctrl-C or SIGTERM; the exit code."""
    options = parse(arguments)
    if find_spec("gradio") is None:
        print(f"error: {MISSING}", file=sys.stderr)
        return 2
    try:
        find_device(options.device)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory(prefix="liminal-demo-") as folder:
        return serve(options, Path(folder))


def serve(options: argparse.Namespace, folder: Path) -> int:
    """Serve the page with all its files in a temporary folder."""
    server = start(
        Models(options.device),
        Limits(options.max_megapixels, options.max_megabytes),
        folder,
        options.host,
        options.port,
    )
    if server is None:
        return 2
    print(f"open http://{options.host}:{options.port} in a browser; press Ctrl-C to stop", flush=True)
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    try:
        while not ended.wait(1.0):
            pass
    except KeyboardInterrupt:
        return 130
    finally:
        server.close(verbose=False)
    return 0


def start(models: Models, limits: Limits, folder: Path, host: str, port: int) -> Any:
    """Start the server in the background.

    Parameters
    ----------
    folder
        An existing temporary folder for uploads and results.

    Returns
    -------
    gradio.Blocks
        The running page, whose `close()` stops it; None if the port is taken, after an error message.
    """
    # Read when Gradio is imported, or when a component is made.
    os.environ["GRADIO_TEMP_DIR"] = str(folder)
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["HF_HUB_OFFLINE"] = "1"
    from starlette.middleware import Middleware

    from .local_files import OnlyOwnHost
    from .page import CSS, build, make_theme

    results = folder / "results"
    results.mkdir()
    page = build(models, limits, results)
    try:
        page.launch(
            server_name=host,
            server_port=port,
            share=False,
            quiet=True,
            prevent_thread_lock=True,
            show_error=False,
            allowed_paths=[],
            max_file_size=round(limits.megabytes * 1e6),
            app_kwargs={"middleware": [Middleware(OnlyOwnHost)], "docs_url": None, "redoc_url": None},
            ssr_mode=False,
            pwa=False,
            mcp_server=False,
            enable_monitoring=False,
            footer_links=[],
            theme=make_theme(),
            css=CSS,
        )
    except OSError:
        print(f"error: port {port} of {host} cannot be used: choose another with --port", file=sys.stderr)
        return None
    return page


if __name__ == "__main__":
    sys.exit(main())
