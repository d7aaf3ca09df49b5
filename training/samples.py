"""From pictures to batches: which picture, which crop, which hole, each a function of the sample's number."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from inpaint_core.image_files import ImageFileError
from inpaint_core.masks import MaskMix

from .config import DataConfig
from .data import DatasetError, Record, read_pixels
from .randomness import derive_seed, numpy_generator

PREFETCHED_BATCHES = 2
MOST_UNKNOWN = 0.4  # share of a window in which there is little to learn
WINDOWS_TRIED = 10
CONTRAST = (0.5, 1.2)
BRIGHTNESS = (-0.25, 0.25)
AUGMENTATIONS = ("flip_horizontal", "flip_vertical", "rotate", "recolour")


@dataclass(frozen=True)
class Batch:
    """What a step learns from.

    Attributes
    ----------
    image
        The truth, float32 `[B,3,S,S]` in 0..1.
    mask
        float32 `[B,1,S,S]`, exactly 0 or 1, 1 = hole.
    files
        Names of the pictures, for messages.
    given
        The input that the truth is to be made of, float32 `[B,3,S,S]` in 0..1; None where pictures come alone.
    unknown
        float32 `[B,1,S,S]`, 1 where nobody knows the truth, which then lies in the hole; None where all is known.
    """

    image: Tensor
    mask: Tensor
    files: tuple[str, ...]
    given: Tensor | None = None
    unknown: Tensor | None = None

    def __len__(self) -> int:
        return len(self.files)

    def split(self, parts: int) -> list[Batch]:
        """Cut into at most `parts` batches of (nearly) equal size."""
        ends = np.linspace(0, len(self), min(parts, len(self)) + 1).round().astype(int).tolist()
        return [
            Batch(
                self.image[start:end],
                self.mask[start:end],
                self.files[start:end],
                None if self.given is None else self.given[start:end],
                None if self.unknown is None else self.unknown[start:end],
            )
            for start, end in pairwise(ends)
        ]


def shares(parts: Sequence[Batch]) -> Iterator[tuple[Batch, float, bool]]:
    """Each part of a batch with the share of the batch that it is, and whether it is the last one."""
    total = sum(len(part) for part in parts)
    for number, part in enumerate(parts, 1):
        yield part, len(part) / total, number == len(parts)


@dataclass(frozen=True)
class Recolour:
    """Channels in another order, each with its own contrast (around mid-gray) and brightness (of 1)."""

    channels: tuple[int, ...]
    contrast: tuple[float, ...]
    brightness: tuple[float, ...]

    def apply(self, pixels: Tensor) -> Tensor:
        """Recolour the first three channels of uint8 `[C,H,W]`."""
        values = pixels[list(self.channels)].float() / 255.0
        contrast, brightness = (values.new_tensor(item).view(3, 1, 1) for item in (self.contrast, self.brightness))
        values = (values - 0.5) * contrast + 0.5 + brightness
        return torch.cat([(values.clamp(0.0, 1.0) * 255.0).round().to(torch.uint8), pixels[3:]])


@dataclass(frozen=True)
class Crop:
    """A square window of a picture and what is done with it."""

    top: int
    left: int
    side: int
    flip_horizontal: bool = False
    flip_vertical: bool = False
    quarter_turns: int = 0
    recolour: Recolour | None = None


def draw_crop(generator: np.random.Generator, height: int, width: int, config: DataConfig) -> Crop:
    """A random window whose side lies in `config.zoom` times `config.size`, as far as the picture reaches."""
    side = min(round(config.size * generator.uniform(*config.zoom)), height, width)
    top, left = int(generator.integers(height - side + 1)), int(generator.integers(width - side + 1))
    chances = generator.random(2)
    turns = int(generator.integers(4))
    recolour = Recolour(
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
        recolour=recolour if config.recolour else None,
    )


def cut(pixels: Tensor, crop: Crop, size: int) -> Tensor:
    """Cut a window out of uint8 `[C,H,W]` and resize it to uint8 `[C,size,size]`."""
    window = pixels[:, crop.top : crop.top + crop.side, crop.left : crop.left + crop.side]
    if crop.side != size:
        resized = F.interpolate(
            window[None].float(), (size, size), mode="bilinear", antialias=crop.side > size, align_corners=False
        )
        window = resized[0].round().clamp(0.0, 255.0).to(torch.uint8)
    dims = [axis for axis, flip in ((1, crop.flip_vertical), (2, crop.flip_horizontal)) if flip]
    if dims:
        window = window.flip(dims)
    if crop.recolour is not None:
        window = crop.recolour.apply(window)
    return window.rot90(crop.quarter_turns, (1, 2)) if crop.quarter_turns else window


class Samples:
    """An endless sequence of numbered samples over a list of pictures.

    Sample `n` is always the same picture, crop and hole for the same seed: every picture comes once per round through
    the list, in an order drawn anew for each round.

    Parameters
    ----------
    masks
        Which holes; None for empty masks.
    records
        Pictures; kept on `device` when they are in memory, read when they are needed otherwise.
    augment
        Random flips and turns; without, only the window is random.
    """

    def __init__(
        self,
        records: Sequence[Record],
        data: DataConfig,
        masks: MaskMix | None,
        *,
        seed: int,
        device: torch.device,
        augment: bool = True,
    ) -> None:
        self._records = records
        self._data = data if augment else data.model_copy(update=dict.fromkeys(AUGMENTATIONS, False))
        self._seed = seed
        self._device = device
        self._masks = masks
        self._pixels = [record.pixels.to(device) if record.pixels is not None else None for record in records]
        self._orders: dict[int, np.ndarray] = {}
        self.failures: dict[str, str] = {}
        """Pictures that could be read when the folder was scanned but not later, with the reason."""

    def batch(self, start: int, count: int) -> Batch:
        """Samples `start` to `start + count - 1`."""
        cuts, files = [], []
        for number in range(start, start + count):
            pixels, name = self._cut(number)
            cuts.append(pixels)
            files.append(name)
        image = torch.stack(cuts).to(self._device).float() / 255.0
        image, more = image[:, :3], image[:, 3:]
        given = more if more.shape[1] == 3 else None
        unknown = (more > 0.0).float() if more.shape[1] == 1 else None
        if self._masks is None:
            return Batch(image, torch.zeros_like(image[:, :1]), tuple(files), given)
        seeds = [derive_seed(self._seed, "mask", number) for number in range(start, start + count)]
        pictures = image.cpu() if self._masks.uses_picture else None
        mask = self._masks.batch((self._data.size, self._data.size), seeds, pictures).to(self._device)
        if unknown is not None:
            mask = torch.maximum(mask, unknown)
        return Batch(image, mask, tuple(files), given, unknown)

    def _cut(self, number: int) -> tuple[Tensor, str]:
        generator = numpy_generator(self._seed, "crop", number)
        first = self._index(number)
        # A file that has gone since the scan is replaced by the next one.
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
                crop = draw_crop(generator, pixels.shape[1], pixels.shape[2], self._data)
                window = cut(pixels, crop, self._data.size)
                if len(window) != 4 or (window[3] > 0).float().mean() <= MOST_UNKNOWN:
                    break
            return window, record.file
        raise DatasetError(f"none of the {len(self._records)} pictures can be read any more")

    def _index(self, number: int) -> int:
        round_number, position = divmod(number, len(self._records))
        order = self._orders.get(round_number)
        if order is None:
            order = numpy_generator(self._seed, "order", round_number).permutation(len(self._records))
            # Two rounds can meet in one batch, and batches are made ahead of time.
            self._orders = {key: value for key, value in self._orders.items() if key >= round_number - 2}
            self._orders[round_number] = order
        return int(order[position])


@contextmanager
def prefetch(samples: Samples, start: int, stride: int, offset: int, count: int) -> Iterator[Iterator[Batch]]:
    """Yield an iterator over batches that are made in a thread while the previous one is learnt from.

    Parameters
    ----------
    start
        Number of the first sample of the first step.
    stride
        Samples per step over all processes.
    offset, count
        This process's part of every step.
    """
    pool = ThreadPoolExecutor(1, thread_name_prefix="liminal-batches")

    def iterate() -> Iterator[Batch]:
        waiting: list[Future[Batch]] = []
        position = start + offset
        while True:
            while len(waiting) < PREFETCHED_BATCHES:
                waiting.append(pool.submit(samples.batch, position, count))
                position += stride
            yield waiting.pop(0).result()

    try:
        yield iterate()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
