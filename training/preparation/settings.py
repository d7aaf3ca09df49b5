"""Settings of a preparation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..config import DataConfig
from ..dataset.near_duplicates import DEFAULT_THRESHOLD

WHOLE = 8192  # maximum shorter side for comparing and tiling; larger pictures are reduced to it


class PrepareError(ValueError):
    """A dataset cannot be prepared; the message is one line, and nothing has been changed."""


@dataclass(frozen=True)
class Settings:
    """Settings of a preparation; see `training.prepare` for their meaning."""

    data: Path
    out: Path
    size: int = 256
    tiles: bool = False
    shorter_side: int | None = None
    split: tuple[float, float, float] = (80.0, 10.0, 10.0)
    recursive: bool = False
    format: Literal["jpg", "png"] = "jpg"
    quality: int = 95
    threshold: int = DEFAULT_THRESHOLD
    seed: int = 0
    max_megapixels: float | None = None

    @property
    def scanning(self) -> DataConfig:
        """How pictures are read for comparison: at full size."""
        return DataConfig(
            size=self.size, shorter_side=WHOLE, minimum_side=self.size, max_megapixels=self.max_megapixels
        )

    @property
    def cutting(self) -> DataConfig:
        """How pictures are read for cutting."""
        shorter = (self.shorter_side or WHOLE) if self.tiles else self.size
        return DataConfig(size=self.size, shorter_side=shorter, max_megapixels=self.max_megapixels)
