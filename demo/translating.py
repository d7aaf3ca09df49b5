"""Learning to See: an uploaded picture or the frames of a webcam through a translation model."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from inpaint_core.files.images import from_bytes, to_bytes
from inpaint_core.translation import FrameTranslator, LiveControls

from .models import Models
from .pictures import Limits, Pixels, Upload, VisitorError, read_upload, reduce, write_result

CONTRASTS = [("as it is", "none"), ("like the training pictures", "percentile"), ("local contrast", "clahe")]
SHAPES = (128, 256, 512)
"""Sides in pixels that the network works at; its shapes are smaller in a larger picture."""
LIVE_PIXELS = 640 * 480
"""Larger frames of a webcam are reduced to about this."""


@dataclass(frozen=True)
class Look:
    """What a visitor has set.

    Attributes
    ----------
    model
        Name of a translation model.
    zoom
        0.25 to 8.
    contrast
        One of `CONTRASTS`.
    invert
        Whether black and white are exchanged.
    size
        Side in pixels that the network works at.
    """

    model: str
    zoom: float = 1.0
    contrast: str = "none"
    invert: bool = False
    size: int = 256

    def controls(self) -> LiveControls:
        """As the library's live controls.

        Raises
        ------
        VisitorError
            A value out of range.
        """
        try:
            return LiveControls.model_validate({"zoom": self.zoom, "invert": self.invert, "stretch": self.contrast})
        except ValueError:
            raise VisitorError(
                f"zoom {self.zoom:g} with contrast {self.contrast} cannot be used: choose a zoom from 0.25 to 8."
            ) from None


def make_translator(models: Models, look: Look, smoothing: float = 0.0) -> FrameTranslator:
    """A translator for one picture or one webcam.

    Parameters
    ----------
    smoothing
        Weight of the previous frame in the output, at least 0 and below 1.

    Raises
    ------
    VisitorError
        No such model, or a value out of range.
    """
    if look.size not in SHAPES:
        raise VisitorError(f"The working size {look.size} cannot be used: choose one of {', '.join(map(str, SHAPES))}.")
    _check_smoothing(smoothing)
    return FrameTranslator(
        models.translator(look.model), controls=look.controls(), size=look.size, smooth_output=smoothing
    )


@dataclass(frozen=True)
class Translated:
    """A translated picture.

    Attributes
    ----------
    before, after
        uint8 `[h,w,3]`, reduced for the browser.
    seen
        uint8 `[h,w,3]`: the gray input of the network.
    file
        The result at full size.
    """

    before: Pixels
    after: Pixels
    seen: Pixels
    file: Path


def translate_upload(models: Models, limits: Limits, upload: Upload | None, look: Look, results: Path) -> Translated:
    """Translate an uploaded picture at full size; `results` is an existing folder.

    Raises
    ------
    VisitorError
        No picture, or a setting that cannot be used.
    """
    translator = make_translator(models, look)
    picture = read_upload(upload, limits)
    assert upload is not None
    result = translator(picture.visible()[None])[0]
    file = write_result(results, upload, look.model, result, None)
    return Translated(upload.shown, reduce(result), _seen(translator), file)


class Live:
    """The translator of one visitor's webcam, which keeps the previous frame for smoothing."""

    def __init__(self) -> None:
        self._look: Look | None = None
        self._translator: FrameTranslator | None = None

    def step(self, models: Models, frame: NDArray[Any], look: Look, smoothing: float) -> bytes:
        """Translate the next frame, uint8 `[H,W,3]`, to a JPEG; a changed `look` starts a new translator.

        Raises
        ------
        VisitorError
            A setting that cannot be used.
        """
        if self._translator is None or look != self._look:
            self._translator = make_translator(models, look, smoothing)
            self._look = look
        elif self._translator.smooth_output.amount != smoothing:
            _check_smoothing(smoothing)
            self._translator.smooth_output.amount = smoothing
        output = to_bytes(self._translator(from_bytes(shrink(frame))[None])[0])
        encoded = io.BytesIO()
        Image.fromarray(output).save(encoded, format="JPEG", quality=85)
        return encoded.getvalue()


def shrink(frame: NDArray[Any]) -> Pixels:
    """Leave out rows and columns of a large frame, so that a camera's resolution does not decide the frame rate."""
    step = max(1, round((frame.shape[0] * frame.shape[1] / LIVE_PIXELS) ** 0.5))
    return np.ascontiguousarray(frame[::step, ::step, :3])


def _check_smoothing(smoothing: float) -> None:
    if not 0.0 <= smoothing < 1.0:
        raise VisitorError(f"Smoothing {smoothing:g} cannot be used: choose a value from 0 to 0.95.")


def _seen(translator: FrameTranslator) -> Pixels:
    seen = translator.seen
    assert seen is not None
    return to_bytes(torch.nan_to_num(seen[0]).expand(3, -1, -1))
