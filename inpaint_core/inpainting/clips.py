"""Filling the frames of a clip so that the fill follows the motion instead of flickering."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..batches import common_count
from ..eight_bit import to_uint8
from ..masks.morphology import grow as grow_mask
from ..masks.normalise import normalize_mask
from .classical import ClassicalFill
from .inpaint import Completer

Field = NDArray[np.float32]
Fill = Callable[[Completer, Tensor, Tensor, bool], Tensor]

STILL = 0.15  # pixels: slower motion between two frames is ignored, so that a static picture is not resampled
CUT = 0.1  # mean absolute difference of known pixels in 0..1 that motion does not explain; above it, a new scene begins
DRIFT = 0.05  # the same around the hole; above it, positions restart from the previous frame
NEAR = 12  # pixels around a hole whose motion may be that of the removed object
MIN_SIDE = 16  # pixels needed by the motion search


@dataclass
class _Anchor:
    """A filled frame, and the position in it of each pixel of the current frame: `x` and `y`, `[H,W]` each."""

    picture: Tensor
    x: Field
    y: Field

    @classmethod
    def at(cls, picture: Tensor) -> _Anchor:
        """A frame that is its own anchor."""
        height, width = picture.shape[-2:]
        y, x = np.mgrid[0:height, 0:width].astype(np.float32)
        return cls(picture, x, y)

    def moved(self, flow: Field) -> _Anchor:
        """The same for the next frame, whose pixels are displaced by `flow` `[H,W,2]` in this one."""
        if not flow.any():
            return self
        here = _Anchor.at(self.picture)
        x, y = here.x + flow[..., 0], here.y + flow[..., 1]
        # Positions continue beyond the edge, so that pixels entering there are known to be outside the anchor.
        outside = _sampled(np.stack([self.x - here.x, self.y - here.y], -1), x, y)
        return _Anchor(self.picture, x + outside[..., 0], y + outside[..., 1])

    def seen(self) -> Tensor:
        """The anchor's picture `[1,C,H,W]` warped to the current frame."""
        here = _Anchor.at(self.picture)
        if np.array_equal(self.x, here.x) and np.array_equal(self.y, here.y):
            return self.picture
        planes = self.picture[0].permute(1, 2, 0).numpy()
        moved = _sampled(planes, self.x, self.y).reshape(planes.shape)
        return torch.from_numpy(moved).permute(2, 0, 1)[None].clamp(0.0, 1.0)

    def covers(self) -> Tensor:
        """`[1,1,H,W]`, 1 where the anchor shows the current frame."""
        height, width = self.x.shape
        inside = (self.x >= -0.5) & (self.x <= width - 0.5) & (self.y >= -0.5) & (self.y <= height - 0.5)
        return torch.from_numpy(inside)[None, None]


class _Carried:
    """A Completer with a known result; `inpaint` blends it into the surroundings."""

    def __init__(self, picture: Tensor) -> None:
        self._picture = picture

    def complete(self, image: Tensor, mask: Tensor) -> Tensor:
        """`[B,3,H,W]`."""
        return self._picture.expand_as(image)


def inpaint_clip(
    model: Completer, frames: Tensor, mask: Tensor, fill: Fill, progress: Callable[[int, int, Tensor], None]
) -> Tensor:
    """Fill the holes of a clip's frames with what earlier frames show there, or were filled with.

    Motion is measured outside the hole (dense inverse search, Kroeger et al. 2016, arXiv 1603.03590) and continued
    smoothly into it. Only parts that no earlier frame of the scene has shown are filled by the model. Positions are
    traced back to one frame, so that a fill is resampled once, not once per frame. Everything restarts at a cut.

    Parameters
    ----------
    model
        Fills the first frame of every scene, and parts that come into view later.
    frames
        `[T,C,H,W]`, 0..1, on the CPU.
    mask
        1 = hole, one for all frames or one per frame, as for `inpaint`.
    fill
        `fill(completer, image, hole, is_new)`: `inpaint` with all other settings, and without growing the hole. If
        `is_new` is false, the fill comes from an earlier frame, and neither patches nor grain must be added.
    progress
        Called after each frame with frames done, total frames, and the frame `[C,H,W]`.

    Returns
    -------
    Tensor
        `[T,C,H,W]`. Outside the holes it equals `frames` bit for bit. Frames that are equal, with equal holes, stay
        equal.
    """
    holes = normalize_mask(mask, (frames.shape[-2], frames.shape[-1]))
    count = common_count(len(frames), len(holes), ("images", "masks"))
    output = frames.expand(count, -1, -1, -1).clone(memory_format=torch.contiguous_format)
    anchor: _Anchor | None = None
    for index in range(count):
        frame, hole = output[index : index + 1].clone(), holes[index % len(holes)][None]
        if anchor is not None:
            anchor = _follow(anchor, output[index - 1 : index], frame, hole)
        if anchor is None:
            filled = fill(model, frame, hole, True)
            anchor = _Anchor.at(filled)
        else:
            filled, complete = _carry(anchor, model, frame, hole, fill)
            anchor = anchor if complete else _Anchor.at(filled)
        output[index : index + 1] = filled
        progress(index + 1, count, filled[0])
    return output


