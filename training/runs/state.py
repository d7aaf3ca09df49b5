"""Exact resume: everything that the next step depends on, as safetensors and JSON.

A state is two files, `00001200.safetensors` and `00001200.json`. The JSON is written last and holds the size and the
checksum of the other one, so that a state is complete exactly when its JSON says so. The newest complete one is found
again, whatever moment a process was killed at.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from inpaint_core.files.atomic import atomic_path, remove_unfinished, write_text

FORMAT = 1
KEPT_STATES = 2
STATE_NAME = re.compile(r"(\d{8,})\.json")


@dataclass(frozen=True)
class SavedState:
    """A complete state that was found.

    Attributes
    ----------
    folder
        Where it was found.
    step
        Steps done when it was written.
    values
        What was given to `save_state`, tensors on the CPU.
    damaged
        Names of newer states that were incomplete and passed over.
    """

    folder: Path
    step: int
    values: dict[str, Any]
    damaged: tuple[str, ...]


def save_state(folder: Path, step: int, values: Mapping[str, Any], run: str) -> Path:
    """Write a state and remove those of the same run that are older than the one before it.

    Parameters
    ----------
    folder
        Made if it does not exist.
    values
        Nested mappings, lists and tuples of tensors, numbers, strings, booleans and None.
    run
        Identifier of the run; states of other runs in the folder are left alone.

    Returns
    -------
    Path
        The JSON file.

    Raises
    ------
    OSError
        The folder cannot be written or the disk is full; earlier states are intact.
    """
    folder.mkdir(exist_ok=True)
    remove_unfinished(folder)
    tensors: dict[str, Tensor] = {}
    tree = _pack(values, tensors)
    weights, manifest = folder / f"{step:08d}.safetensors", folder / f"{step:08d}.json"
    # A state of the same step is about to be replaced: without its JSON it is not taken for complete in between.
    manifest.unlink(missing_ok=True)
    with atomic_path(weights) as temporary:
        save_file(tensors, temporary)
        size, digest = temporary.stat().st_size, _checksum(temporary)
    record = {"format": FORMAT, "run": run, "step": step, "tensors": {"size": size, "sha256": digest}, "values": tree}
    write_text(manifest, json.dumps(record))
    _prune(folder, run)
    return manifest


def load_newest_state(folder: Path) -> SavedState | None:
    """The newest complete state of a folder, None where there is none."""
    damaged = []
    for manifest in _manifests(folder):
        try:
            record = json.loads(manifest.read_text(encoding="utf-8"))
            weights = manifest.with_suffix(".safetensors")
            expected = record["tensors"]
            if record["format"] != FORMAT or weights.stat().st_size != expected["size"]:
                raise ValueError("incomplete")
            if _checksum(weights) != expected["sha256"]:
                raise ValueError("altered")
            values = _unpack(record["values"], load_file(weights))
        except (OSError, ValueError, KeyError, TypeError, SafetensorError):
            damaged.append(manifest.name)
            continue
        return SavedState(folder, int(record["step"]), values, tuple(damaged))
    return None


def _manifests(folder: Path) -> list[Path]:
    """Manifests, newest first."""
    if not folder.is_dir():
        return []
    found = [(int(match[1]), path) for path in folder.iterdir() if (match := STATE_NAME.fullmatch(path.name))]
    return [path for _, path in sorted(found, reverse=True)]


def _prune(folder: Path, run: str) -> None:
    kept = 0
    for manifest in _manifests(folder):
        try:
            ours = json.loads(manifest.read_text(encoding="utf-8")).get("run") == run
        except (OSError, ValueError, AttributeError):
            continue
        if not ours:
            continue
        kept += 1
        if kept > KEPT_STATES:
            manifest.unlink(missing_ok=True)
            manifest.with_suffix(".safetensors").unlink(missing_ok=True)


def _checksum(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()


def _pack(value: Any, tensors: dict[str, Tensor]) -> Any:
    """Turn a tree into JSON, with tensors replaced by their names."""
    if isinstance(value, Tensor):
        name = str(len(tensors))
        # A copy, because safetensors refuses tensors that share memory.
        tensors[name] = value.detach().to("cpu", copy=True).contiguous()
        return {"tensor": name}
    if isinstance(value, Mapping):
        return {"mapping": [[key, _pack(item, tensors)] for key, item in value.items()]}
    if isinstance(value, tuple):
        return {"tuple": [_pack(item, tensors) for item in value]}
    if isinstance(value, list):
        return [_pack(item, tensors) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"a {type(value).__name__} cannot be saved")


def _unpack(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    if isinstance(value, list):
        return [_unpack(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    if "tensor" in value:
        return tensors[value["tensor"]]
    if "tuple" in value:
        return tuple(_unpack(item, tensors) for item in value["tuple"])
    return {key: _unpack(item, tensors) for key, item in value["mapping"]}
