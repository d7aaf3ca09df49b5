"""The models bundled with the pack, by name."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parents[1] / "weights"
EMBEDDED_INPAINTING = ("glcic-natural", "pconv-natural", "unet-natural", "liminal-rooms")
"""Those that fill holes, best first. Lists shown to users start with these."""
EMBEDDED_TRANSLATION = ("see-flowers", "see-waves", "see-clouds")
"""Those that translate pictures (Learning to See)."""


def embedded_models() -> dict[str, Path]:
    """Names that `load_model` accepts instead of a path, and their files.

    Examples
    --------
    >>> list(embedded_models())[0]
    'glcic-natural'
    """
    order = {name: place for place, name in enumerate((*EMBEDDED_INPAINTING, *EMBEDDED_TRANSLATION))}
    found = sorted(FOLDER.glob("*.safetensors"), key=lambda path: (order.get(path.stem, len(order)), path.stem))
    return {path.stem: path for path in found}
