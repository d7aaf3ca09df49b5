"""Random checkpoints in public layouts, and what the public code computes from them, written from its description
alone.

Every network here is a function from (weights by their public names, input) to the output; none shares code with the
converted networks.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from .dense_mask_reference import dense_mask_convolution

IMAGENET_MEAN = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
IMAGENET_STD = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)


class RandomWeights(dict):
    """Weights by name, with He's standard deviation, and nontrivial statistics and affine parameters."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.generator = torch.Generator().manual_seed(seed)

    def convolution(self, name: str, outputs: int, inputs: int, kernel: int, bias: bool, transposed: bool = False):
        shape = (inputs, outputs, kernel, kernel) if transposed else (outputs, inputs, kernel, kernel)
        self[f"{name}.weight"] = torch.randn(shape, generator=self.generator) * (2 / (inputs * kernel**2)) ** 0.5
        if bias:
            self[f"{name}.bias"] = torch.randn(outputs, generator=self.generator) * 0.1

    def batch_norm(self, name: str, channels: int, counted: bool = True):
        self[f"{name}.weight"] = torch.rand(channels, generator=self.generator) + 0.5
        self[f"{name}.bias"] = torch.randn(channels, generator=self.generator) * 0.2
        self.statistics(name, channels, counted)

    def statistics(self, name: str, channels: int, counted: bool = True):
        self[f"{name}.running_mean"] = torch.randn(channels, generator=self.generator) * 0.2
        self[f"{name}.running_var"] = torch.rand(channels, generator=self.generator) + 0.5
        if counted:
            self[f"{name}.num_batches_tracked"] = torch.tensor(3)


def conv(weights: dict[str, Tensor], name: str, x: Tensor, **options) -> Tensor:
    return F.conv2d(x, weights[f"{name}.weight"], weights.get(f"{name}.bias"), **options)


def deconv(weights: dict[str, Tensor], name: str, x: Tensor, **options) -> Tensor:
    return F.conv_transpose2d(x, weights[f"{name}.weight"], weights.get(f"{name}.bias"), stride=2, padding=1, **options)


