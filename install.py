"""Run by ComfyUI-Manager after installing requirements.txt: checks imports and creates the model folder.

Installs and downloads nothing, and can be run again at any time. The pack works without it.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

# Import name -> name to install, one per line of requirements.txt.
REQUIRED = {
    "torch": "torch",
    "numpy": "numpy",
    "PIL": "pillow",
    "safetensors": "safetensors",
    "skimage": "scikit-image",
    "scipy": "scipy",
    "cv2": "opencv-python",
    "pydantic": "pydantic",
    "pydantic_settings": "pydantic-settings",
    "yaml": "pyyaml",
    "tqdm": "tqdm",
}


def missing_packages() -> list[str]:
    """Names to install for every import that this interpreter cannot find."""
    return [package for module, package in REQUIRED.items() if importlib.util.find_spec(module) is None]


def host_root(pack: Path) -> Path | None:
    """ComfyUI's folder if `pack` is in its `custom_nodes`, else None."""
    return pack.parent.parent if pack.parent.name == "custom_nodes" else None


def main(pack: Path) -> int:
    """Report on the installation; returns 0 if it is complete, 1 if a package is missing."""
    host = host_root(pack)
    if host is None:
        print("Liminal: this folder is not inside a custom_nodes folder, so there is no model folder to create.")
    else:
        models = host / "models" / "liminal"
        models.mkdir(parents=True, exist_ok=True)
        print(f"Liminal: models go to {models}")
    missing = missing_packages()
    if missing:
        print(f"Liminal: missing packages: {', '.join(missing)}. Install them with: pip install -r requirements.txt")
        return 1
    print("Liminal: all packages are installed.")
    return 0


if __name__ == "__main__":
    # Not resolved: a link in custom_nodes counts as being inside it.
    sys.exit(main(Path(__file__).absolute().parent))
