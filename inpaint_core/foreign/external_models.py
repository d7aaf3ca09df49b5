"""LaMa, MAT and other inpainting models supported by spandrel, as Completers, if spandrel is installed."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn

from ..checkpoints.files import CARD_KEY, PICKLE_SUFFIXES, CheckpointError
from ..checkpoints.inference_form import fold_batch_norm
from ..checkpoints.inpainting_model import fill_hole
from ..files.atomic import write_bytes
from ..models.padding import crop_padding, pad_to_multiple
from ..randomness import isolated_randomness
from .reading import is_torchscript, read_weights

SEED = 0  # these networks use the global random state: MAT for its noise, and all of them in their constructors
GRAY = (0.5, 0.5, 0.5)
EXTERNAL_FAMILIES: dict[str, Callable[[Collection[str]], bool]] = {
    "LaMa": lambda keys: any(".ffc.convl2l.weight" in key for key in keys),
    "MAT": lambda keys: any(key.endswith("conv_first.conv.resample_filter") for key in keys),
}
"""How the weights of third-party networks loaded by spandrel are recognized."""
TRAINED_SIZES = {"LaMa": 256, "MAT": 512}  # training size of the published weights


class ExternalModel:
    """A Completer around a spandrel descriptor.

    Parameters
    ----------
    descriptor
        What spandrel's loader returns for a model that takes an image and a mask.
    name
        Name for display.
    """

    def __init__(self, descriptor: Any, name: str) -> None:
        self.name = name
        self.network: nn.Module = descriptor.model.eval().to(memory_format=torch.channels_last)
        fold_fourier_convolutions(self.network)
        self._descriptor = descriptor
        sizes = getattr(descriptor, "size_requirements", None)
        self.multiple = int(getattr(sizes, "multiple_of", 1) or 1)
        self.minimum = int(getattr(sizes, "minimum", 0) or 1)
        self.square = bool(getattr(sizes, "square", False))
        self.trained_size = TRAINED_SIZES.get(getattr(getattr(descriptor, "architecture", None), "id", ""), 256)

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return next(self.network.parameters()).device

    def to(self, device: torch.device | str) -> ExternalModel:
        """Move the weights; returns the model itself."""
        self.network.to(device)
        return self

    @torch.no_grad()
    def complete(self, image: Tensor, mask: Tensor) -> Tensor:
        """Predict the whole picture.

        Parameters
        ----------
        image
            [B,3,H,W] in 0..1, any size from 1x1; the contents of the hole are ignored.
        mask
            [B,1,H,W], exactly 0 or 1, 1 = hole.

        Returns
        -------
        Tensor
            [B,3,H,W] in 0..1 on the input's device.
        """
        device = self.device
        mask = mask.to(device, torch.float32)
        filled = fill_hole(image.to(device, torch.float32), mask, GRAY)
        min_side = max(self.minimum, *image.shape[-2:]) if self.square else self.minimum
        padded, window = pad_to_multiple(filled, self.multiple, min_side)
        padded_mask, _ = pad_to_multiple(mask, self.multiple, min_side)
        outputs = []
        for i in range(len(padded)):  # spandrel's descriptors accept one picture at a time
            with isolated_randomness(SEED, device):
                outputs.append(self._descriptor(padded[i : i + 1], padded_mask[i : i + 1]))
        return crop_padding(torch.cat(outputs).float(), window).clamp(0.0, 1.0).to(image.device)


@torch.no_grad()
def fold_fourier_convolutions(network: nn.Module) -> None:
    """Fold the batch normalization of LaMa's fast Fourier convolutions into their weights, in place.

    A layer's local half is the sum of two convolutions, its global half that of a convolution and of a spectral
    transform that ends in one (Chi et al. 2020, "Fast Fourier Convolution", section 3.2; Suvorov et al. 2022, arXiv
    2109.07161). Other networks have no such layers and are not changed.
    """
    for module in network.modules():
        kind = type(module).__name__
        if kind == "FFC_BN_ACT" and not getattr(module.ffc, "gated", True):
            ffc: Any = module.ffc
            _fold(module, "bn_l", [ffc.convl2l, ffc.convg2l])
            _fold(module, "bn_g", [ffc.convl2g, getattr(ffc.convg2g, "conv2", ffc.convg2g)])
        elif kind == "FourierUnit":
            _fold(module, "bn", [module.conv_layer])
    fold_batch_norm(network)


def _fold(owner: nn.Module, name: str, summed: list[Any]) -> None:
    norm = getattr(owner, name, None)
    convolutions = [module for module in summed if isinstance(module, nn.Conv2d)]
    if not isinstance(norm, nn.BatchNorm2d) or norm.running_mean is None or norm.running_var is None:
        return
    if not convolutions or any(convolution.bias is not None for convolution in convolutions):
        return
    scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    for convolution in convolutions:
        convolution.weight.mul_(scale.view(-1, 1, 1, 1))
    convolutions[0].bias = nn.Parameter(norm.bias - norm.running_mean * scale, requires_grad=False)
    setattr(owner, name, nn.Identity())


def is_external(path: str | os.PathLike[str]) -> bool:
    """Whether `load_external_model` should load a file: it is not one of ours, and spandrel is installed.

    Ours are the safetensors files with a card. Damaged and missing files are left to `load_model`, which reports them.
    """
    source = Path(path)
    if importlib.util.find_spec("spandrel") is None or not source.is_file():
        return False
    if source.suffix.lower() != ".safetensors":
        return source.suffix.lower() in PICKLE_SUFFIXES
    try:
        with safe_open(source, framework="pt") as file:
            return CARD_KEY not in (file.metadata() or {})
    except SafetensorError:
        return False


def load_external_model(path: str | os.PathLike[str], device: torch.device | str = "cpu") -> ExternalModel:
    """Load a public inpainting model supported by spandrel.

    Parameters
    ----------
    path
        `.safetensors`; or `.pth`, `.ckpt` and `.pt`, from which only tensors are read; or a TorchScript `.pt` such as
        big-lama.pt, which is a program: torch opens it to read its weights without running it, but open only files that
        you trust.
    device
        Device for the weights.

    Raises
    ------
    CheckpointError
        spandrel is not installed, the file is damaged or rejected, or it is not an inpainting model that spandrel
        supports.
    """
    source = Path(path)
    try:
        import spandrel
    except ImportError as error:
        raise CheckpointError(
            f"{source.name}: third-party models need spandrel ({error}); install it with: pip install spandrel"
        ) from None
    _register_extra_architectures()
    weights = _read(source)
    loader = spandrel.ModelLoader(device=torch.device(device))
    unsupported = getattr(spandrel, "UnsupportedModelError", ValueError)
    try:
        with isolated_randomness(SEED, torch.device("cpu")):
            descriptor = loader.load_from_state_dict(weights)
    except (unsupported, RuntimeError, KeyError) as error:
        # Only the first line: torch lists every mismatched name.
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:160]
        raise CheckpointError(
            f"{source.name}: spandrel does not support this model ({reason}); convert other public checkpoints with: "
            f"python -m inpaint_core convert"
        ) from None
    # The class name has not changed since spandrel 0.1.
    if not isinstance(descriptor, getattr(spandrel, "MaskedImageModelDescriptor", ())):
        raise CheckpointError(f"{source.name}: spandrel supports this model, but it is not an inpainting model")
    return ExternalModel(descriptor, source.stem)


def store_as_safetensors(source: Path, target: Path) -> str | None:
    """Write the unchanged weights of a LaMa or MAT model to a file that nodes can open.

    Parameters
    ----------
    source
        As for `load_external_model`.
    target
        A `.safetensors` file; replaced once the new one is complete.

    Returns
    -------
    str or None
        Which of them it is; None for any other file, in which case nothing is written.

    Raises
    ------
    CheckpointError
        The file cannot be read.
    """
    weights = _read(source)
    family = next((name for name, is_one in EXTERNAL_FAMILIES.items() if is_one(weights)), None)
    if family is not None:
        write_bytes(target, save({key: value.detach().clone().contiguous() for key, value in weights.items()}))
    return family


def _register_extra_architectures() -> None:
    # MAT's license is non-commercial, so it is in a separate package.
    try:
        import spandrel_extra_arches as extra
    except ImportError:
        return
    extra.install(ignore_duplicates=True)


def _read(source: Path) -> dict[str, Tensor]:
    if not source.is_file():
        raise CheckpointError(f"{source}: no such model file")
    if source.suffix.lower() == ".safetensors":
        try:
            return load_file(source)
        except SafetensorError as error:
            raise CheckpointError(f"{source.name}: the file is damaged or not safetensors ({error})") from None
    if is_torchscript(source):
        try:
            return torch.jit.load(source, map_location="cpu").state_dict()
        except RuntimeError as error:
            reason = (str(error).strip() or "TorchScript").splitlines()[0][:160]
            raise CheckpointError(f"{source.name}: damaged, or made by another version of torch ({reason})") from None
    return read_weights(source)[0]
