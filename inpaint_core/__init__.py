"""Small image models: masks, inpainting, image translation. Torch tensors in, torch tensors out."""

from .checkpoints.files import CheckpointError, load_model, save_model
from .inpainting.inpaint import inpaint
from .translation import translate

__all__ = ["CheckpointError", "inpaint", "load_model", "save_model", "translate"]
