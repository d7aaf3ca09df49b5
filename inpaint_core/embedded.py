"""The models that come with the pack, by name."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent / "weights"


def embedded_models() -> dict[str, Path]:
    """Names that `load_model` takes instead of a path, and their files.

    Examples
    --------
    >>> all(path.suffix == ".safetensors" for path in embedded_models().values())
    True
    """
    return {path.stem: path for path in sorted(FOLDER.glob("*.safetensors"))}
