"""Writing a model as an ONNX file, checked by running it."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ..checkpoints.inpainting_model import InpaintingModel
from ..checkpoints.translation_model import TranslationModel
from ..files.atomic import write_bytes
from ..masks import generate
from ..models.evaluation_mode import evaluation_mode
from .graphs import PictureGraph, graph_of

OPSET = 18
TOLERANCE = 1e-4
"""Maximum accepted difference from torch, in 0..1."""
PROBES = 8
MOST = 0.5  # of the values, for networks that choose between pieces of pictures
MAX_SIDE = 4096


class ExportError(ValueError):
    """A model cannot be exported, or the exported model differs; the message is one line."""


@dataclass(frozen=True)
class Comparison:
    """An exported model compared with torch.

    Attributes
    ----------
    agreeing, pictures
        Number of pictures that differ nowhere by more than `TOLERANCE`, and number of pictures.
    difference
        Largest difference in 0..1 in those.
    share
        Smallest fraction of values within `TOLERANCE` in any picture.
    """

    agreeing: int
    pictures: int
    difference: float
    share: float


def export_model(
    model: InpaintingModel | TranslationModel, target: Path, size: tuple[int, int] | None
) -> Comparison | None:
    """Write a model as an ONNX file with its preparation of pictures inside, after comparing it with torch.

    Parameters
    ----------
    model
        Plain form, on the CPU.
    target
        Must end in `.onnx`.
    size
        Height and width of the pictures in pixels; None: the file accepts any.

    Returns
    -------
    Comparison or None
        None if onnxruntime is not installed: the file was not checked.

    Raises
    ------
    ExportError
        A wrong name or size, a missing package, or a result that differs from torch's; nothing is written.
    """
    if target.suffix.lower() != ".onnx":
        raise ExportError(f"{target}: the name of an exported model must end in .onnx")
    if size is not None and not all(1 <= side <= MAX_SIDE for side in size):
        raise ExportError(f"a picture of {size[1]}x{size[0]} pixels: sides must be from 1 to {MAX_SIDE}")
    if not find_spec("onnx"):
        raise ExportError('exporting needs the package onnx: pip install "liminal-inpaint[onnx]"')
    graph = graph_of(model).eval()
    with evaluation_mode(model.network), torch.no_grad():
        data = _described(_traced(graph, size), model)
        found = _compare(graph, data, size) if find_spec("onnxruntime") else None
    write_bytes(target, data)
    return found


def _traced(graph: PictureGraph, size: tuple[int, int] | None) -> bytes:
    example = _probe(graph, size or _sizes_to_try(graph)[0], 0)
    graph(*example)  # what a network derives from its weights must exist, or it would be traced as well
    names = [*graph.inputs, graph.output]
    axes = {name: {2: "height", 3: "width"} for name in names} if size is None else None
    file = io.BytesIO()
    with warnings.catch_warnings():
        # The tracer warns about every decision in Python, and torch about its own tracer; the comparison is what
        # counts.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            graph,
            example,
            file,  # type: ignore[arg-type]
            dynamo=False,
            opset_version=OPSET,
            input_names=list(graph.inputs),
            output_names=[graph.output],
            dynamic_axes=axes,
        )
    return file.getvalue()


def _described(data: bytes, model: InpaintingModel | TranslationModel) -> bytes:
    """The file with the card's name and licence in it: pictures may be inside."""
    import onnx

    card = model.card
    described = onnx.load_from_string(data)
    onnx.helper.set_model_props(
        described,
        {"name": card.name, "licence": card.licence, "data": card.data, "liminal": card.version, "task": card.task},
    )
    return described.SerializeToString()


def _compare(graph: PictureGraph, data: bytes, size: tuple[int, int] | None) -> Comparison:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    sizes = [size] if size else _sizes_to_try(graph)
    differences = torch.empty(PROBES)
    shares = torch.empty(PROBES)
    for number in range(PROBES):
        probe = _probe(graph, sizes[number % len(sizes)], number)
        feed = {name: value.numpy() for name, value in zip(graph.inputs, probe, strict=True)}
        (result,) = session.run(None, feed)
        difference = (torch.from_numpy(result) - graph(*probe)).abs()
        differences[number] = difference.max()
        shares[number] = (difference <= TOLERANCE).float().mean()
    agreeing = differences[shares == 1.0]
    # Rounding may decide between two pieces that are equally good.
    enough = shares.min() >= MOST and len(agreeing) > 0 if graph.chooses else len(agreeing) == PROBES
    if not enough:
        raise ExportError(
            f"the exported model differs from torch by {float(differences.max()):.2g}, more than {TOLERANCE:g}: "
            "nothing was written; try other versions of torch and onnx"
        )
    return Comparison(len(agreeing), PROBES, float(agreeing.max()), float(shares.min()))


def _sizes_to_try(graph: PictureGraph) -> list[tuple[int, int]]:
    side = graph.trained_side
    return [(side, side), (side + side // 4 + 3, side), (side, 2 * side - 5)]


def _probe(graph: PictureGraph, size: tuple[int, int], seed: int) -> tuple[Tensor, ...]:
    """A picture of soft shapes and noise, and a mask if the graph takes one."""
    generator = torch.Generator().manual_seed(seed)
    layers: list[Any] = [
        F.interpolate(torch.randn(1, 3, cells, cells, generator=generator), size, mode="bilinear") / cells**0.5
        for cells in (2, 4, 8, 16, 64)
    ]
    image = torch.sigmoid(2.0 * sum(layers) + 0.2 * torch.randn(1, 3, *size, generator=generator))
    if graph.inputs == ("image",):
        return (image,)
    mask = generate("strokes", size=size, hole_ratio=(0.1, 0.3), seed=seed) if min(size) >= 16 else image[:, :1].round()
    return image, mask