def norm(weights: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    """Batch normalization where the layout has affine parameters, instance normalization otherwise."""
    if f"{name}.weight" not in weights:
        mean, variance = x.mean((2, 3), keepdim=True), x.var((2, 3), keepdim=True, unbiased=False)
        return (x - mean) / (variance + 1e-5).sqrt()
    column = {
        key: weights[f"{name}.{key}"].view(1, -1, 1, 1) for key in ("weight", "bias", "running_mean", "running_var")
    }
    return (x - column["running_mean"]) / (column["running_var"] + 1e-5).sqrt() * column["weight"] + column["bias"]


def pconv_channels(width: int, depth: int) -> list[int]:
    return [3, *(width * min(2**level, 8) for level in range(depth))]


def naoto_weights(depth: int, width: int) -> RandomWeights:
    weights, channels = RandomWeights(1), pconv_channels(width, depth)
    for level in range(1, depth + 1):
        kernel = {1: 7, 2: 5, 3: 5}.get(level, 3)
        for half, outputs, inputs, k in (
            ("enc", channels[level], channels[level - 1], kernel),
            ("dec", channels[level - 1], channels[level] + channels[level - 1], 3),
        ):
            name = f"{half}_{level}.conv.input_conv"
            weights.convolution(name, outputs, inputs, k, bias=(half, level) == ("dec", 1))
            # Their convolution is divided by the number of valid values, so trained weights are that much larger.
            weights[f"{name}.weight"] *= inputs * k * k
            weights[f"{half}_{level}.conv.mask_conv.weight"] = torch.ones(outputs, inputs, k, k)
            if level > 1:
                weights.batch_norm(f"{half}_{level}.bn", outputs)
    weights["dec_1.conv.input_conv.weight"] *= 0.01
    return weights


def naoto_forward(weights, image, mask, depth):
    """In ImageNet's normalization. The convolution's sum is divided by the number of valid values in the window."""

    def step(name, features, valid, stride):
        weight = weights[f"{name}.conv.input_conv.weight"]
        bias = weights.get(f"{name}.conv.input_conv.bias")
        padding = weight.shape[-1] // 2
        raw = F.conv2d(features * valid, weight, None, stride, padding)
        total = F.conv2d(valid, weights[f"{name}.conv.mask_conv.weight"], None, stride, padding)
        output = raw / total.clamp(min=1) + (0 if bias is None else bias.view(1, -1, 1, 1))
        output = output * (total > 0)
        if f"{name}.bn.weight" in weights:
            output = norm(weights, f"{name}.bn", output)
        return output, (total > 0).float()

    features, valid = (image - IMAGENET_MEAN) / IMAGENET_STD, (1 - mask).expand_as(image)
    return _u_net(step, features, valid, depth) * IMAGENET_STD + IMAGENET_MEAN


def _u_net(step, features, valid, depth):
    skips = []
    for level in range(1, depth + 1):
        skips.append((features, valid))
        features, valid = step(f"enc_{level}", features, valid, 2)
        features = F.relu(features)
    for level in range(depth, 0, -1):
        skip, skip_valid = skips.pop()
        features = torch.cat([features.repeat_interleave(2, 2).repeat_interleave(2, 3), skip], 1)
        valid = torch.cat([valid.repeat_interleave(2, 2).repeat_interleave(2, 3), skip_valid], 1)
        features, valid = step(f"dec_{level}", features, valid, 1)
        if level > 1:
            features = F.leaky_relu(features, 0.2)
    return features


def tanimutomo_weights(width: int) -> RandomWeights:
    weights, channels = RandomWeights(2), pconv_channels(width, 8)
    for level in range(1, 9):
        kernel = {1: 7, 2: 5, 3: 5}.get(level, 3)
        weights.convolution(f"enc_{level}.conv", channels[level], channels[level - 1], kernel, bias=False)
        inputs = channels[level] + channels[level - 1]
        weights.convolution(f"dec_{level}.conv", channels[level - 1], inputs, 3, bias=level == 1)
    weights["dec_1.conv.weight"] *= 0.02
    return weights


def tanimutomo_forward(weights, image, mask):
    """In 0..1, seven of eight levels, no normalization, the last layer's ratio where its update mask should be."""

    def step(name, features, valid, stride):
        weight, bias = weights[f"{name}.conv.weight"], weights.get(f"{name}.conv.bias")
        padding = weight.shape[-1] // 2
        output, update = dense_mask_convolution(features, valid, weight, torch.ones_like(weight), None, stride, padding)
        if bias is not None:
            total = F.conv2d(valid, torch.ones_like(weight), None, stride, padding)
            ratio = weight[0].numel() / total.clamp(min=1) * (total > 0)
            output = (output + bias.view(1, -1, 1, 1)) * ratio
        return output, update

    return _u_net(step, image, (1 - mask).expand_as(image), 7)


GLCIC_WIDTHS = (1, 2, 2, 4, 4, 4, 4, 4, 4, 4, 4, 4, 2, 2, 1, 0.5)


def glcic_name(number: int) -> str:
    return f"deconv{number}" if number in (13, 15) else f"conv{number}"


def glcic_weights(inputs: int, width: int) -> RandomWeights:
    weights = RandomWeights(3)
    for number, factor in enumerate(GLCIC_WIDTHS, start=1):
        outputs, transposed = int(width * factor), number in (13, 15)
        kernel = 5 if number == 1 else 4 if transposed else 3
        weights.convolution(glcic_name(number), outputs, inputs, kernel, bias=True, transposed=transposed)
        weights.batch_norm(f"bn{number}", outputs)
        inputs = outputs
    weights.convolution("conv17", 3, inputs, 3, bias=True)
    return weights


def glcic_forward(weights, filled, mask):
    features = torch.cat([filled, mask], 1)[:, : weights["conv1.weight"].shape[1]]
    for number in range(1, 17):
        if number in (13, 15):
            features = deconv(weights, glcic_name(number), features)
        else:
            dilation = {7: 2, 8: 4, 9: 8, 10: 16}.get(number, 1)
            options = {
                "stride": 2 if number in (2, 4) else 1,
                "padding": 2 if number == 1 else dilation,
                "dilation": dilation,
            }
            features = conv(weights, glcic_name(number), features, **options)
        features = norm(weights, f"bn{number}", F.relu(features))
    return torch.sigmoid(conv(weights, "conv17", features, padding=1))


def landscape_unet_weights(width: int) -> RandomWeights:
    weights = RandomWeights(4)
    for name, inputs, outputs in (
        ("encoder1.0", 6, width),
        ("encoder1.2", width, width),
        ("encoder2.1", width, 2 * width),
        ("encoder2.3", 2 * width, 2 * width),
        ("encoder3.1", 2 * width, 4 * width),
        ("encoder3.3", 4 * width, 4 * width),
        ("bottle_neck.1", 4 * width, 4 * width),
        ("decoder1.1", 8 * width, 2 * width),
        ("decoder1.3", 2 * width, 2 * width),
        ("decoder2.1", 4 * width, width),
        ("decoder2.3", width, width),
        ("decoder3.1", 2 * width, 3),
    ):
        weights.convolution(name, outputs, inputs, 3, bias=True)
    return weights


def landscape_unet_forward(weights, filled, mask):
    def layer(name, x):
        return conv(weights, name, x, padding=1)

    def double(x):
        return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)

    x = torch.cat([mask, mask, mask, filled], 1)
    first = layer("encoder1.2", F.relu(layer("encoder1.0", x)))
    second = layer("encoder2.3", F.relu(layer("encoder2.1", F.relu(F.max_pool2d(first, 2)))))
    third = layer("encoder3.3", F.relu(layer("encoder3.1", F.relu(F.max_pool2d(second, 2)))))
    x = layer("bottle_neck.1", F.relu(F.max_pool2d(third, 2)))
    x = layer("decoder1.3", F.relu(layer("decoder1.1", F.relu(torch.cat([double(x), third], 1)))))
    x = layer("decoder2.3", F.relu(layer("decoder2.1", F.relu(torch.cat([double(x), second], 1)))))
    return torch.tanh(layer("decoder3.1", F.relu(torch.cat([double(x), first], 1))))


