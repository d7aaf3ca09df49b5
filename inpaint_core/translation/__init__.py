"""Learning to See: pictures abstracted into inputs, and translated into what a network was trained on."""

from ..checkpoints.prepare_settings import InputStatistics, PrepareSettings
from .controls import LiveControls
from .frames import FITS, Fit, FrameTranslator, translate
from .preparation import measure_clip, prepare
from .smoothing import CutDetector, ExponentialSmoothing

__all__ = [
    "FITS",
    "CutDetector",
    "ExponentialSmoothing",
    "Fit",
    "FrameTranslator",
    "InputStatistics",
    "LiveControls",
    "PrepareSettings",
    "measure_clip",
    "prepare",
    "translate",
]
