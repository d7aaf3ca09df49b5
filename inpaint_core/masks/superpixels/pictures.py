"""Pictures of superpixels: borders drawn over the picture, mean colors, or label numbers as colors."""

from __future__ import annotations

import torch
from torch import Tensor

from ...batches import paired
from .selection import mean_colors

GOLDEN_RATIO = 0.6180339887498949


def boundary_overlay(
    image: Tensor, labels: Tensor, mask: Tensor | None = None, color: tuple[float, float, float] = (1.0, 0.85, 0.0)
) -> Tensor:
    """Draw the borders of superpixels over a picture, and tint a mask red.

    Parameters
    ----------
    image
        `[C,H,W]` or `[B,C,H,W]`, 0..1; C = 1, 3 or 4.
    labels
        int `[H,W]` or `[B,H,W]`.
    mask
        `[B,1,H,W]`, 1 = hole, or None.
    color
        Color of the borders, RGB in 0..1.

    Returns
    -------
    Tensor
        float32 `[B,3,H,W]`. A border is one pixel wide, the pixels whose right or lower neighbor has another label;
        from a side of 1024 it is two pixels wide, and so on, so that it stays visible when the picture is reduced.
    """
    pictures, planes = _paired(image, labels)
    border = torch.zeros(planes.shape, dtype=torch.bool, device=planes.device)
    border[:, :-1] |= planes[:, 1:] != planes[:, :-1]
    border[:, :, :-1] |= planes[:, :, 1:] != planes[:, :, :-1]
    wide = border.clone()
    for shift in range(1, min(planes.shape[-2:]) // 1024 + 1):
        wide[:, shift:] |= border[:, :-shift]
        wide[:, :, shift:] |= border[:, :, :-shift]
    result = pictures.clone()
    if mask is not None:
        red = torch.tensor([1.0, 0.1, 0.1], device=result.device)[None, :, None, None]
        result = torch.lerp(result, red.expand_as(result), 0.5 * mask.to(result))
    return torch.where(wide[:, None], torch.tensor(color, device=result.device)[None, :, None, None], result)


def posterize(image: Tensor, labels: Tensor) -> Tensor:
    """Paint every superpixel in its mean color: `[B,3,H,W]`; black where there is no superpixel.

    See `boundary_overlay` for the arguments.
    """
    pictures, planes = _paired(image, labels)
    painted = [
        _with_black(mean_colors(picture, plane)).to(picture.device)[plane].permute(2, 0, 1)
        for picture, plane in zip(pictures, planes, strict=True)
    ]
    return torch.stack(painted)


def label_map(labels: Tensor) -> Tensor:
    """Paint every label number in its own color, the same in every picture: float32 `[B,3,H,W]`.

    Hues follow the golden ratio, so that neighboring numbers are far apart on the color circle.
    """
    planes = labels if labels.ndim == 3 else labels[None]
    numbers = torch.arange(int(planes.max()) + 1, dtype=torch.float64)
    hue = (numbers * GOLDEN_RATIO) % 1.0
    value = 0.65 + 0.35 * ((numbers * GOLDEN_RATIO * GOLDEN_RATIO) % 1.0)
    saturation = 0.55 + 0.4 * ((numbers * 0.7548776662466927) % 1.0)
    # The usual HSV formula: channel n is v - v s max(0, min(k, 4 - k, 1)) with k = (n + 6 h) mod 6, n = 5, 3, 1.
    steps = (torch.tensor([5.0, 3.0, 1.0], dtype=torch.float64) + 6.0 * hue[:, None]) % 6.0
    falls = torch.minimum(steps, 4.0 - steps).clamp(0.0, 1.0)
    colors = (value[:, None] * (1.0 - saturation[:, None] * falls)).float()
    return _with_black(colors).to(planes.device)[planes].permute(0, 3, 1, 2).contiguous()


def _with_black(colors: Tensor) -> Tensor:
    """Colors `[n,3]` followed by black, which the label -1 indexes."""
    return torch.cat([colors, torch.zeros_like(colors[:1]) if len(colors) else colors.new_zeros(1, 3)])


def _paired(image: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    pictures = image if image.ndim == 4 else image[None]
    planes = labels if labels.ndim == 3 else labels[None]
    if pictures.ndim != 4 or pictures.shape[-2:] != planes.shape[-2:]:
        raise ValueError(f"the picture {list(image.shape)} and the labels {list(labels.shape)} differ in size")
    pictures, planes = paired(pictures, planes, ("pictures", "label maps"))
    return pictures[:, :3].detach().float().expand(-1, 3, -1, -1), planes.to(pictures.device)
