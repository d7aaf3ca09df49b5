"""Public checkpoints as plain dictionaries of tensors, read without running any code in them."""

from __future__ import annotations

import os
import pickle  # nosec B403
import re
import struct
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor

from ..checkpoints.errors import CheckpointError
from ..checkpoints.formats import identify_foreign

# Keys under which common trainers save the weights.
WEIGHT_KEYS = ("model", "model_state_dict", "state_dict", "params_ema", "params", "generator")
STEP_KEYS = ("n_iter", "global_step")
# Errors raised when reading damaged files, found by fuzzing.
DAMAGE = (
    RuntimeError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    AssertionError,
    EOFError,
    OSError,
    ArithmeticError,
    MemoryError,
    struct.error,
)
# Prefixes that wrappers add to every name: DataParallel, torch.compile, Lightning, and Lightning around a GAN.
PREFIXES = ("module.", "_orig_mod.", "model.", "generator.")
MAX_PREFIXES = 8  # nested wrappers
MAX_DEPTH = 8  # nested dictionaries around the weights
# Lightning also stores the landscape inpainter's network as an object, among the hyperparameters next to the weights.
NETWORK_OBJECTS = re.compile(r"(?:src\.models|__main__)\.(?:UNet|EncoderDecoder)|torch\.nn\.modules\.\w+\.\w+")


class _Ignored:
    """Placeholder for a network stored as an object; the network's class is never imported, instantiated or run."""

    def __setstate__(self, state: object) -> None:
        pass


def read_weights(path: str | os.PathLike[str]) -> tuple[dict[str, Tensor], int]:
    """Read the weights and the number of training steps from a `.pth`, `.pt` or `.ckpt` file.

    Opened with `torch.load(weights_only=True)`: only tensors and plain containers are created, and a pickle that
    requires anything else is rejected before it can run. A network stored as an object next to its weights is ignored.

    Returns
    -------
    weights
        Tensors by name, as in the file.
    steps
        0 if the file does not contain it.

    Raises
    ------
    CheckpointError
        No such file, not a checkpoint, truncated, a pickle with code or objects, or no weights in it.
    """
    source = Path(path)
    if not source.is_file():
        raise CheckpointError(f"{source}: no such file")
    if source.suffix.lower() == ".safetensors":
        raise CheckpointError(f"{source.name}: already safetensors; only .pth, .pt and .ckpt files need conversion")
    foreign = identify_foreign(source)
    if foreign is not None:
        raise CheckpointError(
            f"{source.name}: this is {foreign}; only PyTorch checkpoints (.pth, .pt, .ckpt) can be converted"
        )
    _reject_compressed(source)
    if is_torchscript(source):
        raise CheckpointError(
            f"{source.name}: a TorchScript program, not weights; LaMa's big-lama.pt loads without conversion where "
            f"spandrel is installed"
        )
    try:
        content = _load(source)
    except pickle.UnpicklingError as error:
        raise CheckpointError(f"{source.name}: {_refusal(str(error))}") from None
    except DAMAGE as error:
        reason = str(error).strip().splitlines()[0][:120] if str(error).strip() else type(error).__name__
        raise CheckpointError(f"{source.name}: damaged, or not a PyTorch checkpoint ({reason})") from None
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{source.name}: contains a {type(content).__name__}, not the weights of a network")
    weights = _find_weights(content)
    if weights is None:
        names = ", ".join(repr(str(key)) for key in list(content)[:6]) or "nothing"
        raise CheckpointError(f"{source.name}: no weights found; its top level contains {names}")
    for key, tensor in weights.items():
        if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_complex() or tensor.is_meta:
            raise CheckpointError(f"{source.name}: weight {key!r} is sparse, quantized, complex or has no values")
        if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
            raise CheckpointError(
                f"{source.name}: weight {key!r} has shape {list(tensor.shape)}, which has more values than the file "
                f"holds"
            )
    step = next((content[key] for key in STEP_KEYS if isinstance(content.get(key), int)), 0)
    return weights, max(0, int(step))


def without_prefixes(weights: dict[str, Tensor]) -> Iterator[dict[str, Tensor]]:
    """The weights with prefixes stripped in every possible way, longest names first."""
    yield weights
    for _ in range(MAX_PREFIXES):
        prefix = next((found for found in PREFIXES if weights and all(key.startswith(found) for key in weights)), None)
        if prefix is None:
            return
        weights = {key[len(prefix) :]: value for key, value in weights.items()}
        yield weights


def is_torchscript(source: Path) -> bool:
    """Whether a file is a TorchScript archive, which is a program and not a checkpoint."""
    try:
        with zipfile.ZipFile(source) as archive:
            return any(name.endswith("constants.pkl") for name in archive.namelist())
    except (zipfile.BadZipFile, *DAMAGE):
        return False


def _load(source: Path) -> object:
    try:
        return torch.load(source, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        names = _foreign_names(source)
        if not names or not all(NETWORK_OBJECTS.fullmatch(name) for name in names):
            raise
    with torch.serialization.safe_globals([(_Ignored, name) for name in names]):
        return torch.load(source, map_location="cpu", weights_only=True)


def _foreign_names(source: Path) -> list[str]:
    try:
        return torch.serialization.get_unsafe_globals_in_checkpoint(source)
    except (pickle.UnpicklingError, *DAMAGE):
        return []


def _reject_compressed(source: Path) -> None:
    """PyTorch stores its archives uncompressed; a compressed one may expand to any size."""
    try:
        with zipfile.ZipFile(source) as archive:
            unfolded = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, *DAMAGE):
        return
    size = source.stat().st_size
    if unfolded > 2 * size + 2**20:
        raise CheckpointError(
            f"{source.name}: a compressed archive of {size} bytes that expands to {unfolded}, which PyTorch never "
            f"writes"
        )


def _find_weights(content: Mapping[object, object], depth: int = 0) -> dict[str, Tensor] | None:
    if content and all(isinstance(key, str) and isinstance(value, Tensor) for key, value in content.items()):
        return {str(key): value for key, value in content.items() if isinstance(value, Tensor)}
    for key in WEIGHT_KEYS:
        inner = content.get(key)
        if isinstance(inner, Mapping) and depth < MAX_DEPTH:
            found = _find_weights(inner, depth + 1)
            if found is not None:
                return found
    return None


def _refusal(message: str) -> str:
    unsafe = re.search(r"(?:GLOBAL|class) ['\"`]?([\w.]+)['\"`]?", message)
    what = f"requires {unsafe.group(1)!r}" if unsafe else "contains more than tensors"
    return (
        f"rejected without running anything: it {what}, but only tensors are opened; save only the weights with "
        f"torch.save(network.state_dict(), file)"
    )
