"""Checkpoints that describe themselves: reading, writing and refusing them, and the models that they become."""

from .files import CheckpointError, load_model, save_model

__all__ = ["CheckpointError", "load_model", "save_model"]
