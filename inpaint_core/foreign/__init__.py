"""Conversion of public checkpoints: recognized by the names of their weights and mapped one by one, with none left
over."""

from .conversion import Conversion, convert_checkpoint

__all__ = ["Conversion", "convert_checkpoint"]
