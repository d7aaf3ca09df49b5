"""Batches: windows of pictures with holes; each sample is a function of its number, and batches are prefetched."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from inpaint_core.eight_bit import from_uint8
from inpaint_core.masks import MaskMix

from ..config import DataConfig
from ..randomness import derive_seed
from .pixels import Pixels, stack
from .scan import Record
from .windows import Windows

PREFETCHED_BATCHES = 2
Cuts = tuple[Pixels, tuple[str, ...], dict[str, str]]


@dataclass(frozen=True)
class Batch:
    """The data of a step.

    Attributes
    ----------
    image
        The ground truth, float32 `[B,3,S,S]` in 0..1.
    mask
        float32 `[B,1,S,S]`, exactly 0 or 1, 1 = hole.
    files
        Names of the pictures, for messages.
    given
        The input of a translation, float32 `[B,3,S,S]` in 0..1; None if pictures are not paired.
    unknown
        float32 `[B,1,S,S]`, 1 where the ground truth is unknown, which is always in the hole if there is one; None if
        all of it is known.
    """

    image: Tensor
    mask: Tensor
    files: tuple[str, ...]
    given: Tensor | None = None
    unknown: Tensor | None = None

    def __len__(self) -> int:
        return len(self.files)

    def split(self, parts: int) -> list[Batch]:
        """Split into at most `parts` batches of (nearly) equal size."""
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
    """Each part of a batch with the fraction of the batch it makes up, and whether it is the last one."""
    total = sum(len(part) for part in parts)
    for number, part in enumerate(parts, 1):
        yield part, len(part) / total, number == len(parts)


class Samples:
    """An endless sequence of numbered samples over a list of pictures.

    Sample `n` is always the same picture, window and hole for the same seed: every picture comes once per pass through
    the list, in a new random order for each pass.

    Parameters
    ----------
    records
        Pictures; kept on `device` if they are in memory, otherwise read when needed.
    masks
        Source of holes; None for empty masks.
    augment
        Random flips, rotations and colors; otherwise only the window is random.
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
        self._windows = Windows(records, data, seed=seed, device=device, augment=augment)
        self._workers = data.workers if self._windows.reads_files else 0
        self._size = data.size
        self._masks = masks
        self._seed = seed
        self._device = device
        self.failures: dict[str, str] = {}
        """Pictures that could be read when the folder was scanned, but no longer, with the reason."""

    def batch(self, start: int, count: int) -> Batch:
        """Samples `start` to `start + count - 1`."""
        return self._finish(start, _collate([self._windows[n] for n in range(start, start + count)], self._windows))

    def batches(self, start: int, stride: int, count: int) -> Iterator[Batch]:
        """`batch(start, count)`, `batch(start + stride, count)` and so on, read by other processes if configured."""
        if self._workers == 0:
            while True:
                yield self.batch(start, count)
                start += stride
        for cuts in _read_in_workers(self._windows, self._workers, start, stride, count):
            yield self._finish(start, cuts)
            start += stride

    def _finish(self, start: int, cuts: Cuts) -> Batch:
        pixels, files, failures = cuts
        files = tuple(files)  # torch's loader makes lists of tuples
        self.failures |= failures
        values = pixels.map(lambda part: from_uint8(part.to(self._device)))
        image, given = values.picture, values.given
        unknown = None if values.unknown is None else (values.unknown > 0.0).float()
        if self._masks is None:
            return Batch(image, torch.zeros_like(image[:, :1]), files, given, unknown)
        seeds = [derive_seed(self._seed, "mask", number) for number in range(start, start + len(files))]
        pictures = image.cpu() if self._masks.uses_picture else None
        mask = self._masks.batch((self._size, self._size), seeds, pictures).to(self._device)
        if unknown is not None:
            mask = torch.maximum(mask, unknown)
        return Batch(image, mask, files, given, unknown)


class _Numbers:
    """Sample numbers of each batch, endlessly: a batch sampler for torch."""

    def __init__(self, start: int, stride: int, count: int) -> None:
        self._start, self._stride, self._count = start, stride, count

    def __iter__(self) -> Iterator[list[int]]:
        start = self._start
        while True:
            yield list(range(start, start + self._count))
            start += self._stride


class _InWorker:
    """A dataset whose items are batches of windows; at module level, so that it can be pickled."""

    def __init__(self, windows: Windows) -> None:
        self._windows = windows

    def __getitem__(self, numbers: list[int]) -> Cuts:
        return _collate([self._windows[number] for number in numbers], self._windows)


def _collate(windows: Sequence[tuple[Pixels, str]], source: Windows) -> Cuts:
    return stack([window for window, _ in windows]), tuple(file for _, file in windows), dict(source.failures)


def _read_in_workers(windows: Windows, workers: int, start: int, stride: int, count: int) -> Iterator[Cuts]:
    # Spawned on every platform, as on Windows: a fork would copy locks held by other threads of the host. The generator
    # keeps torch from drawing the workers' seeds, which are not used here, from the global state.
    loader: DataLoader[Cuts] = DataLoader(
        _InWorker(windows),  # type: ignore[arg-type]
        batch_size=None,
        sampler=_Numbers(start, stride, count),
        num_workers=workers,
        multiprocessing_context="spawn",
        generator=torch.Generator(),
    )
    return iter(loader)


@contextmanager
def prefetch(samples: Samples, start: int, stride: int, offset: int, count: int) -> Iterator[Iterator[Batch]]:
    """Yield an iterator over batches that are prepared in a thread while the previous one is used.

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
    source = samples.batches(start + offset, stride, count)

    def iterate() -> Iterator[Batch]:
        waiting: list[Future[Batch]] = []
        while True:
            while len(waiting) < PREFETCHED_BATCHES:
                waiting.append(pool.submit(next, source))
            yield waiting.pop(0).result()

    try:
        yield iterate()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        source.close()  # type: ignore[attr-defined]