def landscape_encoder_decoder_weights(width: int, pooling: bool = False) -> RandomWeights:
    weights, inputs, step = RandomWeights(5), 6, 4 if pooling else 3
    for half, factors in (("encoder", (1, 2, 4)), ("decoder", (2, 1, 0))):
        for index, factor in enumerate(factors):
            outputs = width * factor or 3
            weights.convolution(f"{half}.{step * index}", outputs, inputs, 3, bias=True)
            if factor:
                weights.batch_norm(f"{half}.{step * index + 1}", outputs)
            inputs = outputs
    weights[f"decoder.{2 * step}.weight"] *= 0.05
    weights[f"decoder.{2 * step}.bias"].fill_(0.5)
    return weights


def landscape_encoder_decoder_forward(weights, filled, mask):
    x = torch.cat([mask, mask, mask, filled], 1)
    for half in ("encoder", "decoder"):
        for index in range(3):
            x = conv(weights, f"{half}.{3 * index}", x, padding=1)
            if f"{half}.{3 * index + 1}.weight" in weights:
                x = norm(weights, f"{half}.{3 * index + 1}", x)
            if (half, index) not in (("encoder", 2), ("decoder", 2)):
                x = F.relu(x)
    return x.clamp(0, 1)


def landscape_pooled_encoder_decoder_weights(width: int) -> RandomWeights:
    return landscape_encoder_decoder_weights(width, pooling=True)


def landscape_pooled_encoder_decoder_forward(weights, filled, mask):
    def layer(name, x):
        return conv(weights, name, x, padding=1)

    x = torch.cat([mask, mask, mask, filled], 1)
    x = F.max_pool2d(F.relu(norm(weights, "encoder.1", layer("encoder.0", x))), 2)
    x = F.max_pool2d(F.relu(norm(weights, "encoder.5", layer("encoder.4", x))), 2)
    x = F.relu(norm(weights, "encoder.9", layer("encoder.8", x)))
    for position in (0, 4):
        x = F.relu(norm(weights, f"decoder.{position + 1}", layer(f"decoder.{position}", x)))
        x = x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    return torch.tanh(layer("decoder.8", x))


