"""Small image models: masks, inpainting, image translation. Torch tensors in, torch tensors out."""

from .checkpoints import CheckpointError, load_model, save_model
from .completion import inpaint
from .translation import translate

__all__ = ["CheckpointError", "inpaint", "load_model", "save_model", "translate"]
