"""Patch completion: holes filled with copies of what surrounds them."""

from .completion import fill_from_patches

__all__ = ["fill_from_patches"]