def pix2pix_unet_weights(
    depth: int, width: int, inputs: int, batch: bool, old_statistics: bool = False
) -> RandomWeights:
    weights = RandomWeights(6)
    channels = [width * min(2**level, 8) for level in range(depth)]

    def layer_norm(name, count):
        if batch:
            weights.batch_norm(name, count)
        elif old_statistics:
            weights.statistics(name, count, counted=False)

    weights.convolution("model.model.0", channels[0], inputs, 4, bias=not batch)
    prefix = "model.model.1.model"
    for level in range(1, depth):
        below, innermost = channels[level - 1], level == depth - 1
        up, after = (3, 4) if innermost else (5, 6)
        weights.convolution(f"{prefix}.1", channels[level], below, 4, bias=not batch)
        if not innermost:
            layer_norm(f"{prefix}.2", channels[level])
        merged = channels[level] * (1 if innermost else 2)
        weights.convolution(f"{prefix}.{up}", below, merged, 4, bias=not batch, transposed=True)
        layer_norm(f"{prefix}.{after}", below)
        prefix += ".3.model"
    weights.convolution("model.model.3", 3, 2 * channels[0], 4, bias=True, transposed=True)
    return weights


def pix2pix_unet_forward(weights, frames, depth):
    def block(prefix, level, x):
        """The output of a nested block to its parent: its input concatenated with its output."""
        inner = conv(weights, f"{prefix}.1", F.leaky_relu(x, 0.2), stride=2, padding=1)
        if level == depth - 1:
            inner = norm(weights, f"{prefix}.4", deconv(weights, f"{prefix}.3", F.relu(inner)))
        else:
            inner = block(f"{prefix}.3.model", level + 1, norm(weights, f"{prefix}.2", inner))
            inner = norm(weights, f"{prefix}.6", deconv(weights, f"{prefix}.5", F.relu(inner)))
        return torch.cat([x, inner], 1)

    x = conv(weights, "model.model.0", frames, stride=2, padding=1)
    return torch.tanh(deconv(weights, "model.model.3", F.relu(block("model.model.1.model", 1, x))))


def pix2pix_resnet_weights(blocks: int, width: int, inputs: int, batch: bool, dropout: bool) -> RandomWeights:
    weights = RandomWeights(7)

    def pair(convolution, after, outputs, inputs, kernel, transposed=False):
        weights.convolution(f"model.{convolution}", outputs, inputs, kernel, bias=not batch, transposed=transposed)
        if batch:
            weights.batch_norm(f"model.{after}", outputs)

    pair(1, 2, width, inputs, 7)
    pair(4, 5, 2 * width, width, 3)
    pair(7, 8, 4 * width, 2 * width, 3)
    second = 6 if dropout else 5
    for index in range(10, 10 + blocks):
        pair(f"{index}.conv_block.1", f"{index}.conv_block.2", 4 * width, 4 * width, 3)
        pair(f"{index}.conv_block.{second}", f"{index}.conv_block.{second + 1}", 4 * width, 4 * width, 3)
    after = 10 + blocks
    pair(after, after + 1, 2 * width, 4 * width, 3, transposed=True)
    pair(after + 3, after + 4, width, 2 * width, 3, transposed=True)
    weights.convolution(f"model.{after + 7}", 3, width, 7, bias=True)
    weights[f"model.{after + 7}.weight"] *= 0.02 if batch else 1.0
    return weights


def pix2pix_resnet_forward(weights, frames, blocks, dropout):
    def mirrored(name, x, margin):
        return conv(weights, name, F.pad(x, (margin,) * 4, mode="reflect"))

    x = F.relu(norm(weights, "model.2", mirrored("model.1", frames, 3)))
    for convolution in (4, 7):
        x = F.relu(
            norm(weights, f"model.{convolution + 1}", conv(weights, f"model.{convolution}", x, stride=2, padding=1))
        )
    second = 6 if dropout else 5
    for index in range(10, 10 + blocks):
        name = f"model.{index}.conv_block"
        inner = F.relu(norm(weights, f"{name}.2", mirrored(f"{name}.1", x, 1)))
        x = x + norm(weights, f"{name}.{second + 1}", mirrored(f"{name}.{second}", inner, 1))
    for convolution in (10 + blocks, 13 + blocks):
        x = deconv(weights, f"model.{convolution}", x, output_padding=1)
        x = F.relu(norm(weights, f"model.{convolution + 1}", x))
    return torch.tanh(mirrored(f"model.{17 + blocks}", x, 3))
