"""Networks, one file per architecture, and the registry that builds them by name."""

from .registry import ARCHITECTURES, build_model

__all__ = ["ARCHITECTURES", "build_model"]
