"""The inference form of a model, which gives the same pictures faster. The original is for training, saving and
comparing."""

from __future__ import annotations

import copy
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ..models.architecture import Network
from ..models.evaluation_mode import evaluation_mode
from ..models.pconv_unet import PConvUNet
from ..models.pconv_unet_inference import PConvUNetInference
from ..models.registry import find_architecture
from .inpainting_model import InpaintingModel, to_range
from .translation_model import TranslationModel

Model = TypeVar("Model", InpaintingModel, TranslationModel)

TOLERANCE = 1 / 255
"""Maximum difference in 0..1 that reduced precision may cause on the probes: half of the documented tolerance."""
UNITS = {"unit": 1.0, "signed": 0.5, "imagenet": 0.229}
"""The largest change in 0..1 that a change of 1 in a network's value range can cause."""
PROBE_SIDE = 256


def optimize(model: Model, *, compiled: bool = False) -> Model:
    """Make the inference form of a model.

    Batch normalization is folded into the convolutions, memory is laid out channels_last, and where the device
    multiplies faster in bfloat16 (CPUs with AVX512-BF16 or AMX) or float16 (CUDA GPUs since Volta), that precision is
    used if it changes the output by less than `TOLERANCE` on probe pictures. Partial convolutions are rewritten; see
    `PConvUNetInference`.

    Parameters
    ----------
    model
        Not changed. The form is optimized for its device.
    compiled
        Compile with `torch.compile` as well: needs a C++ compiler, and takes minutes for the first picture.

    Returns
    -------
    InpaintingModel or TranslationModel
        Another model with the same card, for inference only: it cannot be trained or saved. Input and output are
        float32. Its output differs from the original's by less than 2/255, and only by rounding if float32 is kept.
    """
    network = model.network
    dtype = torch.float32 if network.exact else fast_dtype(model.device)
    with torch.inference_mode(False), torch.no_grad(), evaluation_mode(network):
        chosen = inference_form(network, dtype)
        if dtype != torch.float32:
            probe = probe_inputs(model)
            difference = float((chosen(*probe) - network(*probe)).abs().max()) * UNITS[model.card.value_range]
            # Not inverted, so that NaN counts as a disagreement.
            if not difference <= TOLERANCE:
                chosen = inference_form(network, torch.float32)
    if compiled:
        chosen.compile(dynamic=True)
    return type(model)(model.card, chosen.eval())


def fast_dtype(device: torch.device) -> torch.dtype:
    """The precision in which a device computes convolutions fastest."""
    if device.type == "cuda":
        return torch.float16 if torch.cuda.get_device_capability(device) >= (7, 0) else torch.float32
    # These two are private in torch; if they are renamed, float32 is a safe default.
    checks = [getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported")]
    if device.type == "cpu" and any(check is not None and check() for check in checks):
        return torch.bfloat16
    return torch.float32


def inference_form(network: Network, dtype: torch.dtype) -> Network:
    """A network's inference form that computes in one precision and shares nothing with the original."""
    if isinstance(network, PConvUNet):
        foldable = all(isinstance(block.norm, (nn.BatchNorm2d, nn.Identity)) for block in network.encoder)
        if foldable:
            return PConvUNetInference(network, dtype)
    return FoldedNetwork(network, dtype)


class FoldedNetwork(Network):
    """A copy of a network with batch normalization folded, laid out for speed, in one precision; float32 in and out.

    Parameters
    ----------
    network
        In evaluation mode; not changed.
    dtype
        Precision to compute in.
    """

    def __init__(self, network: Network, dtype: torch.dtype) -> None:
        super().__init__()
        self.multiple, self.minimum, self.uses_previous = network.multiple, network.minimum, network.uses_previous
        self.dtype = dtype
        folded = copy.deepcopy(network).eval().requires_grad_(False)
        fold_batch_norm(folded)
        # torch converts channels_last back for instance normalization, which it computes channel by channel.
        by_channel = any(isinstance(module, nn.InstanceNorm2d) for module in folded.modules())
        self.layout = torch.contiguous_format if by_channel else torch.channels_last
        self.network: Network = folded.to(dtype=dtype, memory_format=self.layout)  # type: ignore[call-overload]

    def without_copied_detail(self) -> FoldedNetwork:
        """See `Network.without_copied_detail`."""
        plain = copy.copy(self)
        plain._modules = {"network": self.network.without_copied_detail()}
        return plain

    @torch.no_grad()
    def forward(self, *inputs: Tensor, **options: Any) -> Tensor:
        """Run the network; arguments and result as in its own `forward`."""
        laid_out = (tensor.to(dtype=self.dtype, memory_format=self.layout) for tensor in inputs)
        return self.network(*laid_out, **options).to(torch.float32, memory_format=torch.contiguous_format)


def fold_batch_norm(network: nn.Module) -> None:
    """Fold every batch normalization that directly follows a convolution in an `nn.Sequential` into it, in place."""
    for parent in network.modules():
        if not isinstance(parent, nn.Sequential):
            continue
        for index in range(1, len(parent)):
            norm, owner, place = parent[index], parent, index - 1
            while isinstance(owner[place], nn.Sequential):
                owner, place = cast(nn.Sequential, owner[place]), len(cast(nn.Sequential, owner[place])) - 1
            convolution = owner[place]
            # A partial convolution scales its sums before the normalization.
            if isinstance(norm, nn.BatchNorm2d) and type(convolution) in (nn.Conv2d, nn.ConvTranspose2d):
                owner[place] = fuse_conv_bn_eval(
                    cast(nn.Conv2d, convolution), norm, transpose=isinstance(convolution, nn.ConvTranspose2d)
                )
                parent[index] = nn.Identity()


def probe_inputs(model: InpaintingModel | TranslationModel) -> tuple[Tensor, ...]:
    """Inputs for comparing precisions: a picture with smooth and rough parts, and white noise; with holes of two sizes,
    and one that touches the picture's edge, where windows contain few known pixels."""
    generator = torch.Generator().manual_seed(0)
    side = max(-(-PROBE_SIDE // model.network.multiple) * model.network.multiple, model.network.minimum)
    architecture = find_architecture(model.card.architecture)
    channels = architecture.input_channels(architecture.complete(model.card.arguments))
    natural = torch.zeros(1, channels, side, side)
    for octave in range(1, 7):
        noise = torch.randn(1, channels, 2**octave, 2**octave, generator=generator)
        natural += F.interpolate(noise, (side, side), mode="bilinear") / octave
    white = torch.rand(1, channels, side, side, generator=generator)
    image = torch.cat([torch.sigmoid(natural), white]).to(model.device)
    if isinstance(model, TranslationModel):
        return (to_range(image, model.card.value_range),)
    scattered = (torch.rand(2, 1, 32, 32, generator=generator) < 0.3).float()
    mask = F.interpolate(scattered, (side, side), mode="nearest-exact")
    mask[0, :, : side // 2, : side // 2] = 0
    mask[0, :, side // 8 : side // 2, side // 8 : side // 2] = 1
    mask[1, :, side // 4 : side // 2, side // 2 :] = 1
    mask = mask.to(model.device)
    return model.prepare(image, mask), mask
