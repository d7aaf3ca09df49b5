"""The models and fills that the page offers; each is loaded once and shared by all visitors."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from inpaint_core.checkpoints.embedded import EMBEDDED_INPAINTING, EMBEDDED_TRANSLATION
from inpaint_core.checkpoints.files import load_model
from inpaint_core.checkpoints.inference_form import optimize
from inpaint_core.checkpoints.translation_model import TranslationModel
from inpaint_core.devices import find_device
from inpaint_core.foreign.completers import open_completer
from inpaint_core.inpainting.classical import CLASSICAL_METHODS, FILL_NAMES
from inpaint_core.inpainting.inpaint import Completer
from inpaint_core.inpainting.patchmatch import check_patchmatch

from .pictures import VisitorError

DESCRIPTIONS = {
    "glcic-natural": "best for most photographs",
    "pconv-natural": "partial convolutions",
    "unet-natural": "the fastest of the networks",
    "liminal-rooms": "rooms and corridors",
    "patches": "copies from the surroundings",
    "patchmatch": "the same with PyPatchMatch",
    "mean": "one color",
    "smooth": "smooth colors",
    "telea": "Telea 2004",
    "navier-stokes": "Bertalmio et al. 2001",
    "biharmonic": "small holes only",
    "see-flowers": "flowers",
    "see-waves": "the sea",
    "see-clouds": "the sky",
}


def fill_names() -> list[str]:
    """Embedded models and classical fills, best first; `patchmatch` only where its library is installed."""
    try:
        check_patchmatch()
    except ValueError:
        classical = CLASSICAL_METHODS
    else:
        classical = FILL_NAMES
    return [*EMBEDDED_INPAINTING, *sorted(classical, key=lambda name: not name.startswith("patch"))]


def is_network(name: str) -> bool:
    """Whether a fill is a network, whose detail can be its own or copied."""
    return name in EMBEDDED_INPAINTING


def labeled(names: list[str] | tuple[str, ...]) -> list[tuple[str, str]]:
    """Each name as a pair: the label that the page shows, and the name itself."""
    return [(f"{name}: {DESCRIPTIONS[name]}" if name in DESCRIPTIONS else name, name) for name in names]


@dataclass
class Models:
    """Models by name. May be used from several threads."""

    device: str = "cpu"
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _completers: dict[str, Completer] = field(default_factory=dict)
    _translators: dict[str, TranslationModel] = field(default_factory=dict)

    def completer(self, name: str) -> Completer:
        """A fill by name.

        Raises
        ------
        VisitorError
            The page offers no such fill.
        """
        if name not in fill_names():
            raise VisitorError(f"There is no fill of this name: choose one of {', '.join(fill_names())}.")
        with self._lock:
            if name not in self._completers:
                self._completers[name] = open_completer(name, self.device)
            return self._completers[name]

    def translator(self, name: str) -> TranslationModel:
        """A translation model by name.

        Raises
        ------
        VisitorError
            The page offers no such model.
        """
        if name not in EMBEDDED_TRANSLATION:
            raise VisitorError(f"There is no such model: choose one of {', '.join(EMBEDDED_TRANSLATION)}.")
        with self._lock:
            if name not in self._translators:
                model = load_model(name, find_device(self.device))
                assert isinstance(model, TranslationModel)
                self._translators[name] = optimize(model)
            return self._translators[name]
