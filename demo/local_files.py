"""What the server hands out and takes in: only files of its own temporary folder, nothing from other hosts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import unquote

import gradio as gr

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",  # what Gradio's own scripts need
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "media-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self' data: blob:",
        "worker-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'self'",
    )
)
FILE_ROUTES = ("/file=", "/proxy=")


class OnlyOwnHost:
    """ASGI middleware: a browser may load nothing from other hosts, and the server fetches nothing for a browser.

    Parameters
    ----------
    app
        The application.
    """

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                added = [
                    (b"content-security-policy", POLICY.encode()),
                    (b"x-content-type-options", b"nosniff"),
                    (b"referrer-policy", b"no-referrer"),
                ]
                message["headers"] = [*message.get("headers", []), *added]
            await send(message)

        if asks_for_address(scope["path"]):
            await send_with_policy({"type": "http.response.start", "status": 403, "headers": []})
            await send({"type": "http.response.body", "body": b"This server fetches nothing from other hosts."})
            return
        await self._app(scope, receive, send_with_policy)


def asks_for_address(path: str) -> bool:
    """Whether a request asks the server to fetch an address."""
    for route in FILE_ROUTES:
        _, found, rest = path.partition(route)
        if found and "://" in unquote(unquote(rest)):
            return True
    return False


def accept_only_uploads(page: gr.Blocks) -> None:
    """Make inputs refuse an address in place of an uploaded file, which Gradio would download."""
    for block in page.blocks.values():
        if isinstance(block, (gr.File, gr.Image, gr.ImageEditor, gr.ImageSlider, gr.DownloadButton)):
            _refuse_addresses(block)


def _refuse_addresses(block: Any) -> None:
    move = block.async_move_resource_to_block_cache

    async def move_local(place: Any) -> Any:
        if isinstance(place, str) and "://" in place:
            raise gr.Error("An address was given instead of a picture: upload a file.", print_exception=False)
        return await move(place)

    block.async_move_resource_to_block_cache = move_local
