"""Pictures that come in pairs: beside each truth lies the input that a translation is to make it of."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from inpaint_core.files.images import READABLE_SUFFIXES, decode_image
from inpaint_core.files.opening import ImageFileError

from ..config import DataConfig

UNEQUAL = 1.1  # halves whose proportions differ by more than this from those of the other files are no halves


class UnpairedError(ImageFileError):
    """A picture has no input that fits; the message names the file and the reason."""


def read_pair(path: Path, config: DataConfig) -> Tensor:
    """Truth and input of a file, stacked: float32 `[6,H,W]` in 0..1.

    Raises
    ------
    UnpairedError
        The file cannot be cut in two, or its partner is missing or of another size.
    ImageFileError
        As `inpaint_core.files.images.decode_image`.
    """
    picture = decode_image(path, config.max_pixels).visible()
    if config.input_side is not None:
        if picture.shape[2] % 2:
            raise UnpairedError(f"{path}: {picture.shape[2]} pixels wide, which two pictures side by side cannot be")
        left, right = picture.chunk(2, 2)
        return torch.cat([right, left] if config.input_side == "left" else [left, right])
    partner = input_path(path, config)
    given = decode_image(partner, config.max_pixels).visible()
    if given.shape != picture.shape:
        sizes = [f"{image.shape[2]}x{image.shape[1]}" for image in (given, picture)]
        raise UnpairedError(
            f"{path}: its input {partner.name} is {sizes[0]} pixels large, the picture itself {sizes[1]}"
        )
    return torch.cat([picture, given])


def input_path(path: Path, config: DataConfig) -> Path:
    """The file in `config.input_folder` of the same name, whatever its suffix.

    Raises
    ------
    UnpairedError
        There is none, or more than one.
    """
    folder = Path(config.input_folder or "").expanduser().resolve()
    matches = [match for suffix in sorted(READABLE_SUFFIXES) if (match := folder / f"{path.stem}{suffix}").is_file()]
    if len(matches) != 1:
        raise UnpairedError(f"{path}: {len(matches) or 'no'} inputs named {path.stem} in {folder}, one is needed")
    return matches[0]


def lonely_inputs(names: set[str], config: DataConfig) -> list[Path]:
    """Files in `config.input_folder` that no picture, by the stems `names`, belongs to."""
    if config.input_folder is None:
        return []
    folder = Path(config.input_folder).expanduser().resolve()
    if not folder.is_dir():
        return []
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in READABLE_SUFFIXES and p.stem not in names)


def odd_one_out(height: int, width: int, usual: float) -> str | None:
    """Why halves of this size are none, when those of the other files are `usual` times as wide as high."""
    proportion = width / height
    if max(proportion / usual, usual / proportion) <= UNEQUAL:
        return None
    return (
        f"its halves would be {proportion:.2f} times as wide as high, those of the other files are {usual:.2f} times: "
        "not two pictures side by side"
    )
