"""Self-describing checkpoints: one safetensors file with a card in its metadata; no flags, no pickle."""

from __future__ import annotations

import json
import os
from pathlib import Path

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ..files.atomic import write_bytes
from ..models.architecture import Network
from ..models.registry import build_empty, find_architecture
from ..validation import describe
from .card import FORMAT, ModelCard
from .embedded import embedded_models
from .errors import CheckpointError
from .formats import identify_foreign
from .inpainting_model import InpaintingModel
from .translation_model import TranslationModel
from .weights import check_names, check_pass, check_weight, to_finite

CARD_KEY = "liminal.card"
MAX_CARD_CHARACTERS = 100_000
MAX_HEADER_BYTES = 4 * 2**20  # bytes; the largest network needs a twentieth of that
PICKLE_SUFFIXES = {".pth", ".pt", ".ckpt", ".bin", ".pkl", ".t7"}


def load_model(path: str | os.PathLike[str], device: torch.device | str = "cpu") -> InpaintingModel | TranslationModel:
    """Build a network from a checkpoint's own card and load its weights.

    Parameters
    ----------
    path
        A `.safetensors` file written by `save_model`, or the name of an embedded model (see `embedded_models`).
    device
        Device for the weights.

    Returns
    -------
    InpaintingModel or TranslationModel
        Depending on the card's task; in evaluation mode, float32 even if the file is in half precision.

    Raises
    ------
    CheckpointError
        No such file, another format, a truncated file, no card, an unknown architecture, arguments out of range,
        missing, extra or misshapen weights, non-finite weights.
    """
    source = _source(path)
    # In ComfyUI's inference mode, weights would become inference tensors, which cannot be trained.
    with torch.inference_mode(False):
        card, network, tensors = _read(source)
        network.load_state_dict(tensors, assign=True)
        model = TranslationModel(card, network) if card.task == "translation" else InpaintingModel(card, network)
        check_pass(source.name, card, model)
        network = network.to(device).eval()
        if card.task == "translation":
            # At least a third faster on CPUs, and in half precision on GPUs.
            network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            return TranslationModel(card, network)
        return InpaintingModel(card, network)


def save_model(model: InpaintingModel | TranslationModel, path: str | os.PathLike[str], *, half: bool = False) -> None:
    """Write a model to a self-describing file, atomically.

    Parameters
    ----------
    model
        Card and network.
    path
        Must end in `.safetensors`; an existing file is replaced only once the new one is complete.
    half
        Store float16 instead of float32.

    Raises
    ------
    CheckpointError
        Wrong suffix, an inference form, or a weight that is not finite; nothing is written.
    OSError
        The folder cannot be written or the disk is full; an existing file is untouched.
    """
    target = Path(path)
    if target.suffix != ".safetensors":
        raise CheckpointError(f"{target.name}: a checkpoint's name must end in .safetensors")
    if not isinstance(model.network, find_architecture(model.card.architecture).network):
        raise CheckpointError(f"{target.name}: an inference form cannot be saved; save the model it was made from")
    tensors = {}
    for key, value in model.network.state_dict().items():
        tensor = value.detach().to("cpu")
        if tensor.is_floating_point():
            tensor = tensor.to(torch.float16 if half else torch.float32)
            if not torch.isfinite(tensor).all():
                raise CheckpointError(f"{target.name}: weight {key!r} is not finite, so nothing was written")
        # A clone, because safetensors rejects tensors that share memory and channels_last strides.
        tensors[key] = tensor.clone(memory_format=torch.contiguous_format)
    # Not `save_file`, which leaves temporary files behind when killed and raises no OSError on a full disk. A single
    # metadata entry, because the order of entries in the file is random: equal models make equal files.
    write_bytes(target, save(tensors, metadata={CARD_KEY: model.card.model_dump_json()}))


def read_card(path: str | os.PathLike[str]) -> ModelCard:
    """Read only the card of a checkpoint, which is cheap for any file size.

    Raises
    ------
    CheckpointError
        As `load_model`, as far as can be checked without the weights.
    """
    source = _source(path)
    _check_file(source)
    try:
        with safe_open(source, framework="pt") as file:
            return _parse_card(source.name, file.metadata())
    except SafetensorError as error:
        raise _damaged(source, error) from None


