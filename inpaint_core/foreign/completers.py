"""Whatever fills holes, by name: classical fills, models of the pack, and those that others trained."""

from __future__ import annotations

from ..checkpoints.files import load_model
from ..checkpoints.inpainting_model import InpaintingModel
from ..devices import find_device
from ..inpainting.classical import CLASSICAL_METHODS, ClassicalFill
from ..inpainting.inpaint import Completer
from .external_models import is_external, load_external_model


def open_completer(name: str, device: str = "cpu") -> Completer:
    """Open what a command calls a model.

    Parameters
    ----------
    name
        A classical fill, a model that comes with the pack, or a file: one of ours, or one that spandrel knows.
    device
        Where a network runs.

    Raises
    ------
    CheckpointError
        The file cannot be loaded.
    ValueError
        No such device, or a model that translates pictures and fills no holes.
    """
    find_device(device)
    if name in CLASSICAL_METHODS:
        return ClassicalFill(name)
    if is_external(name):
        return load_external_model(name, device)
    model = load_model(name, device)
    if not isinstance(model, InpaintingModel):
        raise ValueError(f"{name}: this model fills no holes; use it with python -m inpaint_core translate")
    return model
