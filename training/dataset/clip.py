"""A clip as a dataset: frames sampled at random by a seed, without near duplicates."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from inpaint_core.files.videos import VideoReader

from ..config import DataConfig
from ..randomness import numpy_generator
from .near_duplicates import DEFAULT_THRESHOLD, appearance, find_repeats
from .pixels import Pixels
from .scan import Dataset, DatasetError, LeftOut, Record, make_record, stored_shape, to_stored_size

Progress = Callable[[int, int], None]


def read_clip(path: Path, config: DataConfig, seed: int = 0, progress: Progress | None = None) -> Dataset:
    """A dataset of the frames of a clip.

    `config.frames` of them are drawn uniformly, and of near duplicates only the first is kept. The last part of the
    clip is held out, because frames between training frames would look like them.

    Raises
    ------
    DatasetError
        Pairs are requested, or fewer than `config.minimum_pictures` frames are left.
    VideoError
        Not a clip that can be decoded.
    """
    if config.paired:
        raise DatasetError(f"{path}: pairs need two folders of pictures or pictures side by side, not a video")
    frames, count = _draw_frames(path, config, seed, progress)
    repeats = find_repeats([appearance(pixels) for _, pixels in frames], DEFAULT_THRESHOLD)
    records, left_out = [], []
    for (number, pixels), kept in zip(frames, repeats, strict=True):
        name = f"{path.name}#{number:06d}"
        if kept:
            first = frames[kept[0][0]][0]
            left_out.append(LeftOut(name, "duplicate", f"looks almost the same as frame {first}"))
        else:
            records.append(_record(name, path, pixels))
    needed = max(config.minimum_pictures, 2 if config.held_out > 0.0 else 1)
    if len(records) < needed:
        raise DatasetError(
            f"{path}: only {len(records)} of {len(frames)} frames drawn from {count} differ; at least {needed} are "
            "needed"
        )
    held = max(1, round(config.held_out * len(records))) if config.held_out > 0.0 else 0
    split = len(records) - held
    note = (
        f"{path.name}: {len(frames)} of {count} frames drawn, {len(records)} of them distinct; the last {held} are "
        f"held out"
    )
    return Dataset(str(path), records[:split], records[split:], left_out, notes=(note,))


def _draw_frames(
    path: Path, config: DataConfig, seed: int, progress: Progress | None
) -> tuple[list[tuple[int, Tensor]], int]:
    """Frames with their numbers, in order, and the actual number of frames, since a header's count is unreliable."""
    generator = numpy_generator(seed, "frames")
    reader = VideoReader(path)
    try:
        height, width = stored_shape(reader.height, reader.width, config)
        room = min(config.frames, max(2, config.cache_megabytes * 2**20 // (3 * height * width)))
        chosen: dict[int, tuple[int, np.ndarray]] = {}
        count = 0
        while (frame := reader.read()) is not None:
            slot = count if count < room else int(generator.integers(count + 1))
            if slot < room:
                chosen[slot] = (count, _shrink(frame, config))
            count += 1
            if progress is not None:
                progress(count, max(count, reader.count))
    finally:
        reader.close()
    return [(number, torch.from_numpy(pixels)) for number, pixels in sorted(chosen.values(), key=lambda f: f[0])], count


def _shrink(frame: np.ndarray, config: DataConfig) -> np.ndarray:
    image = torch.from_numpy(frame[..., ::-1].copy()).permute(2, 0, 1).float() / 255.0
    return to_stored_size(image, config).numpy()


def _record(name: str, path: Path, frame: Tensor) -> Record:
    pixels = Pixels(frame)
    digest = hashlib.sha256(f"{pixels.height} {pixels.width} ".encode() + pixels.to_bytes()).hexdigest()
    return make_record(name, path, digest, pixels)
