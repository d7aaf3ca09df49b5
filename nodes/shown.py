"""What a node says and shows on itself."""

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
MAX_SHOWN_SIDE = 2048  # longer side in pixels; larger ones are shown reduced


def say(node: type[io.ComfyNode], *sentences: str) -> None:
    """Write sentences on a node, one a line, in place of what it said before; empty ones are left out.

    The node's schema must ask for the hidden `unique_id`. Without somebody who watches, nothing happens.
    """
    text = "\n".join(sentence for sentence in sentences if sentence)
    watcher = getattr(PromptServer.instance, "client_id", None)
    if text and watcher is not None and node.hidden is not None and node.hidden.unique_id is not None:
        PromptServer.instance.send_progress_text(as_markup(text), node.hidden.unique_id, watcher)


def as_markup(text: str) -> str:
    """`text` for an interface that takes it for HTML and for [[label|link]]: names in it come from strangers."""
    return html.escape(text).replace("[[", "[&#91;")


def pictures(planes: Tensor) -> dict[str, Any]:
    """What the `ui` of a node's output is, so that it shows the first few pictures `[B,C,H,W]` in 0..1.

    Not `ui.PreviewImage`, which draws the names of its files from the global random state.
    """
    files = []
    for plane in planes[:MAX_SHOWN]:
        picture = Image.fromarray(to_bytes(plane.expand(3, -1, -1) if len(plane) == 1 else plane))
        picture.thumbnail((MAX_SHOWN_SIDE, MAX_SHOWN_SIDE))
        files.append(host.store_shown(picture))
    return {"images": files}


def share(hole: Tensor) -> str:
    """How much of a picture a mask `[B,1,H,W]` takes, in words."""
    part = 100.0 * float(hole.mean())
    return f"{part:.2g} %" if part < 10 else f"{part:.0f} %"


def superpixels(picture: Tensor, labels: Tensor) -> dict[str, Any]:
    """What lets `web/js/superpixel_picker.js` show a picture `[C,H,W]` and tell which superpixel lies where.

    The labels `[H,W]` go as the bytes of a PNG's red (lowest), green and blue.
    """
    numbers = torch.stack([(labels >> shift) & 255 for shift in (0, 8, 16)]).to(torch.uint8)
    files = {
        "picture": Image.fromarray(to_bytes(picture[:3].expand(3, -1, -1))),
        "labels": Image.fromarray(numbers.permute(1, 2, 0).cpu().numpy()),
    }
    return {"liminal_superpixels": [{name: host.store_shown(drawn) for name, drawn in files.items()}]}
