"""Feature extractors for perceptual and style losses: a frozen VGG, cut after its first three stages.

Two layouts of weights are supported, both plain numbered sequences: torchvision's VGG-16 (`features.0.weight`, ...),
from torchvision itself or from a safetensors file, and the normalized VGG-19 encoder of Universal Style Transfer (Li et
al. 2017, arXiv 1705.08086), whose first layer is a 1x1 convolution that prepares the colors.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..checkpoints.formats import identify_foreign
from ..checkpoints.inpainting_model import IMAGENET_MEAN, IMAGENET_STD
from ..text import one_line

VGG16_CONVOLUTIONS = (0, 2, 5, 7, 10, 12, 14)
VGG16_POOLS = (4, 9, 16)
REAL_NUMBERS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
NORMALIZED_STAGES = ((2, 5), (9, 12), (16,))


class FeaturesError(ValueError):
    """A feature extractor cannot be loaded; the message is one line that states what is missing and what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


class FeatureExtractor(nn.Module):
    """Pictures `[B,3,H,W]` in 0..1 to the feature maps of three stages, finest first.

    Frozen: its weights never change and get no gradients; gradients flow through to the pictures.

    Parameters
    ----------
    stages
        Convolutions of each stage, each followed by a ReLU.
    mean, std
        Mean and standard deviation for normalizing the pictures, RGB.
    before
        A 1x1 convolution applied first, or None.
    reflect
        Pad by reflection instead of zeros.
    pool_before
        Pool before every stage but the first, and take features from the last ReLU; otherwise pool after every stage,
        and take features from the pooling (pool1 to pool3, as in the partial-convolution paper).
    """

    def __init__(
        self,
        stages: list[list[nn.Conv2d]],
        *,
        mean: tuple[float, float, float] = (0.0, 0.0, 0.0),
        std: tuple[float, float, float] = (1.0, 1.0, 1.0),
        before: nn.Conv2d | None = None,
        reflect: bool = False,
        pool_before: bool = False,
    ) -> None:
        super().__init__()
        self.stages = nn.ModuleList(nn.ModuleList(stage) for stage in stages)
        self.before = before
        self._reflect = reflect
        self._pool_before = pool_before
        self.register_buffer("_mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("_std", torch.tensor(std).view(1, 3, 1, 1))
        self.requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> FeatureExtractor:
        """Always stays in evaluation mode."""
        return self

    def forward(self, image: Tensor) -> list[Tensor]:
        """Compute the feature maps of pictures; see the class."""
        features = (image - self.get_buffer("_mean")) / self.get_buffer("_std")
        if self.before is not None:
            features = self.before(features)
        found = []
        for number, stage in enumerate(self.stages):
            if self._pool_before and number:
                features = F.max_pool2d(features, 2)
            for convolution in stage.children():
                if self._reflect:
                    features = F.pad(features, (1, 1, 1, 1), mode="reflect")
                features = F.relu(convolution(features))
            if not self._pool_before:
                features = F.max_pool2d(features, 2)
            found.append(features)
        return found


def load_features(path: str | os.PathLike[str]) -> FeatureExtractor:
    """A feature extractor from a local safetensors file.

    Raises
    ------
    FeaturesError
        No such file, damaged, or another layout.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    source = Path(path)
    if not source.is_file():
        raise FeaturesError(f"{source}: no such VGG weights file")
    foreign = identify_foreign(source)
    if foreign is not None:
        raise FeaturesError(f"{source.name}: this is {foreign}; VGG weights must be a .safetensors file")
    try:
        weights = load_file(source)
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:  # including unknown number types
        raise FeaturesError(f"{source.name}: damaged or not safetensors ({error})") from None
    return features_from_weights(weights, source.name)


def download_vgg16() -> FeatureExtractor:
    """torchvision's VGG-16, downloaded on first use (528 MB into torch's cache).

    Raises
    ------
    FeaturesError
        torchvision is not installed, or the download failed.
    """
    try:
        from torchvision.models import VGG16_Weights, vgg16
    except ImportError:
        raise FeaturesError(
            "VGG-16 requires torchvision, which is not installed: pip install torchvision, or use a safetensors file"
        ) from None
    try:
        network = vgg16(weights=VGG16_Weights.IMAGENET1K_V1)
    except OSError as error:
        raise FeaturesError(f"VGG-16 could not be downloaded ({error}): try again, or use a safetensors file") from None
    return features_from_weights(network.state_dict(), "torchvision's VGG-16")


def features_from_weights(weights: Mapping[str, Tensor], name: str) -> FeatureExtractor:
    """A feature extractor from a state dict of one of the two layouts.

    Raises
    ------
    FeaturesError
        Another layout; the message contains `name`.
    """
    plain = {key.removeprefix("features."): value for key, value in weights.items()}
    first = plain.get("0.weight")
    # In ComfyUI's inference mode, parameters would become inference tensors, and nothing could be trained through them.
    with torch.inference_mode(False):
        try:
            if first is not None and tuple(first.shape) == (3, 3, 1, 1):
                stages = [[_convolution(plain, index, 0) for index in stage] for stage in NORMALIZED_STAGES]
                _check_chain(stages)
                return FeatureExtractor(stages, before=_convolution(plain, 0, 0), reflect=True, pool_before=True)
            if first is not None and tuple(first.shape) == (64, 3, 3, 3):
                bounds = (0, *VGG16_POOLS)
                groups = [
                    [index for index in VGG16_CONVOLUTIONS if low <= index < high] for low, high in pairwise(bounds)
                ]
                stages = [[_convolution(plain, index, 1) for index in group] for group in groups]
                _check_chain(stages)
                return FeatureExtractor(stages, mean=IMAGENET_MEAN, std=IMAGENET_STD)
        except KeyError as error:
            raise FeaturesError(f"{name}: the VGG weights lack layer {error}") from None
        except ValueError as error:
            raise FeaturesError(f"{name}: {error}; copy or download the file again") from None
    raise FeaturesError(f"{name}: neither torchvision's VGG-16 nor the normalized VGG-19 encoder")


def _convolution(weights: Mapping[str, Tensor], index: int, padding: int) -> nn.Conv2d:
    """A layer with its own float32 copy of the weights.

    Raises
    ------
    KeyError
        There is no such layer.
    ValueError
        Its weights do not belong to a convolution, are not floating point, or are not finite.
    """
    weight, bias = weights[f"{index}.weight"], weights[f"{index}.bias"]
    for name, tensor in (("weight", weight), ("bias", bias)):
        if tensor.dtype not in REAL_NUMBERS:
            kind = str(tensor.dtype).removeprefix("torch.")
            raise ValueError(f"layer {index}: its {name} is stored as {kind}, not as floating-point numbers")
        if not bool(torch.isfinite(tensor.float()).all()):
            raise ValueError(f"layer {index}: its {name} holds NaN or infinity")
    square = weight.ndim == 4 and weight.shape[2] == weight.shape[3] == (1 if padding == 0 and index == 0 else 3)
    if not square or tuple(bias.shape) != (weight.shape[0],):
        raise ValueError(
            f"layer {index}: {list(weight.shape)} and {list(bias.shape)} are not the shapes of a VGG layer"
        )
    layer = nn.Conv2d(weight.shape[1], weight.shape[0], weight.shape[2], padding=padding, device="meta")
    layer.weight, layer.bias = nn.Parameter(weight.float().clone()), nn.Parameter(bias.float().clone())
    return layer


def _check_chain(stages: Sequence[Sequence[nn.Conv2d]]) -> None:
    """Reject layers whose input channels do not match the output channels of the layer before."""
    layers = [layer for stage in stages for layer in stage]
    for before, after in pairwise(layers):
        if after.in_channels != before.out_channels:
            raise ValueError(
                f"a layer reads {after.in_channels} channels, but the one before writes {before.out_channels}"
            )
    if layers[0].in_channels != 3:
        raise ValueError(f"its first layer reads {layers[0].in_channels} channels, not 3")
