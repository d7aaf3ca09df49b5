"""Exact resume: everything the next step depends on, as safetensors and JSON.

A state consists of two files, `00001200.safetensors` and `00001200.json`. The JSON is written last and contains the
size and checksum of the other file and a checksum of itself, so that the JSON alone shows whether a state is complete.
The newest complete state is found no matter when the process was killed or how the files were damaged since.
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
from safetensors.torch import load, save
from torch import Tensor

from inpaint_core.files.atomic import write_bytes, write_text

FORMAT = 2
UNCHECKED_FORMAT = 1  # without the JSON's own checksum
KEPT_STATES = 2
STATE_NAME = re.compile(r"(\d{8,})\.json")
TENSORS_NAME = re.compile(r"\d{8,}\.safetensors")


@dataclass(frozen=True)
class SavedState:
    """A complete state.

    Attributes
    ----------
    folder
        Where it was found.
    step
        Steps done when it was written.
    values
        The values given to `save_state`, with tensors on the CPU.
    damaged
        Names of newer states that were incomplete and skipped.
    """

    folder: Path
    step: int
    values: dict[str, Any]
    damaged: tuple[str, ...]


def save_state(folder: Path, step: int, values: Mapping[str, Any], run: str) -> Path:
    """Write a state.

    Parameters
    ----------
    folder
        Created if it does not exist.
    values
        Nested mappings, lists and tuples of tensors, numbers, strings, booleans and None.
    run
        Identifier of the run.

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
    tensors: dict[str, Tensor] = {}
    tree = _pack(values, tensors)
    weights, manifest = folder / f"{step:08d}.safetensors", folder / f"{step:08d}.json"
    data = save(tensors)
    # If a state of the same step is being replaced, it must not count as complete in the meantime.
    manifest.unlink(missing_ok=True)
    write_bytes(weights, data)
    described = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    record = {"format": FORMAT, "run": run, "step": step, "tensors": described, "values": tree}
    write_text(manifest, json.dumps({**record, "sha256": _checksum(record)}))
    return manifest


def load_newest_state(folder: Path) -> SavedState | None:
    """The newest complete state in a folder, or None."""
    damaged = []
    for manifest in _manifests(folder):
        try:
            step, values = _read(manifest)
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError, SafetensorError):
            damaged.append(manifest.name)
            continue
        return SavedState(folder, step, values, tuple(damaged))
    return None


def _manifests(folder: Path) -> list[Path]:
    """Manifests, newest first."""
    if not folder.is_dir():
        return []
    found = [(int(match[1]), path) for path in folder.iterdir() if (match := STATE_NAME.fullmatch(path.name))]
    return [path for _, path in sorted(found, reverse=True)]


def prune_states(folder: Path, run: str) -> None:
    """Remove all but the newest two states of a run, and tensors that belong to no state.

    Parameters
    ----------
    folder
        The folder; no other process may be writing states to it.
    run
        Identifier of the run; states of other runs are kept.

    Raises
    ------
    OSError
        A file cannot be removed.
    """
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
    for path in list(folder.iterdir()) if folder.is_dir() else []:
        if TENSORS_NAME.fullmatch(path.name) and not path.with_suffix(".json").exists():
            path.unlink(missing_ok=True)


def _read(manifest: Path) -> tuple[int, dict[str, Any]]:
    """Step and values of a complete state; an incomplete one raises various exceptions."""
    record = json.loads(manifest.read_text(encoding="utf-8"))
    checksum = record.pop("sha256", None)
    if record["format"] != UNCHECKED_FORMAT and (record["format"] != FORMAT or checksum != _checksum(record)):
        raise ValueError("altered, or of another format")
    data = manifest.with_suffix(".safetensors").read_bytes()
    expected = record["tensors"]
    if len(data) != expected["size"] or hashlib.sha256(data).hexdigest() != expected["sha256"]:
        raise ValueError("its tensors are incomplete or altered")
    return int(record["step"]), _unpack(record["values"], load(data))


def _checksum(record: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(record).encode()).hexdigest()


def _pack(value: Any, tensors: dict[str, Tensor]) -> Any:
    """Convert a tree to JSON, with tensors replaced by their names."""
    if isinstance(value, Tensor):
        name = str(len(tensors))
        # A copy, because safetensors rejects tensors that share memory.
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
