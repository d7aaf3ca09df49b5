"""prepare(): turns a picture into the gray, soft, abstract input of a Learning to See network."""

from __future__ import annotations

import torch
from torch import Tensor

from ..checkpoints.prepare_settings import InputStatistics, PrepareSettings
from ..tracing import largest, real, rounded
from .controls import LiveControls, equalize, match, measure, move, redraw
from .resampling import enlarge_cubic, reduce_area

# ITU-R BT.601 luma on gamma-encoded values, as in OpenCV, Pillow and TensorFlow.
GRAY = (0.299, 0.587, 0.114)


def prepare(
    frames: Tensor,
    settings: PrepareSettings,
    *,
    generator: torch.Generator | None = None,
    controls: LiveControls | None = None,
    clip: InputStatistics | None = None,
) -> Tensor:
    """Abstract pictures, in the same way for training and use.

    Grayscale (0.299 R + 0.587 G + 0.114 B), area reduction, cubic enlargement, clipping to 0..1: the input of Akten,
    Fiebrink and Grierson 2019, "Learning to See: You Are What You See" (SIGGRAPH Art Papers).

    Parameters
    ----------
    frames
        `[B,3,H,W]` or gray `[B,1,H,W]` in 0..1, any size.
    settings
        The settings in the model's card.
    generator
        Only in training: source of the random brightness and contrast, one draw of each per picture; on the CPU.
    controls
        Live controls, applied in the order described in `controls`.
    clip
        Statistics for a contrast stretch (see `measure_clip`), so that a clip prepared in parts does not flicker; those
        of these frames if None.

    Returns
    -------
    Tensor
        Float32 `[B,1,H,W]` in 0..1 on the device of `frames`.

    Raises
    ------
    ValueError
        Another shape.

    Examples
    --------
    >>> prepare(torch.rand(2, 3, 100, 60), PrepareSettings()).shape
    torch.Size([2, 1, 100, 60])
    """
    abstracted = _abstract(frames, settings, controls)
    if controls is not None and controls.stretch != "none":
        target = settings.statistics or InputStatistics()
        abstracted = match(abstracted, controls.stretch, clip or measure(abstracted), target)
    return abstracted if generator is None else _vary(abstracted, settings, generator)


def measure_clip(frames: Tensor, settings: PrepareSettings, controls: LiveControls | None = None) -> InputStatistics:
    """The `clip` argument of `prepare`, measured on frames `[B,3,H,W]`, a few of a clip or all of it.

    Measured without controls on training pictures, these are the statistics that a card stores.
    """
    return measure(_abstract(frames, settings, controls))


def to_gray(frames: Tensor) -> Tensor:
    """`[B,3,H,W]` as `[B,1,H,W]`; gray is unchanged.

    Raises
    ------
    ValueError
        Another shape.
    """
    if frames.ndim != 4 or frames.shape[1] not in (1, 3) or 0 in frames.shape:
        raise ValueError(f"frames have shape {list(frames.shape)}: expected [B,3,H,W] or [B,1,H,W]")
    if frames.shape[1] == 1:
        return frames.float()
    red, green, blue = frames.float().split(1, 1)
    return GRAY[0] * red + GRAY[1] * green + GRAY[2] * blue


def reduced_side(side: int, reduction: int) -> int:
    """Length of a side after reduction."""
    return largest(1, rounded(real(side) / reduction))


def _abstract(frames: Tensor, settings: PrepareSettings, controls: LiveControls | None) -> Tensor:
    gray = to_gray(frames if controls is None else move(frames.float(), controls))
    if controls is not None:
        gray = redraw(gray, controls)
    height, width = gray.shape[-2:]
    if settings.reduction > 1:
        small = (reduced_side(height, settings.reduction), reduced_side(width, settings.reduction))
        gray = enlarge_cubic(reduce_area(gray, small), (height, width))
    gray = gray.clamp(0.0, 1.0)
    return gray if controls is None else equalize(gray, controls.stretch)


def _vary(gray: Tensor, settings: PrepareSettings, generator: torch.Generator) -> Tensor:
    draws = torch.rand(len(gray), 2, generator=generator).mul(2.0).sub(1.0).to(gray.device)[:, :, None, None, None]
    brighter = (gray + settings.brightness * draws[:, 0]).clamp(0.0, 1.0)
    mean = brighter.mean((1, 2, 3), keepdim=True)
    return ((brighter - mean) * (1.0 + settings.contrast * draws[:, 1]) + mean).clamp(0.0, 1.0)
