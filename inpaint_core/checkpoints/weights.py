"""Checks of stored weights against the network before they are read, and of the cost of a forward pass."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..models.evaluation_mode import evaluation_mode
from .card import ModelCard
from .errors import CheckpointError
from .inpainting_model import InpaintingModel, to_range
from .translation_model import TranslationModel

FLOATING = {"F64", "F32", "F16", "BF16", "float64", "float32", "float16", "bfloat16"}
WHOLE = {"I64", "I32", "int64", "int32"}
BYTES = {"U8", "uint8"}
PROBE_SIDE = 64  # pixels; smaller than any training size
MAX_PASS_GIB = 16.0
"""GiB that one pass of a model at its training size may take, unless `set_pass_limit` says otherwise."""
HELD_AT_ONCE = 4  # activations as large as the largest one

_limit = MAX_PASS_GIB


def check_names(name: str, expected: Mapping[str, Tensor], stored: Iterable[str]) -> None:
    """Reject missing and extra weights.

    Raises
    ------
    CheckpointError
        `name` is that of the file.
    """
    found = set(stored)
    missing, extra = sorted(expected.keys() - found), sorted(found - expected.keys())
    if missing or extra:
        what = [
            f"{len(keys)} {word} (first: {keys[0]!r})"
            for word, keys in (("missing", missing), ("extra", extra))
            if keys
        ]
        raise CheckpointError(
            f"{name}: its weights do not match its card: {', '.join(what)}; the file was edited or is damaged"
        )


def check_weight(name: str, key: str, expected: Tensor, shape: Sequence[int], kind: str) -> None:
    """Reject a weight of the wrong shape or the wrong type of number.

    Parameters
    ----------
    expected
        The network's own tensor; may be on the meta device.
    shape, kind
        Shape and type of the stored weight; the type as named by safetensors (`F32`) or torch (`float32`).

    Raises
    ------
    CheckpointError
        `name` is that of the file.
    """
    if list(shape) != list(expected.shape):
        raise CheckpointError(
            f"{name}: weight {key!r} has shape {list(shape)}, but its card requires {list(expected.shape)}"
        )
    accepted, wanted = WHOLE, "integers of 32 or 64 bits"
    if expected.is_floating_point():
        accepted, wanted = FLOATING, "floating-point numbers of 16 to 64 bits"
    elif expected.dtype == torch.uint8:
        accepted, wanted = BYTES, "unsigned 8-bit integers"
    if kind not in accepted:
        raise CheckpointError(f"{name}: weight {key!r} is stored as {kind}, but {wanted} are needed")


def to_finite(name: str, key: str, tensor: Tensor) -> Tensor:
    """A weight as the network holds it: floating-point numbers become float32.

    Raises
    ------
    CheckpointError
        NaN, infinity, a number out of float32's range, or a negative variance; `name` is that of the file.
    """
    if not tensor.is_floating_point():
        return tensor
    converted = tensor.float()
    if not bool(torch.isfinite(converted).all()):
        raise CheckpointError(f"{name}: weight {key!r} holds NaN or infinity as float32; use an earlier checkpoint")
    if key.endswith("running_var") and bool((converted < 0.0).any()):
        raise CheckpointError(f"{name}: weight {key!r} is a negative variance; the file was edited or is damaged")
    return converted


def check_pass(name: str, card: ModelCard, model: InpaintingModel | TranslationModel) -> None:
    """Run a model once on a small gray picture to check that its output is finite and what a full pass would cost.

    Raises
    ------
    CheckpointError
        `name` is that of the file or model.
    """
    largest = 0

    def measure(module: nn.Module, inputs: Any, output: Any) -> None:
        nonlocal largest
        if isinstance(output, Tensor) and output.ndim == 4:
            largest = max(largest, output.numel() * 4)

    leaves = [module for module in model.network.modules() if next(module.children(), None) is None]
    handles = [module.register_forward_hook(measure) for module in leaves]
    side = _round_up(max(PROBE_SIDE, model.network.minimum), model.network.multiple)
    translates = isinstance(model, TranslationModel)
    gray = to_range(torch.full((1, 1 if translates and card.prepare else 3, side, side), 0.5), card.value_range)
    mask = torch.zeros(1, 1, side, side)
    mask[..., side // 4 : side // 2, side // 4 : side // 2] = 1.0
    try:
        with torch.no_grad(), evaluation_mode(model.network):
            output = model.network(gray) if translates else model.network(gray, mask)
    finally:
        for handle in handles:
            handle.remove()
    if not bool(torch.isfinite(output).all()):
        raise CheckpointError(f"{name}: its network's output is not finite; use an earlier checkpoint")
    needed = HELD_AT_ONCE * largest * (card.trained_size / side) ** 2 / 2**30
    if needed > _limit:
        raise CheckpointError(
            f"{name}: one pass at its training size of {card.trained_size} pixels takes about {needed:.0f} GiB, but "
            f"only {_limit:g} are allowed; if this size is intended, raise the limit with --pass-gib "
            f"{math.ceil(needed)} (in Python, inpaint_core.checkpoints.weights.set_pass_limit)"
        )


def set_pass_limit(gib: float) -> None:
    """Replace `MAX_PASS_GIB` for this process.

    Parameters
    ----------
    gib
        GiB that one pass of a model at its training size may take.

    Raises
    ------
    ValueError
        Not a number above 0.
    """
    global _limit
    if not gib > 0.0:
        raise ValueError(f"a limit of {gib:g} GiB for one pass: give a number above 0")
    _limit = gib


def _round_up(side: int, multiple: int) -> int:
    return -(-side // multiple) * multiple
