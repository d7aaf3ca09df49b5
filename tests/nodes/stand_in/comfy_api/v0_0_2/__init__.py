"""The names that nodes import from `comfy_api.v0_0_2`."""

from . import io, ui
from .extension import ComfyExtension

__all__ = ["ComfyExtension", "io", "ui"]
