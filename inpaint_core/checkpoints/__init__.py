"""Self-describing checkpoints: reading, writing and validating them, and the models built from them."""

from .card import ModelCard
from .errors import CheckpointError
from .files import CARD_KEY, load_model, read_card, save_model
from .inpainting_model import InpaintingModel
from .translation_model import TranslationModel

__all__ = [
    "CARD_KEY",
    "CheckpointError",
    "InpaintingModel",
    "ModelCard",
    "TranslationModel",
    "load_model",
    "read_card",
    "save_model",
]
