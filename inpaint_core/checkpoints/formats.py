"""Model files of other programs, recognized by their first and last bytes."""

from __future__ import annotations

import os
from pathlib import Path

BEGINNINGS: tuple[tuple[bytes, str], ...] = (
    (b"\x89HDF\r\n\x1a\n", "a Keras or other HDF5 file"),
    (b"GGUF", "a GGUF file of llama.cpp"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"version https://git-lfs", "only a Git LFS pointer, not the model itself: fetch it with git lfs pull"),
    (b"<!doctype html", "a web page, not a model: download the file itself"),
    (b"<html", "a web page, not a model: download the file itself"),
)
SUFFIXES: dict[str, str] = {
    ".h5": "a Keras file",
    ".hdf5": "a Keras file",
    ".keras": "a Keras file",
    ".pb": "a TensorFlow graph",
    ".onnx": "an ONNX graph",
    ".tflite": "a TensorFlow Lite model",
    ".caffemodel": "a Caffe model",
    ".pdparams": "a PaddlePaddle model",
    ".mlmodel": "a Core ML model",
    ".engine": "a TensorRT engine",
    ".gguf": "a GGUF file of llama.cpp",
    ".npz": "an archive of NumPy arrays",
    ".npy": "a NumPy array",
    ".msgpack": "a Flax checkpoint",
    ".index": "a part of a TensorFlow checkpoint",
    ".meta": "a part of a TensorFlow checkpoint",
}
TABLE_END = bytes.fromhex("57fb808b247547db")[::-1]  # LevelDB's tables, which TensorFlow 1 writes as .ckpt


def identify_foreign(path: str | os.PathLike[str]) -> str | None:
    """What a file of another program is, as the end of a sentence; None for all other files."""
    source = Path(path)
    try:
        with source.open("rb") as file:
            start = file.read(64)
            file.seek(max(0, source.stat().st_size - len(TABLE_END)))
            end = file.read()
    except OSError:
        return None
    found = next((what for magic, what in BEGINNINGS if start.lower().startswith(magic.lower())), None)
    if found is not None:
        return found
    if start[4:8] == b"TFL3":
        return SUFFIXES[".tflite"]
    if end == TABLE_END or ".data-0" in source.name:
        return "a TensorFlow checkpoint"
    if start.startswith((b"PK", b"\x80")) and source.suffix.lower() not in (".npz", ".keras"):
        return None  # PyTorch's own format, whatever its suffix
    return SUFFIXES.get(source.suffix.lower())
