"""Padding to the sizes that a network accepts, and cropping it off again."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from ..tracing import is_tracing, largest


class Interior(NamedTuple):
    """Where the original picture lies inside a padded one, in pixels."""

    top: int
    left: int
    height: int
    width: int


def pad_to_multiple(image: Tensor, multiple: int, minimum: int = 1) -> tuple[Tensor, Interior]:
    """Pad a picture, a mask or a feature map to sides that a network accepts.

    The picture is mirrored about its border pixels, with half of the padding on either side. If a side is no longer
    than the padding, its border pixels are replicated instead. Either way a binary mask stays binary.

    Parameters
    ----------
    image
        [B,C,H,W], any range, H and W at least 1.
    multiple
        Both padded sides are multiples of this.
    minimum
        Both padded sides are at least this long.

    Returns
    -------
    padded
        [B,C,H',W'] with the smallest H' >= H and W' >= W that fit; the input itself if it fits already.
    interior
        For `crop_padding`.
    """
    height, width = image.shape[-2:]
    more_rows = _fitting_side(height, multiple, minimum) - height
    more_columns = _fitting_side(width, multiple, minimum) - width
    top, left = more_rows // 2, more_columns // 2
    if is_tracing():
        rows = _places(height, top, more_rows)
        columns = _places(width, left, more_columns)
        return image.index_select(-2, rows).index_select(-1, columns), Interior(top, left, height, width)
    if more_columns:
        image = F.pad(image, (left, more_columns - left, 0, 0), mode=_mode(width, more_columns - left))
    if more_rows:
        image = F.pad(image, (0, 0, top, more_rows - top), mode=_mode(height, more_rows - top))
    return image, Interior(top, left, height, width)


def crop_padding(image: Tensor, interior: Interior) -> Tensor:
    """Crop the picture [B,C,H',W'] back to the `interior` that `pad_to_multiple` returned: [B,C,H,W], a view."""
    return image[..., interior.top : interior.top + interior.height, interior.left : interior.left + interior.width]


def _fitting_side(side: int, multiple: int, minimum: int) -> int:
    return (largest(side, minimum) + multiple - 1) // multiple * multiple


def _mode(side: int, padding: int) -> str:
    return "reflect" if padding < side else "replicate"


def _places(side: int, before: int, padding: int) -> Tensor:
    """Source row of each row of the padded picture, for sides and padding that are not known in advance; equivalent to
    padding with `_mode`."""
    place = torch.arange(side + padding) - before
    last = side - 1
    mirrored = last - (last - place.abs()).abs()
    repeated = place.clamp(min=0).minimum(torch.as_tensor(last))
    return torch.where(torch.as_tensor(padding - before < side), mirrored, repeated)
