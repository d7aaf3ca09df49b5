"""The inference form of `PConvUNet`: the same function with fewer and cheaper operations."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .architecture import Network
from .partial_conv import Windows
from .pconv_unet import PartialConvBlock, PConvUNet
from .residual_head import correct_smooth_fill


class PConvUNetInference(Network):
    """A `PConvUNet` in evaluation mode, rewritten for speed; input and output are float32, regardless of the precision
    inside.

    - Batch normalization is folded into the weights; its shift becomes a bias that the window ratio does not scale.
    - A 3x3 convolution of nearest-upsampled features is a 4x4 transposed convolution with stride 2 of the features
      themselves, with 4/9 of the multiplications. As convolution is linear in its channels, a decoder level is the sum
      of that and a 3x3 convolution of the skip; nothing is upsampled or concatenated.
    - Only windows that are neither full nor empty need renormalizing. On a CPU only those pixels are processed.
    - Features are channels_last, in the given precision; masks, window sums and the last layer stay float32.

    Parameters
    ----------
    network
        Any `PConvUNet` whose normalization is `"batch"` or `"none"`; it is not changed, and nothing is shared with it.
    dtype
        float32, bfloat16 or float16, for all levels except the last of the decoder.

    Raises
    ------
    ValueError
        Another normalization: it depends on the picture and cannot be folded.
    """

    def __init__(self, network: PConvUNet, dtype: torch.dtype) -> None:
        super().__init__()
        self.multiple, self.minimum = network.multiple, network.minimum
        self.residual = network.residual
        self.detail_share = network.detail_share
        last = len(network.decoder) - 1
        down = [_Down(_checked(block), dtype) for block in network.encoder]
        up = [
            _Up(_checked(block), torch.float32 if index == last else dtype)
            for index, block in enumerate(network.decoder)
        ]
        self.encoder, self.decoder = nn.ModuleList(down), nn.ModuleList(up)

    @torch.no_grad()
    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        """See `PConvUNet.forward`."""
        image, mask = image.float(), mask.float()
        if self.residual:
            return correct_smooth_fill(self._convolve, image, mask, self.detail_share)
        return self._convolve(image, mask)

    def _convolve(self, image: Tensor, mask: Tensor) -> Tensor:
        valid = 1.0 - mask
        known = (image * valid).contiguous(memory_format=torch.channels_last)
        skips = []
        for block in self.encoder:
            skips.append((known, valid))
            known, valid = block(known, valid)
        for block in self.decoder:
            known, valid = block(known, valid, *skips.pop())
        return known.contiguous()


def _checked(block: nn.Module) -> PartialConvBlock:
    if not isinstance(block, PartialConvBlock):
        raise ValueError(f"expected a block of partial convolution, got {type(block).__name__}")
    return block


class _Down(nn.Module):
    def __init__(self, block: PartialConvBlock, dtype: torch.dtype) -> None:
        super().__init__()
        self.windows, weight, shift = _folded(block)
        self.weight = _constant(weight, dtype)
        self.shift = _constant(shift, dtype)

    def forward(self, known: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        ratio, update = self.windows.renormalization(valid)
        features = F.conv2d(
            known.to(self.weight.dtype), self.weight, self.shift, self.windows.stride, self.windows.padding
        )
        return renormalize(features, self.shift, ratio).relu_(), update


class _Up(nn.Module):
    def __init__(self, block: PartialConvBlock, dtype: torch.dtype) -> None:
        super().__init__()
        self.windows, weight, shift = _folded(block)
        below = self.windows.group_channels[0]
        self.below_weight = _constant(transposed_upsampling_weight(weight[:, :below]), dtype)
        self.skip_weight = _constant(weight[:, below:], dtype)
        self.shift = _constant(shift, dtype)
        self.activation = block.activation
        self.legacy_double_ratio = block.legacy_double_ratio

    def forward(self, below: Tensor, below_valid: Tensor, skip: Tensor, skip_valid: Tensor) -> tuple[Tensor, Tensor]:
        valid = torch.cat([F.interpolate(below_valid, scale_factor=2.0), skip_valid], 1)
        ratio, update = self.windows.renormalization(valid)
        dtype = self.shift.dtype
        features = F.conv_transpose2d(below.to(dtype), self.below_weight, self.shift, stride=2, padding=1)
        features += F.conv2d(skip.to(dtype), self.skip_weight, padding=1)
        features = self.activation(renormalize(features, self.shift, ratio))
        return (features * ratio.to(dtype) if self.legacy_double_ratio else features), update


def renormalize(features: Tensor, shift: Tensor, ratio: Tensor) -> Tensor:
    """Turn `raw + shift` into `raw * ratio + shift`, or 0 where the ratio is 0.

    Parameters
    ----------
    features
        [B,C,H,W], channels_last, overwritten.
    shift
        [C].
    ratio
        [B,1,H,W] or [1,1,H,W], float32.
    """
    ratio = ratio.expand(features.shape[0], -1, -1, -1)
    if features.device.type != "cpu" or torch.compiler.is_compiling():
        # Finding the pixels would force a GPU to synchronize, and a compiler fuses these products anyway.
        update = (ratio > 0).to(features.dtype)
        shift = shift.view(1, -1, 1, 1)
        return torch.addcmul(shift, features - shift, ratio.to(features.dtype)).mul_(update)
    pixels = features.permute(0, 2, 3, 1).view(-1, features.shape[1])
    flat = ratio.reshape(-1)
    chosen = (flat != 1.0).nonzero().squeeze(1)
    factor = flat[chosen].unsqueeze(1)
    shift = shift.float()
    changed = pixels.index_select(0, chosen).float().sub_(shift).mul_(factor).add_(shift).mul_(factor > 0)
    pixels.index_copy_(0, chosen, changed.to(pixels.dtype))
    return features


def transposed_upsampling_weight(weight: Tensor) -> Tensor:
    """The kernel whose transposed convolution with stride 2 equals a 3x3 convolution of the doubled picture.

    `conv_transpose2d(x, kernel, stride=2, padding=1)` is `conv2d(nearest_x2(x), weight, padding=1)`: an input pixel
    covers two output rows, and through row `d` of the 3x3 kernel it reaches the rows `1 - d` further.

    Parameters
    ----------
    weight
        [C_out,C_in,3,3].

    Returns
    -------
    Tensor
        [C_in,C_out,4,4].
    """
    kernel = weight.new_zeros(weight.shape[1], weight.shape[0], 4, 4)
    flipped = weight.transpose(0, 1).flip(-2, -1)
    for row in range(2):
        for column in range(2):
            kernel[:, :, row : row + 3, column : column + 3] += flipped
    return kernel


def _folded(block: PartialConvBlock) -> tuple[Windows, Tensor, Tensor]:
    """The block's windows, and its weights and shift with normalization folded in."""
    partial, norm = block.convolution, block.norm
    weight = partial.weight.detach().float()
    shift = weight.new_zeros(len(weight)) if partial.bias is None else partial.bias.detach().float()
    if isinstance(norm, nn.BatchNorm2d) and norm.running_mean is not None and norm.running_var is not None:
        scale = norm.weight.detach() * torch.rsqrt(norm.running_var + norm.eps)
        weight, shift = weight * scale.view(-1, 1, 1, 1), norm.bias.detach() - norm.running_mean * scale
    elif not isinstance(norm, nn.Identity):
        raise ValueError("only batch normalization, or none, can be folded into the convolutions")
    return partial.windows, weight, shift


def _constant(tensor: Tensor, dtype: torch.dtype) -> nn.Parameter:
    tensor = tensor.to(dtype, copy=True)
    if tensor.dim() == 4:
        tensor = tensor.contiguous(memory_format=torch.channels_last)
    return nn.Parameter(tensor, requires_grad=False)
