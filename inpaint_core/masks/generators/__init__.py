"""Families of random masks, one file each, and the registry that draws from them by name."""

from .registry import GENERATORS, generate

__all__ = ["GENERATORS", "generate"]
