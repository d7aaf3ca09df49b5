"""Windows of pictures; which picture and which part are functions of the sample's number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from inpaint_core.eight_bit import from_uint8, to_uint8
from inpaint_core.files.opening import ImageFileError

from ..config import DataConfig
from ..randomness import numpy_generator
from .pixels import Pixels
from .scan import DatasetError, Record, read_pixels

CONTRAST = (0.5, 1.2)
BRIGHTNESS = (-0.25, 0.25)
AUGMENTATIONS = ("flip_horizontal", "flip_vertical", "rotate", "recolor")
MAX_UNKNOWN = 0.4  # maximum unknown fraction of a useful window
WINDOWS_TRIED = 10


@dataclass(frozen=True)
class Recolor:
    """Channels in another order, each with its own contrast (around mid-gray) and brightness (range of 1)."""

    channels: tuple[int, ...]
    contrast: tuple[float, ...]
    brightness: tuple[float, ...]

    def apply(self, pixels: Tensor) -> Tensor:
        """Recolor uint8 `[3,H,W]`."""
        values = from_uint8(pixels[list(self.channels)])
        contrast, brightness = (values.new_tensor(item).view(3, 1, 1) for item in (self.contrast, self.brightness))
        values = (values - 0.5) * contrast + 0.5 + brightness
        return to_uint8(values)


@dataclass(frozen=True)
class Crop:
    """A square window of a picture and its augmentation."""

    top: int
    left: int
    side: int
    flip_horizontal: bool = False
    flip_vertical: bool = False
    quarter_turns: int = 0
    recolor: Recolor | None = None


def draw_crop(generator: np.random.Generator, height: int, width: int, config: DataConfig) -> Crop:
    """A random window with a side of `config.zoom` times `config.size`, limited by the picture's size."""
    side = min(round(config.size * generator.uniform(*config.zoom)), height, width)
    top, left = int(generator.integers(height - side + 1)), int(generator.integers(width - side + 1))
    chances = generator.random(2)
    turns = int(generator.integers(4))
    recolor = Recolor(
        tuple(generator.permutation(3).tolist()),
        tuple(generator.uniform(*CONTRAST, 3).tolist()),
        tuple(generator.uniform(*BRIGHTNESS, 3).tolist()),
    )
    return Crop(
        top,
        left,
        side,
        flip_horizontal=config.flip_horizontal and bool(chances[0] < 0.5),
        flip_vertical=config.flip_vertical and bool(chances[1] < 0.5),
        quarter_turns=turns if config.rotate else 0,
        recolor=recolor if config.recolor else None,
    )


def cut(pixels: Pixels, crop: Crop, size: int) -> Pixels:
    """Cut a window out of a picture and resize it to `size` x `size`; its colors are changed if the crop specifies
    it."""
    window = pixels.map(lambda part: cut_planes(part, crop, size))
    if crop.recolor is None:
        return window
    return replace(window, picture=crop.recolor.apply(window.picture))


def cut_planes(pixels: Tensor, crop: Crop, size: int) -> Tensor:
    """Cut a window out of uint8 `[C,H,W]` and resize it to uint8 `[C,size,size]`; colors are unchanged."""
    window = pixels[..., crop.top : crop.top + crop.side, crop.left : crop.left + crop.side]
    if crop.side != size:
        resized = F.interpolate(
            window[None].float(), (size, size), mode="bilinear", antialias=crop.side > size, align_corners=False
        )
        window = resized[0].round().clamp(0.0, 255.0).to(torch.uint8)
    dims = [axis for axis, flip in ((1, crop.flip_vertical), (2, crop.flip_horizontal)) if flip]
    if dims:
        window = window.flip(dims)
    return window.rot90(crop.quarter_turns, (1, 2)) if crop.quarter_turns else window


class Windows:
    """An endless sequence of numbered windows; can be pickled.

    Parameters
    ----------
    records
        Pictures; those not in memory are read each time.
    augment
        Random flips, rotations and colors; otherwise only the window is random.
    """

    def __init__(
        self, records: Sequence[Record], data: DataConfig, *, seed: int, device: torch.device, augment: bool
    ) -> None:
        self._records = records
        self._data = data if augment else data.model_copy(update=dict.fromkeys(AUGMENTATIONS, False))
        self._seed = seed
        self._pixels = [
            None if record.pixels is None else record.pixels.map(lambda part: part.to(device)) for record in records
        ]
        self._orders: dict[int, np.ndarray] = {}
        self.failures: dict[str, str] = {}
        """Pictures that could be read when the folder was scanned, but no longer, with the reason."""

    @property
    def reads_files(self) -> bool:
        """Whether pictures are read from their files each time."""
        return any(pixels is None for pixels in self._pixels)

    def __getitem__(self, number: int) -> tuple[Pixels, str]:
        """Window `number`, `size` x `size`, and the name of its picture."""
        generator = numpy_generator(self._seed, "crop", number)
        first = self._index(number)
        # A file that has disappeared since the scan is replaced by the next one.
        for index in (*range(first, len(self._records)), *range(first)):
            record = self._records[index]
            pixels = self._pixels[index]
            if pixels is None:
                try:
                    pixels = read_pixels(record.path, self._data)
                except ImageFileError as error:
                    self.failures.setdefault(record.file, str(error))
                    continue
            for _ in range(WINDOWS_TRIED):
                crop = draw_crop(generator, pixels.height, pixels.width, self._data)
                window = cut(pixels, crop, self._data.size)
                if window.unknown is None or (window.unknown > 0).float().mean() <= MAX_UNKNOWN:
                    break
            return window, record.file
        raise DatasetError(f"none of the {len(self._records)} pictures can be read any more; check the folder")

    def _index(self, number: int) -> int:
        round_number, position = divmod(number, len(self._records))
        order = self._orders.get(round_number)
        if order is None:
            order = numpy_generator(self._seed, "order", round_number).permutation(len(self._records))
            # Two passes can meet in one batch, and batches are prefetched.
            self._orders = {key: value for key, value in self._orders.items() if key >= round_number - 2}
            self._orders[round_number] = order
        return int(order[position])