def _read(source: Path) -> tuple[ModelCard, Network, dict[str, Tensor]]:
    """The card, its network on the meta device, and weights that match it: float32, finite."""
    _check_file(source)
    try:
        with safe_open(source, framework="pt") as file:
            card = _parse_card(source.name, file.metadata())
            try:
                network = build_empty(card.architecture, dict(card.arguments))
            except ValueError as error:
                raise CheckpointError(f"{source.name}: {error}") from None
            _check_inputs(source.name, card)
            expected = network.state_dict()
            check_names(source.name, expected, file.keys())
            for key in expected:
                stored = file.get_slice(key)
                check_weight(source.name, key, expected[key], stored.get_shape(), stored.get_dtype())
            tensors = {key: to_finite(source.name, key, file.get_tensor(key)) for key in expected}
            return card, network, tensors
    except SafetensorError as error:
        raise _damaged(source, error) from None


def _source(path: str | os.PathLike[str]) -> Path:
    return embedded_models().get(os.fspath(path), Path(path))


def _check_file(source: Path) -> None:
    foreign = identify_foreign(source)
    if foreign is not None:
        raise CheckpointError(f"{source.name}: this is {foreign}; models of this pack end in .safetensors")
    if source.suffix.lower() in PICKLE_SUFFIXES:
        raise CheckpointError(
            f"{source.name}: {source.suffix} files can run code when opened and are rejected; convert it to a safe "
            f"format: python -m inpaint_core convert {source.name} --out {source.stem}.safetensors"
        )
    if not source.is_file():
        known = ", ".join(embedded_models())
        raise CheckpointError(
            f"{source}: no such model file" + (f", and no embedded model of that name ({known})" if known else "")
        )
    if source.suffix.lower() != ".safetensors":
        raise CheckpointError(f"{source.name}: not a model; models end in .safetensors")
    with source.open("rb") as file:
        start = file.read(8)
    if len(start) == 8 and MAX_HEADER_BYTES < int.from_bytes(start, "little") <= source.stat().st_size:
        raise CheckpointError(f"{source.name}: its header is too large to be a model of this pack")


def _damaged(source: Path, error: SafetensorError) -> CheckpointError:
    return CheckpointError(
        f"{source.name}: the file is damaged or not safetensors ({source.stat().st_size} bytes, {error}); copy or "
        "download it again"
    )


def _parse_card(name: str, metadata: dict[str, str] | None) -> ModelCard:
    text = (metadata or {}).get(CARD_KEY)
    if text is None:
        raise CheckpointError(
            f"{name}: this is not a Liminal model (it has no card); convert public checkpoints with python -m "
            "inpaint_core convert"
        )
    if len(text) > MAX_CARD_CHARACTERS:
        raise CheckpointError(
            f"{name}: its card has {len(text)} characters; at most {MAX_CARD_CHARACTERS} are accepted"
        )
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):  # including numbers with thousands of digits
        raise CheckpointError(f"{name}: its card is not JSON; save the model again") from None
    if isinstance(fields, dict) and isinstance(fields.get("format"), int) and fields["format"] > FORMAT:
        raise CheckpointError(
            f"{name}: written by a newer version of the pack (format {fields['format']}); update the pack"
        )
    try:
        card = ModelCard.model_validate(fields)
        task = find_architecture(card.architecture).task
    except ValidationError as error:
        raise CheckpointError(f"{name}: its card is invalid: {describe(error)}") from None
    except ValueError as error:
        raise CheckpointError(f"{name}: {error}") from None
    if task != card.task:
        raise CheckpointError(f"{name}: its card has the task {card.task}, but {card.architecture!r} is for {task}")
    return card


def _check_inputs(name: str, card: ModelCard) -> None:
    """Check that a translation network reads the input that its card specifies: one gray channel, or colors."""
    architecture = find_architecture(card.architecture)
    read = architecture.input_channels(architecture.complete(card.arguments))
    fed = 3 if card.prepare is None else 1
    if card.task == "translation" and read != fed:
        raise CheckpointError(
            f"{name}: its network reads {read} channels, but its card specifies {fed}; the file was edited"
        )
