"""Conversion of public checkpoints: they are recognized by the names of their weights, and every weight must be
accounted for."""

from .conversion import Conversion, convert_checkpoint

__all__ = ["Conversion", "convert_checkpoint"]
