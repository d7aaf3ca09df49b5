"""ComfyUI's entry point to Liminal. Imports nothing from the host, so that it can be loaded anywhere."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .nodes import LiminalExtension

WEB_DIRECTORY = "./web"
"""Folder loaded by the frontend: help pages and `js/`."""

# At the end, so that the host's own `nodes` and other packs' modules keep their names; only `inpaint_core` is needed
# from it.
_ROOT = str(Path(__file__).resolve().parent)
if _ROOT not in sys.path:
    sys.path.append(_ROOT)


async def comfy_entrypoint() -> LiminalExtension:
    """Called once by ComfyUI when it loads the pack."""
    from .nodes import LiminalExtension

    return LiminalExtension()
