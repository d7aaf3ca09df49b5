"""The models that come with the pack, by name."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent / "weights"
EMBEDDED_INPAINTING = ("pconv-natural", "unet-natural", "glcic-natural")
"""Those that fill holes, the best one first: lists that people choose from begin with it."""
EMBEDDED_TRANSLATION = ("see-flowers",)
"""Those that translate pictures (Learning to See)."""


def embedded_models() -> dict[str, Path]:
    """Names that `load_model` takes instead of a path, and their files.

    Examples
    --------
    >>> list(embedded_models())[0]
    'pconv-natural'
    """
    return {name: FOLDER / f"{name}.safetensors" for name in (*EMBEDDED_INPAINTING, *EMBEDDED_TRANSLATION)}
