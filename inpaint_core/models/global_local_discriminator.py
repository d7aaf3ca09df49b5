"""Discriminator on a whole picture and the surroundings of its hole together (Iizuka et al. 2017)."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from .architecture import Architecture, Arguments, Network
from .initialization import initialize_layers
from .normalization import Norm, constrain_spectrum, norm_layer
from .padding import pad_to_multiple


class GlobalLocalDiscriminatorArguments(Arguments):
    """Size and variant of a `GlobalLocalDiscriminator`."""

    image_size: int = Field(160, ge=16, le=512)
    """Side in pixels of the square that the global branch sees."""
    local_size: int = Field(96, ge=16, le=256)
    """Side in pixels of the square around the hole that the local branch sees."""
    width: int = Field(64, ge=2, le=128)
    global_layers: int = Field(5, ge=2, le=6)
    """Convolutions of the global branch: 6 in the paper at 256 pixels, 5 at 160 pixels."""
    local_layers: int = Field(5, ge=2, le=6)
    norm: Norm = "batch"
    norm_after_activation: bool = False
    spectral_norm: bool = False
    """Constrain every layer's Lipschitz constant (Miyato et al. 2018, arXiv 1802.05957)."""


class GlobalLocalDiscriminator(Network):
    """Two stacks of 5x5 convolutions with stride 2, a fully connected layer after each, and one over both (table 2 of
    the paper).

    Parameters
    ----------
    image_size, local_size, width, global_layers, local_layers, norm, norm_after_activation, spectral_norm
        See `GlobalLocalDiscriminatorArguments`.
    """

    features = 1024

    def __init__(
        self,
        image_size: int,
        local_size: int,
        width: int,
        global_layers: int,
        local_layers: int,
        norm: Norm,
        norm_after_activation: bool,
        spectral_norm: bool,
    ) -> None:
        super().__init__()
        self.image_size, self.local_size = image_size, local_size

        def branch(size: int, count: int) -> nn.Sequential:
            layers: list[nn.Module] = []
            inputs = 3
            for index in range(count):
                outputs = width * min(2**index, 8)
                tail = [norm_layer(norm, outputs), nn.ReLU()]
                layers.append(constrain_spectrum(nn.Conv2d(inputs, outputs, 5, stride=2, padding=2), spectral_norm))
                layers += reversed(tail) if norm_after_activation else tail
                inputs, size = outputs, -(-size // 2)
            linear = constrain_spectrum(nn.Linear(inputs * size * size, self.features), spectral_norm)
            return nn.Sequential(*layers, nn.Flatten(), linear, nn.ReLU())

        self.global_branch = branch(image_size, global_layers)
        self.local_branch = branch(local_size, local_layers)
        self.head = constrain_spectrum(nn.Linear(2 * self.features, 1), spectral_norm)

    def initialize(self, generator: torch.Generator) -> None:
        """Fresh He-initialized weights from `generator`."""
        initialize_layers(self, generator)

    def forward(self, image: Tensor, centers: Tensor) -> Tensor:
        """Score how real each picture looks.

        Parameters
        ----------
        image
            [B,3,H,W] in 0..1. The global branch sees it resized to a square of `image_size` pixels, if needed.
        centers
            [B,2], row and column in pixels of the center of each picture's hole, as from `hole_centers`. The local
            branch sees the square around it, shifted to lie inside the picture.

        Returns
        -------
        Tensor
            [B,1], logits: positive for real.
        """
        whole = image
        if image.shape[-2:] != (self.image_size, self.image_size):
            size = (self.image_size, self.image_size)
            whole = F.interpolate(image, size, mode="bilinear", antialias=True, align_corners=False)
        local = crop_around(image, centers, self.local_size)
        return self.head(torch.cat([self.local_branch(local), self.global_branch(whole)], 1))


def hole_centers(mask: Tensor) -> Tensor:
    """Center of each hole's bounding box; the picture's center if there is no hole.

    Parameters
    ----------
    mask
        [B,1,H,W], 1 = hole.

    Returns
    -------
    Tensor
        [B,2], int64, row and column in pixels.
    """
    middles = []
    for dim in (3, 2):
        hit = mask[:, 0].amax(dim=dim - 1) > 0.5
        side = hit.shape[1]
        positions = torch.arange(side, device=mask.device).expand_as(hit)
        first = torch.where(hit, positions, side).amin(1)
        last = torch.where(hit, positions, -1).amax(1)
        middles.append((first + last + 1) // 2)
    return torch.stack(middles, 1)


def crop_around(image: Tensor, centers: Tensor, size: int) -> Tensor:
    """Crop a square from every picture, shifted to lie inside it; small pictures are padded first.

    Parameters
    ----------
    image
        [B,C,H,W].
    centers
        [B,2], row and column in pixels.
    size
        Side in pixels.

    Returns
    -------
    Tensor
        [B,C,size,size]; gradients flow back into `image`.
    """
    image, window = pad_to_multiple(image, 1, size)
    offset = torch.tensor([window.top, window.left], device=image.device)
    limit = torch.tensor([side - size for side in image.shape[-2:]], device=image.device)
    corner = (centers.to(image.device) + offset - size // 2).clamp(min=0).minimum(limit)
    steps = torch.arange(size, device=image.device)
    rows = (corner[:, :1] + steps).view(-1, 1, size, 1)
    columns = (corner[:, 1:] + steps).view(-1, 1, 1, size)
    samples = torch.arange(len(image), device=image.device).view(-1, 1, 1, 1)
    channels = torch.arange(image.shape[1], device=image.device).view(1, -1, 1, 1)
    return image[samples, channels, rows, columns]


ARCHITECTURE = Architecture(
    "global_local_discriminator",
    GlobalLocalDiscriminator,
    GlobalLocalDiscriminatorArguments,
    "discriminator",
    small={"width": 4, "image_size": 32, "local_size": 16, "global_layers": 3, "local_layers": 3},
)
