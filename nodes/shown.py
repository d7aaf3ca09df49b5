"""Text and pictures shown on a node."""

from __future__ import annotations

import html
from typing import Any

import torch
from comfy_api.v0_0_2 import io
from PIL import Image
from server import PromptServer
from torch import Tensor

from inpaint_core.files.images import to_bytes

from . import host

MAX_SHOWN = 8  # pictures of a batch
MAX_SHOWN_SIDE = 2048  # longer side in pixels; larger ones are reduced


def say(node: type[io.ComfyNode], *sentences: str) -> None:
    """Show sentences on a node, one per line, in place of the earlier ones; empty ones are skipped.

    The node's schema must request the hidden `unique_id`. Nothing happens if no client is connected.
    """
    text = "\n".join(sentence for sentence in sentences if sentence)
    watcher = getattr(PromptServer.instance, "client_id", None)
    if text and watcher is not None and node.hidden is not None and node.hidden.unique_id is not None:
        PromptServer.instance.send_progress_text(as_markup(text), node.hidden.unique_id, watcher)


def as_markup(text: str) -> str:
    """`text` escaped for a frontend that interprets HTML and [[label|link]], because names in it are untrusted."""
    return html.escape(text).replace("[[", "[&#91;")


def pictures(planes: Tensor) -> dict[str, Any]:
    """UI output that shows the first few pictures `[B,C,H,W]` in 0..1 on the node.

    Not `ui.PreviewImage`, which draws file names from the global random state.
    """
    files = []
    for plane in planes[:MAX_SHOWN]:
        picture = Image.fromarray(to_bytes(plane.expand(3, -1, -1) if len(plane) == 1 else plane))
        picture.thumbnail((MAX_SHOWN_SIDE, MAX_SHOWN_SIDE))
        files.append(host.store_shown(picture))
    return {"images": files}


def percentage(hole: Tensor) -> str:
    """The percentage of a picture covered by a mask `[B,1,H,W]`, as text."""
    part = 100.0 * float(hole.mean())
    return f"{part:.2g}%" if part < 10 else f"{part:.0f}%"


def superpixels(picture: Tensor, labels: Tensor) -> dict[str, Any]:
    """UI output for `web/js/superpixel_picker.js`: a picture `[C,H,W]` and its superpixels.

    The labels `[H,W]` are encoded as the bytes of a PNG's red (lowest), green and blue.
    """
    numbers = torch.stack([(labels >> shift) & 255 for shift in (0, 8, 16)]).to(torch.uint8)
    files = {
        "picture": Image.fromarray(to_bytes(picture[:3].expand(3, -1, -1))),
        "labels": Image.fromarray(numbers.permute(1, 2, 0).cpu().numpy()),
    }
    return {"liminal_superpixels": [{name: host.store_shown(drawn) for name, drawn in files.items()}]}
