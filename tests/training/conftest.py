"""Small pictures and small configurations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from training.config import TrainConfig, parse_config


def draw_picture(seed: int, width: int = 64, height: int = 56) -> Image.Image:
    """A smooth random picture: four random colors, blended from corner to corner."""
    corners = np.random.default_rng(seed).integers(0, 256, (2, 2, 3), dtype=np.uint8)
    return Image.fromarray(corners).resize((width, height), Image.Resampling.BILINEAR)


def draw_pictures(parent: Path) -> Path:
    """A folder with eight good pictures."""
    folder = parent / "pictures"
    folder.mkdir()
    for number in range(8):
        draw_picture(number).save(folder / f"{number}.png")
    return folder


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder with eight good pictures."""
    return draw_pictures(tmp_path)


@pytest.fixture
def tiny(pictures: Path) -> TrainConfig:
    """Six steps of a network with a few hundred weights."""
    return parse_config(tiny_values(pictures))


def tiny_values(pictures: Path) -> dict[str, object]:
    """The values of `tiny`."""
    return {
        "name": "tiny",
        "steps": 6,
        "batch_size": 3,
        "device": "cpu",
        "data": {"folder": str(pictures), "size": 32, "held_out": 0.25},
        "masks": {"sources": [{"name": "rectangles"}]},
        "model": {"arguments": {"width": 4, "max_width": 8, "depth": 2, "norm": "batch"}},
        "optimizer": {"ema": 0.9, "clip_norm": 1.0},
        "validation": {"every": 3, "samples": 4},
        "preview_every": 4,
        "checkpoint_every": 2,
    }
