"""Dilated residual blocks, with which few layers see far."""

from __future__ import annotations

from torch import Tensor, nn

DILATIONS = (1, 2, 4, 8)  # repeated over the blocks


class DilatedBlock(nn.Module):
    """Two 3x3 convolutions, the first of them dilated, added to the input `[B,C,H,W]`."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=dilation, dilation=dilation)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        """[B,C,H,W] to [B,C,H,W]."""
        return features + self.second(self.first(features.relu()).relu())


def dilated_blocks(channels: int, count: int) -> nn.Sequential:
    """Blocks with dilations of 1, 2, 4 and 8 in turn (Yu & Koltun 2016, arXiv 1511.07122, section 3)."""
    return nn.Sequential(*(DilatedBlock(channels, DILATIONS[number % len(DILATIONS)]) for number in range(count)))


def start_at_zero(blocks: nn.Sequential) -> None:
    """Make the initial blocks pass their input on unchanged."""
    for block in blocks:
        nn.init.zeros_(block.get_parameter("second.weight"))
