"""Checkpoints that describe themselves: reading, writing and refusing them, and the models that they become."""

from .errors import CheckpointError
from .files import CARD_KEY, load_model, read_card, save_model

__all__ = ["CARD_KEY", "CheckpointError", "load_model", "read_card", "save_model"]
