"""Patch completion: holes filled with copies of what surrounds them."""

from .completion import Check, fill_from_patches

__all__ = ["Check", "fill_from_patches"]
