"""Patch completion: holes filled with copies of their surroundings."""

from .completion import Check, fill_from_patches

__all__ = ["Check", "fill_from_patches"]
