"""Conversion of a public checkpoint to one of our models, with a report."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from pydantic import ValidationError
from torch import Tensor

from ..checkpoints.card import ModelCard
from ..checkpoints.errors import CheckpointError
from ..checkpoints.inpainting_model import InpaintingModel
from ..checkpoints.translation_model import TranslationModel
from ..checkpoints.weights import check_weight, to_finite
from ..models.registry import build_empty
from ..validation import describe
from . import glcic_layouts, landscape_layouts, partial_conv_layouts, pix2pix_layouts
from .external_models import EXTERNAL_FAMILIES
from .layout import Layout, Mapping, UnsupportedLayout
from .reading import read_weights, without_prefixes

LAYOUTS: tuple[Layout, ...] = (
    *partial_conv_layouts.LAYOUTS,
    *glcic_layouts.LAYOUTS,
    *landscape_layouts.LAYOUTS,
    *pix2pix_layouts.LAYOUTS,
)
CONVERTED = "once converted"
WITH_SPANDREL = "it loads without conversion if spandrel is installed"
UNSUPPORTED: tuple[UnsupportedLayout, ...] = (
    *glcic_layouts.UNSUPPORTED,
    *pix2pix_layouts.UNSUPPORTED,
    *(UnsupportedLayout(name, is_one, WITH_SPANDREL) for name, is_one in EXTERNAL_FAMILIES.items()),
)
Family = TypeVar("Family", Layout, UnsupportedLayout)


@dataclass(frozen=True)
class Conversion:
    """A converted model, and how every weight was used.

    Attributes
    ----------
    model
        Ready for use or saving.
    layout
        Name of the family that was recognized.
    moved
        Original name -> our name.
    dropped
        Original name -> why it is not needed.
    notes
        What was assumed or changed.
    """

    model: InpaintingModel | TranslationModel
    layout: str
    moved: dict[str, str]
    dropped: dict[str, str]
    notes: tuple[str, ...]

    def report(self) -> str:
        """A report of the conversion, one line per kind of change."""
        card = self.model.card
        chosen = ", ".join(f"{key} {value}" for key, value in sorted(card.arguments.items()))
        lines = [f"layout: {self.layout}", f"architecture: {card.architecture} ({chosen})"]
        lines.append(f"mapped: {len(self.moved)} weights")
        reasons: dict[str, int] = {}
        for reason in self.dropped.values():
            reasons[reason] = reasons.get(reason, 0) + 1
        lines += [f"not needed: {count} weights ({reason})" for reason, count in reasons.items()]
        return "\n".join(lines + [f"note: {note}" for note in self.notes])


def convert_checkpoint(path: str | os.PathLike[str], *, fill: Sequence[float] | None = None) -> Conversion:
    """Convert a public checkpoint to one of our models.

    Parameters
    ----------
    path
        A `.pth`, `.pt` or `.ckpt` file of a known family.
    fill
        RGB in 0..1 that holes were filled with in training, if the default (see the report's notes) is wrong. For
        GLCIC, a `config.json` with a mean pixel `mpv` next to the file or one folder above is found automatically.

    Raises
    ------
    CheckpointError
        Not a checkpoint, a pickle that contains more than tensors, an unknown family, a missing, unknown, misshapen or
        non-finite weight, or a fill out of range: one line.
    """
    source = Path(path)
    weights, steps = read_weights(source)
    layout, weights = _recognize(source.name, weights)
    mapping = Mapping(weights)
    try:
        card = layout.plan(mapping)
        left_over = mapping.left_over()
        if left_over:
            raise CheckpointError(
                f"{len(left_over)} unknown weights (first: {left_over[0]!r}) in a {layout.name}; nothing was converted"
            )
        update: dict[str, object] = {"steps": steps, "name": source.stem, "data": f"converted from {layout.name}"}
        mean = fill if fill is not None else _mean_pixel(source) if card.architecture == "glcic" else None
        if mean is not None:
            update["fill"] = tuple(mean)
        card = ModelCard.model_validate({**card.model_dump(), **update})
        model = _build(card, mapping.tensors)
    except ValidationError as error:
        raise CheckpointError(f"{source.name}: {describe(error)}") from None
    except ValueError as error:
        raise CheckpointError(f"{source.name}: {error}") from None
    return Conversion(model, layout.name, mapping.moved, mapping.dropped, tuple(mapping.notes))


def _recognize(name: str, weights: dict[str, Tensor]) -> tuple[Layout, dict[str, Tensor]]:
    for candidate in without_prefixes(weights):
        keys = set(candidate)
        layout = _first(LAYOUTS, keys)
        if layout is not None:
            return layout, candidate
        unsupported = _first(UNSUPPORTED, keys)
        if unsupported is not None:
            raise CheckpointError(f"{name}: this is a {unsupported.name}; {unsupported.advice}")
    first = ", ".join(repr(key) for key in sorted(weights)[:3])
    known = "; ".join(layout.name for layout in LAYOUTS)
    raise CheckpointError(f"{name}: its {len(weights)} weights ({first}, ...) match no known layout: {known}")


def _first(families: Iterable[Family], keys: set[str]) -> Family | None:
    return next((family for family in families if family.recognizes(keys)), None)


def _mean_pixel(source: Path) -> list[float] | None:
    for folder in (source.parent, source.parent.parent):
        try:
            content = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            continue
        mean = content.get("mpv") if isinstance(content, dict) else None
        if isinstance(mean, list) and len(mean) == 3:
            return mean
    return None


def _build(card: ModelCard, tensors: dict[str, Tensor]) -> InpaintingModel | TranslationModel:
    with torch.inference_mode(False):
        network = build_empty(card.architecture, dict(card.arguments))
        expected = network.state_dict()
        missing = sorted(expected.keys() - tensors.keys())
        extra = sorted(tensors.keys() - expected.keys())
        if missing or extra:
            raise CheckpointError(f"its weights do not match the network (first: {(missing + extra)[0]!r})")
        for key, tensor in tensors.items():
            check_weight(CONVERTED, key, expected[key], tensor.shape, str(tensor.dtype).removeprefix("torch."))
        floats = {key: to_finite(CONVERTED, key, tensor) for key, tensor in tensors.items()}
        network.load_state_dict({key: value.contiguous() for key, value in floats.items()}, assign=True)
        network.eval().requires_grad_(True)
        return InpaintingModel(card, network) if card.task == "inpainting" else TranslationModel(card, network)
