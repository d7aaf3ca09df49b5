"""translate(): pictures, clips and live frames of any size through a translation network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

from ..checkpoints.prepare_settings import InputStatistics, PrepareSettings
from ..checkpoints.translation_model import TranslationModel
from .controls import LiveControls
from .preparation import measure_clip, prepare
from .smoothing import CutDetector, ExponentialSmoothing

Fit = Literal["whole", "crop", "letterbox"]
FITS: tuple[Fit, ...] = get_args(Fit)
MAX_LENGTH_RATIO = 4  # the longer side of a frame is limited to this many times the working size
MEASURED_FRAMES = 32
Progress = Callable[[int, int], None]


def translate(
    model: TranslationModel,
    frames: Tensor,
    *,
    settings: PrepareSettings | None = None,
    controls: LiveControls | None = None,
    fit: Fit = "whole",
    size: int | None = None,
    smooth_input: float = 0.0,
    smooth_output: float = 0.0,
    frames_per_batch: int = 8,
    progress: Progress | None = None,
) -> Tensor:
    """Translate frames as a clip: in order, with the same contrast stretch throughout.

    Parameters
    ----------
    model
        As returned by `load_model`.
    frames
        `[T,3,H,W]` in 0..1, RGB; gray `[T,1,H,W]` and RGBA `[T,4,H,W]` (alpha unused) are accepted. Any H and W from 1.
    settings
        How the input is prepared; the model's own settings if None.
    controls
        Live controls; only for models with settings.
    fit
        `"whole"`: the whole frame, its shorter side scaled to `size`. `"crop"`: the central square; the rest of the
        frame becomes black. `"letterbox"`: the whole frame in a square, padded by replicating its border.
    size
        Side in pixels that the network works at; its training size if None, so that shapes are as large as in the
        training pictures. Larger values give smaller shapes.
    smooth_input, smooth_output
        Weight (0 or more, below 1) of the previous frame that is blended into the network's input and output. Restarts
        at a cut.
    frames_per_batch
        Frames processed at once, as memory allows. On a CPU results do not depend on it; elsewhere the last bits may.
    progress
        Called with (frames done, total frames) after each batch; exceptions propagate to the caller.

    Returns
    -------
    Tensor
        Float32 `[T,3,H,W]` in 0..1 on the device of `frames`.

    Raises
    ------
    ValueError
        Invalid shapes or options, or an output that is not finite.
    """
    if frames_per_batch < 1:
        raise ValueError(f"frames_per_batch is {frames_per_batch}: expected at least 1")
    translator = FrameTranslator(
        model,
        settings=settings,
        controls=controls,
        fit=fit,
        size=size,
        smooth_input=smooth_input,
        smooth_output=smooth_output,
    )
    _check(frames)
    translator.measure([frames[:: -(-len(frames) // MEASURED_FRAMES)]])
    result = frames.new_empty((len(frames), 3, *frames.shape[-2:]), dtype=torch.float32)
    for start in range(0, len(frames), frames_per_batch):
        stop = min(start + frames_per_batch, len(frames))
        result[start:stop] = translator(frames[start:stop])
        if progress is not None:
            progress(stop, len(frames))
    return result


class FrameTranslator:
    """Translates a clip in parts, keeping the state between them. Arguments as for `translate`.

    Attributes
    ----------
    smooth_input, smooth_output
        The two `ExponentialSmoothing`; their `amount` may be changed between parts.
    seen
        The network's input for the latest part: `[T,1,h,w]` or `[T,3,h,w]`.
    """

    def __init__(
        self,
        model: TranslationModel,
        *,
        settings: PrepareSettings | None = None,
        controls: LiveControls | None = None,
        fit: Fit = "whole",
        size: int | None = None,
        smooth_input: float = 0.0,
        smooth_output: float = 0.0,
    ) -> None:
        if fit not in FITS:
            raise ValueError(f"unknown fit {fit!r}: choose one of {', '.join(FITS)}")
        if size is not None and size < 1:
            raise ValueError(f"size is {size}: expected at least 1 pixel")
        if model.card.prepare is None and (settings is not None or controls is not None):
            raise ValueError(
                "this model reads color pictures as they are: it does not accept settings or live controls"
            )
        self._model = model
        self._settings = settings or model.card.prepare
        self._controls = controls
        self._fit = fit
        self._size = size or model.card.trained_size
        self._clip: InputStatistics | None = None
        self._cuts = CutDetector()
        self.smooth_input = ExponentialSmoothing(smooth_input)
        self.smooth_output = ExponentialSmoothing(smooth_output)
        self.seen: Tensor | None = None
        self._latest: Tensor | None = None

    @property
    def accepts_controls(self) -> bool:
        """Whether live controls have an effect; a model that reads color pictures as they are has none."""
        return self._settings is not None

    @property
    def controls(self) -> LiveControls | None:
        """The live controls; after a change, the next frames are measured again."""
        return self._controls

    @controls.setter
    def controls(self, controls: LiveControls | None) -> None:
        self._controls = controls
        self._clip = None

    def measure(self, parts: Iterable[Tensor]) -> None:
        """Set the clip's statistics for a contrast stretch; otherwise the first part determines them.

        `parts` are frames `[T,C,H,W]` from anywhere in the clip, read only if there is a stretch.
        """
        if self._settings is not None and self._controls is not None and self._controls.stretch != "none":
            views = torch.cat([self._view(part) for part in parts])
            self._clip = measure_clip(views, self._settings, self._controls)

    @torch.no_grad()
    def __call__(self, frames: Tensor) -> Tensor:
        """Translate the next frames, `[T,C,H,W]` as for `translate`: float32 `[T,3,H,W]` in 0..1."""
        _check(frames)
        height, width = frames.shape[-2:]
        view = self._view(frames)
        cuts = self._cuts(view)
        self.seen = self.smooth_input(self._prepare(view), cuts)
        predicted = self._predict(self.seen, cuts)
        if not bool(torch.isfinite(predicted).all()):
            raise ValueError("the model's output is not finite, so its weights are damaged; use another checkpoint")
        output = self.smooth_output(predicted, cuts)
        return self._unview(output, height, width).to(frames.device)

    def _predict(self, seen: Tensor, cuts: Sequence[bool]) -> Tensor:
        """The network's output for frames; a network that uses the previous output also receives it."""
        coherence = self.smooth_output.amount
        if not self._model.network.uses_previous or coherence == 0.0:
            self._latest = None
            if seen.device.type != "cpu":
                return self._model.predict(seen)
            # Convolutions of several frames round differently from those of one frame, and are no faster here.
            return torch.cat([self._model.predict(frame) for frame in seen.split(1)])
        outputs = []
        for frame, cut in zip(seen.split(1), cuts, strict=True):
            if cut or self._latest is None or self._latest.shape[-2:] != frame.shape[-2:]:
                self._latest = None
            self._latest = self._model.predict(frame, previous=self._latest, coherence=coherence)
            outputs.append(self._latest)
        return torch.cat(outputs)

    @torch.no_grad()
    def prepare_input(self, frames: Tensor) -> Tensor:
        """The network's input for frames `[T,C,H,W]` as for `translate`, without smoothing.

        Returns
        -------
        Tensor
            Float32 `[T,1,H,W]` in 0..1, or `[T,3,H,W]` for a model that reads colors. To translate it, pass it as
            frames with `PrepareSettings(reduction=1)`.
        """
        _check(frames)
        return self._unview(self._prepare(self._view(frames)), *frames.shape[-2:]).to(frames.device)

    def _prepare(self, view: Tensor) -> Tensor:
        if self._settings is None:
            return view
        if self._clip is None and self._controls is not None and self._controls.stretch != "none":
            self._clip = measure_clip(view, self._settings, self._controls)
        return prepare(view, self._settings, controls=self._controls, clip=self._clip)

    def _view(self, frames: Tensor) -> Tensor:
        """The visible part of the frames at the working size, on the model's device."""
        frames = frames[:, :3].to(self._model.device, torch.float32).nan_to_num(0.0).clamp(0.0, 1.0)
        frames = frames.expand(-1, 3, -1, -1)
        height, width = frames.shape[-2:]
        if self._fit == "crop":
            top, left, side = _middle(height, width)
            return _resize(frames[..., top : top + side, left : left + side], self._size, self._size)
        rows, columns = self._scaled(height, width)
        frames = _resize(frames, rows, columns)
        if self._fit == "letterbox":
            top, left = (self._size - rows) // 2, (self._size - columns) // 2
            below, right = self._size - rows - top, self._size - columns - left
            frames = F.pad(frames, (left, right, top, below), mode="replicate")
        return frames

    def _unview(self, output: Tensor, height: int, width: int) -> Tensor:
        """Resize back to the frames' size."""
        if self._fit == "crop":
            top, left, side = _middle(height, width)
            picture = output.new_zeros((*output.shape[:2], height, width))
            picture[..., top : top + side, left : left + side] = _resize(output, side, side)
            return picture
        if self._fit == "letterbox":
            rows, columns = self._scaled(height, width)
            top, left = (self._size - rows) // 2, (self._size - columns) // 2
            output = output[..., top : top + rows, left : left + columns]
        return _resize(output, height, width)

    def _scaled(self, height: int, width: int) -> tuple[int, int]:
        shorter, longer = min(height, width), max(height, width)
        if self._fit == "letterbox":
            scale = self._size / longer
        else:
            scale = min(self._size / shorter, MAX_LENGTH_RATIO * self._size / longer)
        return max(1, round(height * scale)), max(1, round(width * scale))


def _middle(height: int, width: int) -> tuple[int, int, int]:
    side = min(height, width)
    return (height - side) // 2, (width - side) // 2, side


def _resize(frames: Tensor, height: int, width: int) -> Tensor:
    if frames.shape[-2:] == (height, width):
        return frames
    return F.interpolate(frames, (height, width), mode="bilinear", antialias=True, align_corners=False)


def _check(frames: Tensor) -> None:
    if frames.ndim != 4 or frames.shape[1] not in (1, 3, 4) or 0 in frames.shape:
        raise ValueError(f"frames have shape {list(frames.shape)}: expected [T,C,H,W] with C = 1, 3 or 4")
    if not frames.is_floating_point():
        raise ValueError(f"frames hold {frames.dtype}: expected floating-point values in 0..1")
