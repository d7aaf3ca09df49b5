"""Checkpoints that describe themselves: reading, writing and refusing them, and the models that they become."""

from .card import ModelCard
from .files import CheckpointError, load_model, save_model
from .inpainting_model import InpaintingModel
from .translation_model import TranslationModel

__all__ = ["CheckpointError", "InpaintingModel", "ModelCard", "TranslationModel", "load_model", "save_model"]
