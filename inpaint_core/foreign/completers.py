"""Inpainting methods by name: classical fills, models of the pack, and third-party models."""

from __future__ import annotations

from ..checkpoints.files import load_model
from ..checkpoints.inpainting_model import InpaintingModel
from ..devices import find_device
from ..inpainting.classical import FILL_NAMES, ClassicalFill
from ..inpainting.inpaint import Completer
from .external_models import is_external, load_external_model


def open_completer(name: str, device: str = "cpu") -> Completer:
    """Open a model by the name given to a command.

    Parameters
    ----------
    name
        A classical fill, an embedded model, or the file of a model of this pack or one that spandrel supports.
    device
        Device for a network.

    Raises
    ------
    CheckpointError
        The file cannot be loaded.
    ValueError
        No such device, or a model that translates pictures instead of filling holes.
    """
    find_device(device)
    if name in FILL_NAMES:
        return ClassicalFill(name)
    if is_external(name):
        return load_external_model(name, device)
    model = load_model(name, device)
    if not isinstance(model, InpaintingModel):
        raise ValueError(f"{name}: this is a translation model; use it with python -m inpaint_core translate")
    return model
