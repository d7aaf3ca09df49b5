"""Training on a single picture to repair it: holes are drawn in its known part."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from inpaint_core.files.images import decode_image, write_image
from inpaint_core.files.masks import read_mask
from inpaint_core.files.opening import MAX_PIXELS, ImageFileError
from inpaint_core.inpainting.inpaint import Completer, inpaint
from inpaint_core.masks import normalize_mask

from ..config import DataConfig
from .scan import Dataset, DatasetError, Record, to_training_pixels


def read_single_picture(path: Path, mask_path: Path, config: DataConfig) -> Dataset:
    """A dataset of one picture file, whose white part in the mask file is unknown.

    Raises
    ------
    DatasetError
        One of the files cannot be read, or no part of the picture is known.
    """
    try:
        picture = decode_image(path, config.max_pixels)
        mask = read_mask(mask_path, picture, max_pixels=config.max_pixels)
    except ImageFileError as error:
        raise DatasetError(str(error)) from None
    unknown = torch.maximum(mask.hole, picture.unknown.float())
    dataset = single_picture(picture.visible()[None], unknown, config, path.name)
    notes = [f"{path}: {sentence}" for sentence in picture.notes]
    notes += [f"{mask_path}: {sentence}" for sentence in mask.notes]
    return replace(dataset, notes=tuple(notes))


def single_picture(image: Tensor, mask: Tensor, config: DataConfig, name: str = "picture") -> Dataset:
    """A dataset of one picture with an unknown part.

    Parameters
    ----------
    image
        `[1,3,H,W]` in 0..1.
    mask
        `[1,1,h,w]`, 1 = unknown; resized if it has another size.
    name
        Name of the picture in messages.

    Raises
    ------
    DatasetError
        Nothing is unknown, or nothing is known.
    """
    image, mask = image.detach().cpu().float(), normalize_mask(mask.detach().cpu(), (image.shape[-2], image.shape[-1]))
    if not 0.0 < mask.mean() < 1.0:
        if mask.mean() == 0.0:
            raise DatasetError(f"{name}: its mask marks nothing, so there is nothing to repair")
        raise DatasetError(f"{name}: its mask marks everything, so there is nothing to train on")
    mean = (image * (1.0 - mask)).sum((0, 2, 3)) / (1.0 - mask).sum()
    known = torch.where(mask > 0.5, mean.view(1, 3, 1, 1), image)
    pixels = to_training_pixels(known[0], mask[0], config)
    digest = hashlib.sha256(pixels.to_bytes()).hexdigest()
    red, green, blue = mean.tolist()
    record = Record(name, Path(name), digest, pixels.height, pixels.width, (red, green, blue), pixels)
    return Dataset(name, [record], [])


def repair(model: Completer, path: Path, mask_path: Path, out: Path, max_pixels: int = MAX_PIXELS) -> Path:
    """Fill the marked part of a picture file and write the result; known pixels are unchanged.

    Returns
    -------
    Path
        `out`, or the same with `.tif` for values that PNG cannot hold.
    """
    picture = decode_image(path, max_pixels)
    if picture.values is not None and not picture.sixteen_bit:
        out = out.with_suffix(".tif")
    hole = read_mask(mask_path, picture, max_pixels=max_pixels).hole
    filled = inpaint(model, picture.planes[None], hole, detail="network")
    write_image(out, filled[0], like=picture)
    return out