def _carry(anchor: _Anchor, model: Completer, frame: Tensor, hole: Tensor, fill: Fill) -> tuple[Tensor, bool]:
    """The frame with its hole filled from the anchor, and whether that was enough."""
    seen, missing = anchor.seen(), hole * ~anchor.covers()
    if torch.equal(seen * (1.0 - hole), frame * (1.0 - hole)):
        return torch.cat([torch.where(hole > 0.5, seen, frame)[:, :3], frame[:, 3:]], 1), True
    known = fill(_Carried(seen[:, :3].expand(-1, 3, -1, -1)), frame, hole, False)
    if not bool(missing.any()):
        return known, True
    return torch.where(hole > 0.5, fill(model, known, missing, True), frame), False


def _follow(anchor: _Anchor, before: Tensor, frame: Tensor, hole: Tensor) -> _Anchor | None:
    """Positions of a frame's pixels in the anchor; None if the frame shows another scene."""
    flow = motion(before, frame, hole)
    near = grow_mask(hole, NEAR)
    known = (near < 0.5).expand_as(frame[:, :1])
    moved = _Anchor.at(before).moved(flow).seen()
    if bool(known.any()) and _difference(moved, frame, known) > CUT:
        return None
    followed = anchor.moved(flow)
    ring = (hole < 0.5) & (near > 0.5)
    if bool(ring.any()) and _difference(followed.seen(), frame, ring) > DRIFT + _difference(moved, frame, ring):
        return _Anchor.at(before).moved(flow)
    return followed


def _difference(first: Tensor, second: Tensor, where: Tensor) -> float:
    return float((first - second).abs().mean(1, keepdim=True)[where].mean())


def motion(before: Tensor, frame: Tensor, hole: Tensor) -> Field:
    """Where the pixels of a frame come from.

    Parameters
    ----------
    before, frame
        `[1,C,H,W]`, 0..1: the previous and the current frame.
    hole
        `[1,1,H,W]`, 1 = pixels to ignore; motion is continued into them from their surroundings.

    Returns
    -------
    ndarray
        float32 `[H,W,2]`: pixel (x, y) of the frame was at (x, y) + motion before; zero where slower than `STILL`.
    """
    import cv2

    height, width = frame.shape[-2:]
    still = np.zeros((height, width, 2), np.float32)
    if min(height, width) < MIN_SIDE or torch.equal(before * (1 - hole), frame * (1 - hole)):
        return still
    covered = torch.where(hole > 0.5, before, frame)
    grays = [cv2.cvtColor(_bytes(picture), cv2.COLOR_RGB2GRAY) for picture in (covered, before)]
    search: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    flow = search.calc(*grays, still.copy())
    flow = _continued(np.asarray(flow, np.float32), grow_mask(hole, NEAR))
    flow[np.hypot(flow[..., 0], flow[..., 1]) < STILL] = 0.0
    return flow


def _continued(flow: Field, unknown: Tensor) -> Field:
    """Interpolate unknown values smoothly from their surroundings."""
    if not bool(unknown.any()) or bool(unknown.all()):
        return flow
    largest = max(float(np.abs(flow).max()), 1e-3)
    planes = torch.from_numpy(flow).permute(2, 0, 1)[None] / (2.0 * largest) + 0.5
    smooth = ClassicalFill("smooth").complete(torch.cat([planes, planes[:, :1]], 1), unknown)
    joined = torch.where(unknown > 0.5, smooth[:, :2], planes)
    return ((joined - 0.5) * (2.0 * largest))[0].permute(1, 2, 0).contiguous().numpy()


def _bytes(picture: Tensor) -> NDArray[np.uint8]:
    return to_uint8(picture[0, :3].float().expand(3, -1, -1)).permute(1, 2, 0).contiguous().numpy()


def _sampled(planes: Field, x: Field, y: Field) -> Field:
    import cv2

    return np.asarray(cv2.remap(planes, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32)
