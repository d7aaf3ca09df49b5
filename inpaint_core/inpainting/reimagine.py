"""reimagine(): a whole picture replaced part by part, each filled from the rest of the picture."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ..batches import common_count
from ..masks import normalize_mask, slic_labels
from .inpaint import Blend, Completer, Detail, Progress, inpaint

Parts = Literal["superpixels", "cells"]
PARTS: tuple[Parts, ...] = get_args(Parts)
STRIP_HEIGHT = 256  # pixels, at most
COMPACTNESS = 20.0  # lets superpixels follow edges without long protrusions, which would look like scratches


def reimagine(
    model: Completer,
    image: Tensor,
    strength: float = 1.0,
    rounds: int = 6,
    seed: int = 0,
    protect: Tensor | None = None,
    *,
    parts: Parts = "superpixels",
    part_count: int = 150,
    feather: int = 8,
    blend: Blend = "alpha",
    detail: Detail = "auto",
    progress: Progress | None = None,
) -> Tensor:
    """Replace a picture part by part with a model's predictions.

    The picture is divided into parts. In every round, some parts chosen at random are removed and filled from the rest,
    until every selected part has been replaced once. A model that has only seen empty rooms turns a familiar picture
    into a liminal one.

    Parameters
    ----------
    model
        Fills holes.
    image
        `[B,C,H,W]`, 0..1, C = 1, 3 or 4.
    strength
        0..1: fraction of the parts to replace; at 1 no pixel is kept.
    rounds
        At least 1. With few rounds, large areas are removed at once, which is bolder but less detailed; many rounds
        preserve more of the picture's structure.
    seed
        Seed of the selection and order of the parts, the same for every picture of a batch.
    protect
        1 = kept bit for bit; any form of mask that `inpaint` accepts.
    parts
        `"superpixels"`: regions of similar color, which follow the edges of objects; `"cells"`: coarse salt and pepper,
        a plain grid of squares.
    part_count
        Approximate number of parts.
    feather, blend, detail
        As in `inpaint`.
    progress
        Called after every round with rounds done, total rounds (of all pictures), and the current picture `[C,H,W]`;
        also within rounds, with the count so far. An exception that it raises aborts the call.

    Returns
    -------
    Tensor
        `[B,C,H,W]`; alpha is unchanged.

    Raises
    ------
    ValueError
        Options out of range, or batches that do not match.
    """
    if not 0.0 <= strength <= 1.0:
        raise ValueError(f"strength is {strength}: expected 0..1")
    if rounds < 1:
        raise ValueError(f"rounds is {rounds}: expected at least 1")
    if part_count < 1:
        raise ValueError(f"part_count is {part_count}: expected at least 1")
    if parts not in PARTS:
        raise ValueError(f"unknown kind of parts {parts!r}: choose one of {', '.join(PARTS)}")
    if image.ndim != 4:
        raise ValueError(f"image has shape {list(image.shape)}: expected [B,C,H,W] with C = 1, 3 or 4")
    size = (image.shape[-2], image.shape[-1])
    kept = normalize_mask(torch.zeros(1, 1, *size) if protect is None else protect, size).to(image.device) > 0.5
    count = common_count(len(image), len(kept), ("images", "masks"))
    output = image.expand(count, -1, -1, -1).clone(memory_format=torch.contiguous_format)
    done = 0
    for index in range(count):
        free = ~kept[index % len(kept), 0]
        picture = output[index : index + 1]
        labels = _divide(picture[0], parts, part_count).to(image.device)
        for hole in _holes(labels, free, strength, rounds, seed):

            def within(_done: int, _total: int, current: Tensor, done: int = done) -> None:
                if progress is not None:
                    progress(done, count * rounds, current)

            picture.copy_(
                inpaint(model, picture, hole, feather=feather, blend=blend, detail=detail, seed=seed, progress=within)
            )
            done += 1
            if progress is not None:
                progress(done, count * rounds, picture[0])
    return output


class Strip:
    """Collects the picture before and after every round, side by side; to be passed as `progress`.

    Parameters
    ----------
    image
        `[C,H,W]`, the first picture before the first round.
    rounds
        Rounds of `reimagine`; those of further pictures are ignored.
    """

    def __init__(self, image: Tensor, rounds: int) -> None:
        self._rounds = rounds
        self._pictures = [self._reduced(image)]

    def __call__(self, done: int, total: int, picture: Tensor) -> None:
        """Add the picture if another round is done."""
        if done == len(self._pictures) <= self._rounds:
            self._pictures.append(self._reduced(picture))

    def picture(self) -> Tensor:
        """The pictures collected so far: `[3,h,w]` with h at most `STRIP_HEIGHT`."""
        return torch.cat(self._pictures, dim=2)

    @staticmethod
    def _reduced(image: Tensor) -> Tensor:
        height = min(STRIP_HEIGHT, image.shape[-2])
        width = max(1, round(image.shape[-1] * height / image.shape[-2]))
        colors = image[None, :3].float().expand(-1, 3, -1, -1)
        return F.interpolate(colors, size=(height, width), mode="bilinear", antialias=True)[0]


def _divide(picture: Tensor, parts: Parts, part_count: int) -> Tensor:
    """Labels `[H,W]`."""
    if parts == "superpixels":
        return slic_labels(picture, part_count, COMPACTNESS)
    height, width = picture.shape[-2:]
    side = max(1, round((height * width / part_count) ** 0.5))
    rows, columns = torch.arange(height) // side, torch.arange(width) // side
    return rows[:, None] * (width // side + 1) + columns


def _holes(labels: Tensor, free: Tensor, strength: float, rounds: int, seed: int) -> Iterator[Tensor]:
    """The mask `[1,1,H,W]` of every round."""
    rng = np.random.default_rng(seed)
    present = np.unique(labels[free & (labels >= 0)].cpu().numpy())
    chosen = rng.permutation(present)[: round(strength * len(present))]
    for group in np.array_split(chosen, rounds):
        yield (torch.isin(labels, torch.from_numpy(group).to(labels)) & free)[None, None].float()
