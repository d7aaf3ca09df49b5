"""Filling holes: any Completer, pictures of any size and number, and fills that need no network."""

from .classical import ClassicalFill
from .inpaint import Completer

__all__ = ["ClassicalFill", "Completer"]
