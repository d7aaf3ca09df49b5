"""Learning to See: abstracting pictures into inputs and translating them in the style of the training pictures."""

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
