"""Mixtures of mask families for training: which families, how often, and with what options."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, model_validator
from torch import Tensor

from .registry import Seed, draw_mask, find_generator
from .request import Options


class MaskSource(BaseModel):
    """One family of a mixture.

    Attributes
    ----------
    name
        A key of `GENERATORS`.
    weight
        Relative frequency of the family.
    options
        Options of the family.
    hole_ratio, border
        As for `generate`; if None, the values of the mixture apply.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    weight: float = Field(1.0, gt=0.0)
    options: dict[str, Any] = Field(default_factory=dict)
    hole_ratio: tuple[float, float] | None = None
    border: float | None = Field(None, ge=0.0)

    _options: Options = PrivateAttr()

    @model_validator(mode="after")
    def _check(self) -> MaskSource:
        self._options = find_generator(self.name).parse(self.options)
        return self


class MaskMix(BaseModel):
    """A weighted mixture of mask families, from which a trainer draws.

    Attributes
    ----------
    sources
        The families.
    hole_ratio
        `(low, high]` for all sources without their own; None leaves it to the families.
    border
        Distance of holes from the edge (see `generate`), for all sources without their own. Ignored by families that
        always touch the edge.

    Examples
    --------
    >>> thin = {"name": "strokes", "options": {"brush": "thin"}}
    >>> mix = MaskMix(sources=(thin, {"name": "rectangles", "weight": 0.5}), hole_ratio=(0.1, 0.3))
    >>> mix.draw((64, 64), seed=(1, 2)).shape
    torch.Size([1, 1, 64, 64])
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    sources: tuple[MaskSource, ...] = Field(min_length=1)
    hole_ratio: tuple[float, float] | None = None
    border: float | None = Field(None, ge=0.0)

    _ends: list[float] = PrivateAttr()

    @model_validator(mode="after")
    def _check(self) -> MaskMix:
        for interval in (self.hole_ratio, *(source.hole_ratio for source in self.sources)):
            if interval is not None and not 0.0 <= interval[0] < interval[1] <= 1.0:
                raise ValueError(f"hole_ratio is {interval}: expected 0 <= low < high <= 1")
        weights = np.array([source.weight for source in self.sources])
        self._ends = np.cumsum(weights / weights.sum()).tolist()
        return self

    @property
    def uses_picture(self) -> bool:
        """Whether any family follows the picture, so that `draw` needs the picture or its superpixels."""
        return any(find_generator(source.name).divide is not None for source in self.sources)

    def check_files(self) -> list[str]:
        """Check mask files once, before they are needed; returns a message for each unusable one.

        Raises
        ------
        ValueError
            A folder has no usable mask.
        """
        return [sentence for source in self.sources for sentence in source._options.check_files()]

    def draw(
        self, size: tuple[int, int], seed: Seed, image: Tensor | None = None, labels: Tensor | None = None
    ) -> Tensor:
        """Draw one mask.

        Parameters
        ----------
        size
            `(H, W)`.
        seed
            An integer, several (such as run, epoch, sample: the mask then depends on nothing else), or a generator.
        image
            `[C,H,W]`, needed if a family follows the picture.
        labels
            int `[H,W]`, its superpixels if already computed; `image` is then not needed.

        Returns
        -------
        Tensor
            float32 `[1,1,H,W]`, exactly 0 or 1.

        Raises
        ------
        ValueError
            As `generate`.
        """
        rng = np.random.default_rng(seed)
        chance = rng.random()
        index = next((i for i, end in enumerate(self._ends) if chance < end), len(self._ends) - 1)
        source = self.sources[index]
        generator = find_generator(source.name)
        border = self.border if source.border is None else source.border
        canvas = draw_mask(
            generator,
            source._options,
            size,
            self.hole_ratio if source.hole_ratio is None else source.hole_ratio,
            None if generator.touches_edge else border,
            rng,
            image,
            None if labels is None else labels.numpy(),
        )
        return torch.from_numpy(canvas.astype(np.float32))[None, None]

    def batch(
        self,
        size: tuple[int, int],
        seeds: Sequence[Seed],
        images: Tensor | None = None,
        labels: Sequence[Tensor] | Tensor | None = None,
    ) -> Tensor:
        """Draw one mask per seed: float32 `[B,1,H,W]`.

        `images` is `[B,C,H,W]`, `labels` has one `[H,W]` per image; see `draw`.
        """
        masks = [
            self.draw(size, seed, None if images is None else images[i], None if labels is None else labels[i])
            for i, seed in enumerate(seeds)
        ]
        return torch.cat(masks)
