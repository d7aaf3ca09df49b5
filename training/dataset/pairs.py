"""Paired pictures: a ground truth and the input of a translation."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from inpaint_core.files.folders import Listing, find_partner, find_partners, list_pictures
from inpaint_core.files.images import decode_image
from inpaint_core.files.opening import ImageFileError

from ..config import DataConfig
from .pixels import Pixels

UNEQUAL = (
    1.1  # if the aspect ratio of halves differs by more than this from that of the other files, they are not halves
)


class UnpairedError(ImageFileError):
    """A picture has no matching input; the message names the file and the reason."""


def read_pair(path: Path, config: DataConfig) -> Pixels:
    """Ground truth and input of a file, each float32 `[3,H,W]` in 0..1.

    Raises
    ------
    UnpairedError
        The file cannot be split in half, or its partner is missing or has another size.
    ImageFileError
        As `inpaint_core.files.images.decode_image`.
    """
    picture = decode_image(path, config.max_pixels).visible()
    if config.input_side is not None:
        if picture.shape[2] % 2:
            raise UnpairedError(f"{path}: {picture.shape[2]} pixels wide, so it cannot hold two pictures side by side")
        left, right = picture.chunk(2, 2)
        return Pixels(right, left) if config.input_side == "left" else Pixels(left, right)
    partner = input_path(path, config)
    given = decode_image(partner, config.max_pixels).visible()
    if given.shape != picture.shape:
        sizes = [f"{image.shape[2]}x{image.shape[1]}" for image in (given, picture)]
        raise UnpairedError(f"{path}: its input {partner.name} has {sizes[0]} pixels, but the picture has {sizes[1]}")
    return Pixels(picture, given)


def input_path(path: Path, config: DataConfig) -> Path:
    """The file in `config.input_folder` that belongs to a picture; see `inpaint_core.files.folders.find_partner`.

    Raises
    ------
    UnpairedError
        There is none, or more than one.
    """
    try:
        return find_partner(path, _folder(config), list_inputs(config), "input")
    except UnpairedError:
        raise
    except ImageFileError as error:
        raise UnpairedError(str(error)) from None


def list_inputs(config: DataConfig) -> Listing:
    """The pictures in `config.input_folder`.

    Raises
    ------
    ImageFileError
        No such folder.
    """
    folder = Path(config.input_folder or "").expanduser().resolve()
    if not folder.is_dir():
        raise ImageFileError(f"{folder}: no such folder")
    return _list(folder, folder.stat().st_mtime_ns)


def unpaired_inputs(paths: Sequence[Path], config: DataConfig) -> list[Path]:
    """Files in `config.input_folder` that match none of the pictures `paths`."""
    if config.input_folder is None:
        return []
    listing = list_inputs(config)
    used = {partner for path in paths for partner in find_partners(path, _folder(config), listing)}
    return [path for path in listing.pictures if path not in used]


@lru_cache(maxsize=4)
def _list(folder: Path, _changed: int) -> Listing:
    return list_pictures(folder, recursive=True)


def _folder(config: DataConfig) -> Path:
    return Path(config.folder or "").expanduser().resolve()


def odd_one_out(height: int, width: int, usual: float) -> str | None:
    """The reason why halves of this size must be wrong if those of the other files have the aspect ratio `usual`; None
    if they are plausible."""
    proportion = width / height
    if max(proportion / usual, usual / proportion) <= UNEQUAL:
        return None
    return (
        f"its halves would have an aspect ratio of {proportion:.2f}, but those of the other files have {usual:.2f}, "
        f"so it does not hold two pictures side by side"
    )
