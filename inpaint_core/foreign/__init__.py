"""Public checkpoints turned into ours: recognized by their names, mapped weight by weight, nothing left over."""

from .conversion import Conversion, convert_checkpoint

__all__ = ["Conversion", "convert_checkpoint"]
