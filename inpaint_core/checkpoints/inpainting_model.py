"""A network with its card, as a Completer for pictures of any size."""

from __future__ import annotations

import torch
from torch import Tensor

from ..models.evaluation_mode import evaluation_mode
from ..models.padding import crop_padding, pad_to_multiple
from .card import ValueRange
from .described_model import DescribedModel

# Mean and standard deviation of ImageNet's RGB, the constants of torchvision's classification models.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def _mean_and_std(value_range: ValueRange, like: Tensor) -> tuple[Tensor, Tensor]:
    mean, std = {
        "unit": ((0.0,) * 3, (1.0,) * 3),
        "signed": ((0.5,) * 3, (0.5,) * 3),
        "imagenet": (IMAGENET_MEAN, IMAGENET_STD),
    }[value_range]
    channels = like.shape[1]  # 1 for the gray inputs of a translation network
    return like.new_tensor(mean[:channels]).view(1, -1, 1, 1), like.new_tensor(std[:channels]).view(1, -1, 1, 1)


def to_range(image: Tensor, value_range: ValueRange) -> Tensor:
    """Map `[B,3,H,W]` (or gray `[B,1,H,W]`) from 0..1 to a network's value range."""
    if value_range == "unit":
        return image
    mean, std = _mean_and_std(value_range, image)
    return (image - mean) / std


def to_unit(image: Tensor, value_range: ValueRange) -> Tensor:
    """Map `[B,3,H,W]` from a network's output to 0..1 without clamping, so that gradients pass everywhere."""
    if value_range == "unit":
        return image
    mean, std = _mean_and_std(value_range, image)
    return image * std + mean


def from_range(image: Tensor, value_range: ValueRange) -> Tensor:
    """Map `[B,3,H,W]` from a network's output to 0..1, clamped."""
    return to_unit(image, value_range).clamp(0.0, 1.0)


def fill_hole(image: Tensor, mask: Tensor, fill: tuple[float, float, float]) -> Tensor:
    """Fill the hole of `[B,3,H,W]` with one color; anything there, even NaN, is overwritten."""
    return torch.where(mask > 0.5, image.new_tensor(fill).view(1, 3, 1, 1), image)


class InpaintingModel(DescribedModel):
    """A Completer around an inpainting network.

    Parameters
    ----------
    card
        Describes how the network's input is prepared.
    network
        Takes `(image, mask)`; see `inpaint_core.models`. Its mode is not changed; `complete` runs it in evaluation
        mode.

    Attributes
    ----------
    detail
        `"patches"`: by default, `inpaint` uses the fills to guide patch completion.
    """

    detail = "patches"

    def as_guide(self) -> InpaintingModel:
        """The model whose fills guide patches and are mixed with them: the same weights, without copied detail, because
        the patches bring detail that fits better."""
        return InpaintingModel(self.card, self.network.without_copied_detail())

    def prepare(self, image: Tensor, mask: Tensor) -> Tensor:
        """The network's input: the hole filled with the card's color, in the card's value range."""
        return to_range(fill_hole(image, mask, self.card.fill), self.card.value_range)

    @torch.no_grad()
    def complete(self, image: Tensor, mask: Tensor) -> Tensor:
        """Predict the whole picture.

        Parameters
        ----------
        image
            `[B,3,H,W]` in 0..1, any size from 1x1; the contents of the hole are ignored.
        mask
            `[B,1,H,W]`, exactly 0 or 1, 1 = hole.

        Returns
        -------
        Tensor
            `[B,3,H,W]` in 0..1 on the input's device. Known pixels are predicted as well: `inpaint` puts the originals
            back.
        """
        device = self.device
        mask = mask.to(device=device, dtype=torch.float32)
        prepared = self.prepare(image.to(device=device, dtype=torch.float32), mask)
        multiple, minimum = self.network.multiple, self.network.minimum
        padded, window = pad_to_multiple(prepared, multiple, minimum)
        padded_mask, _ = pad_to_multiple(mask, multiple, minimum)
        with evaluation_mode(self.network):
            output = self.network(padded, padded_mask)
        return from_range(crop_padding(output, window), self.card.value_range).to(image.device)
