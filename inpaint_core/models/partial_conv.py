"""Partial convolution: a convolution that sees only the valid pixels of its window.

Liu et al. 2018, "Image Inpainting for Irregular Holes Using Partial Convolutions", arXiv 1804.07723, section 3.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Windows:
    """The windows of a partial convolution, as needed by its mask path.

    Attributes
    ----------
    group_channels
        Channels of each group that shares a validity map.
    size, stride, padding, dilation
        As for `nn.Conv2d`; square windows.
    """

    group_channels: tuple[int, ...]
    size: int
    stride: int
    padding: int
    dilation: int

    @torch.no_grad()
    def renormalization(self, valid: Tensor) -> tuple[Tensor, Tensor]:
        """The factor `sum(1) / sum(M)` of every window (0 where the window is empty), and where it is not empty.

        Parameters
        ----------
        valid
            [B,G,H,W], exactly 0 or 1. float64 is kept; other types are computed in float32, where these sums are exact.

        Returns
        -------
        ratio, update
            [B,1,H',W'] each, float32 or float64.
        """
        valid = valid if valid.dtype == torch.float64 else valid.float()
        weighted = valid[:, :1] * self.group_channels[0]
        for group, channels in enumerate(self.group_channels[1:], start=1):
            weighted = weighted.add(valid[:, group : group + 1], alpha=channels)
        total = box_sum(weighted, self.size, self.stride, self.padding, self.dilation)
        update = (total > 0).to(total.dtype)
        # A true division, so that full windows get exactly 1; `number / tensor` would multiply by a rounded reciprocal.
        window = torch.full_like(total, sum(self.group_channels) * self.size**2)
        return window.div_(total.clamp(min=1)).mul_(update), update


class PartialConv2d(nn.Conv2d):
    """2-D partial convolution, equations 1 and 2 of arXiv 1804.07723.

    With the window's features X, its validity M and the weights W, an output position is `W . (X * M) * sum(1) / sum(M)
    + b` if any pixel of the window is valid, in which case the position becomes valid, and 0 otherwise. `sum(1)` is the
    window's size: kernel height x kernel width x channels.

    The channels may be divided into groups that share one validity map each, such as the two halves of a U-Net's
    concatenation. A window's sum over all channels is then the channel-weighted sum of one box sum per group: exact, at
    a cost that does not depend on the number of channels. The zero padding around the picture counts as invalid.

    Parameters
    ----------
    in_channels
        Channels of the input, or the channels of each group: `(512, 256)` for 768 channels with two validity maps.
    out_channels, kernel_size, stride, padding, dilation, bias
        As for `nn.Conv2d`; padding is with zeros. The parameters are exactly those of `nn.Conv2d`.
    """

    def __init__(
        self,
        in_channels: int | Sequence[int],
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int = 0,
        dilation: int = 1,
        bias: bool = True,
    ) -> None:
        groups = (in_channels,) if isinstance(in_channels, int) else tuple(in_channels)
        super().__init__(sum(groups), out_channels, kernel_size, stride, padding, dilation, bias=bias)
        self.windows = Windows(groups, kernel_size, stride, padding, dilation)

    def forward(self, features: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        """Convolve the valid part of `features`.

        Parameters
        ----------
        features
            [B,C,H,W]. Values where `valid == 0` have no influence, as long as they are finite.
        valid
            [B,G,H,W] or [1,G,H,W], exactly 0 or 1, one map per group of channels.

        Returns
        -------
        output
            [B,out_channels,H',W'], 0 where the window has no valid pixel.
        valid
            [B,1,H',W'], 1 where the window has a valid pixel.
        """
        return self.convolve_known(features * self.spread(valid).to(features.dtype), valid)

    def convolve_known(self, known: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """As `forward`, for features that are already zero wherever they are not valid."""
        ratio, update = self.windows.renormalization(valid)
        output = self._conv_forward(known, self.weight, None)
        # The gradient of a product with a constant needs only the constant: writing in place is safe even in training.
        output = output.mul_(ratio.to(output.dtype))
        if self.bias is not None:
            output = output + self.bias.view(1, -1, 1, 1).to(output.dtype) * update.to(output.dtype)
        return output, update

    def spread(self, valid: Tensor) -> Tensor:
        """The validity of every channel: [B,G,H,W] -> [B,C,H,W], or a map that broadcasts to it."""
        counts = self.windows.group_channels
        if len(counts) == 1:
            return valid
        return torch.cat([valid[:, g : g + 1].expand(-1, count, -1, -1) for g, count in enumerate(counts)], dim=1)


def box_sum(values: Tensor, size: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> Tensor:
    """Sum of every size x size window, by rows and then by columns: [B,C,H,W] -> [B,C,H',W'], zeros outside.

    Slices are added instead of convolving with ones because that stays exact for integers on every device (a
    convolution may be computed in TF32 or through a transform).
    """
    padded = nn.functional.pad(values, (padding, padding, padding, padding)) if padding else values
    for dim in (-2, -1):
        count = (padded.shape[dim] - dilation * (size - 1) - 1) // stride + 1
        if count < 1:
            raise ValueError(f"a window of {dilation * (size - 1) + 1} pixels does not fit into {padded.shape[dim]}")
        reach = stride * (count - 1) + 1
        parts = [padded.narrow(dim, offset, reach) for offset in range(0, dilation * size, dilation)]
        parts = [part[..., ::stride, :] if dim == -2 else part[..., ::stride] for part in parts]
        padded = parts[0].clone()
        for part in parts[1:]:
            padded += part
    return padded
