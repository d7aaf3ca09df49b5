"""Third-party models through spandrel: always with a stand-in, and with the real one if it is installed."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import sys
import types
from dataclasses import dataclass

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from inpaint_core import CheckpointError, inpaint, save_model
from inpaint_core.checkpoints.card import ModelCard
from inpaint_core.checkpoints.inpainting_model import InpaintingModel
from inpaint_core.foreign.completers import open_completer
from inpaint_core.foreign.external_models import (
    ExternalModel,
    fold_fourier_convolutions,
    is_external,
    load_external_model,
)
from inpaint_core.models import build_model


class Network(nn.Module):
    """Writes noise into holes, as MAT does, and draws in its constructor, as all do."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.randn(3))

    def forward(self, image, mask):
        return image * (1 - mask) + mask * (torch.rand(image.shape) + self.bias.view(1, 3, 1, 1))


@dataclass
class Sizes:
    minimum: int = 0
    multiple_of: int = 1
    square: bool = False


class MaskedImageModelDescriptor:
    def __init__(self, sizes) -> None:
        self.model = Network()
        self.seen: list[torch.Size] = []
        if sizes is not None:
            self.size_requirements = sizes

    def __call__(self, image, mask):
        assert mask.shape == (1, 1, *image.shape[-2:])
        self.seen.append(image.shape)
        return self.model(image, mask)


@pytest.fixture
def spandrel(monkeypatch):
    """A stand-in for the part of spandrel's interface that has existed since 0.1."""
    module = types.ModuleType("spandrel")
    module.MaskedImageModelDescriptor = MaskedImageModelDescriptor
    module.UnsupportedModelError = type("UnsupportedModelError", (Exception,), {})
    module.sizes = Sizes()
    module.made = []

    class ModelLoader:
        def __init__(self, device):
            self.device = device

        def load_from_state_dict(self, weights):
            if "upscaler" in weights:
                return object()
            if "bias" not in weights:
                raise module.UnsupportedModelError
            descriptor = MaskedImageModelDescriptor(module.sizes)
            descriptor.model.load_state_dict(weights)
            module.made.append(descriptor)
            return descriptor

    module.ModelLoader = ModelLoader
    monkeypatch.setitem(sys.modules, "spandrel", module)
    monkeypatch.setitem(sys.modules, "spandrel_extra_arches", None)
    return module


def file(folder, name="model.safetensors", **weights):
    path = folder / name
    weights = weights or {"bias": torch.full((3,), 0.25)}
    if path.suffix == ".safetensors":
        save_file(weights, path)
    else:
        torch.save({"state_dict": weights}, path)
    return path


def picture(height, width, batch=2):
    return torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(0))


def holes(height, width, batch=2):
    return (picture(height, width, batch)[:, :1] < 0.4).float()


@pytest.mark.parametrize("sizes", [None, Sizes(), Sizes(16, 8), Sizes(64, 64, True)])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (5, 70), (64, 64)])
def test_any_size_and_batch_is_completed_within_the_models_requirements(tmp_path, spandrel, sizes, height, width):
    spandrel.sizes = sizes
    model = load_external_model(file(tmp_path))
    output = model.complete(picture(height, width), holes(height, width))
    assert output.shape == (2, 3, height, width)
    assert 0 <= float(output.min()) <= float(output.max()) <= 1
    required = sizes or Sizes()
    for shape in spandrel.made[-1].seen:
        assert shape[0] == 1
        assert all(side >= required.minimum and side % required.multiple_of == 0 for side in shape[-2:])
        assert not required.square or shape[-1] == shape[-2]


def test_it_is_deterministic_per_picture_and_the_global_random_state_is_restored(tmp_path, spandrel):
    before = torch.get_rng_state()
    model = load_external_model(file(tmp_path))
    image, mask = picture(20, 20), holes(20, 20)
    together = model.complete(image, mask)
    assert torch.equal(together, torch.cat([model.complete(image[i : i + 1], mask[i : i + 1]) for i in range(2)]))
    assert torch.equal(torch.get_rng_state(), before)


def test_it_is_a_completer_and_never_looks_into_the_hole(tmp_path, spandrel):
    model = load_external_model(file(tmp_path, "model.pth"))
    image, mask = picture(24, 30), holes(24, 30)
    output = inpaint(model, image, mask, feather=0)
    assert torch.equal(torch.where(mask > 0, output, image), output)
    hidden = torch.where(mask > 0, float("nan"), image)
    assert torch.equal(model.complete(hidden, mask), model.complete(image, mask))


def test_what_cannot_be_loaded_is_rejected_in_one_line(tmp_path, spandrel):
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"nothing")
    for path, said in (
        (tmp_path / "absent.safetensors", "no such model file"),
        (broken, "damaged"),
        (file(tmp_path, "unknown.safetensors", other=torch.zeros(1)), "does not support"),
        (file(tmp_path, "misshapen.safetensors", bias=torch.zeros(5)), "does not support"),
        (file(tmp_path, "upscaler.safetensors", upscaler=torch.zeros(1)), "is not an inpainting model"),
    ):
        with pytest.raises(CheckpointError, match=said) as error:
            load_external_model(path)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("installed", [True, False])
def test_only_files_that_are_not_ours_are_left_to_spandrel(tmp_path, spandrel, monkeypatch, installed):
    spandrel.__spec__ = importlib.machinery.ModuleSpec("spandrel", None)
    ours = tmp_path / "ours.safetensors"
    network = build_model("encoder_decoder", width=2)
    save_model(InpaintingModel(ModelCard(architecture="encoder_decoder", arguments={"width": 2}), network), ours)
    (tmp_path / "broken.safetensors").write_bytes(b"nothing")
    if not installed:
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert is_external(file(tmp_path)) is installed
    assert is_external(file(tmp_path, "model.pth")) is installed
    for path in (ours, tmp_path / "broken.safetensors", tmp_path / "absent.safetensors"):
        assert not is_external(path)
    completer = open_completer(str(ours))
    assert isinstance(completer, InpaintingModel)
    if installed:
        assert isinstance(open_completer(str(file(tmp_path))), ExternalModel)


def test_without_spandrel_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "spandrel", None)
    with pytest.raises(CheckpointError, match="pip install spandrel"):
        load_external_model(file(tmp_path))


def test_lama_loads_through_the_real_spandrel(tmp_path):
    pytest.importorskip("spandrel", exc_type=ImportError)
    from spandrel.architectures.LaMa import LaMa

    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = LaMa(in_nc=4, out_nc=3).eval()
    weights = {f"generator.{key.removeprefix('model.')}": value for key, value in network.state_dict().items()}
    image, mask = picture(64, 64, 1), holes(64, 64, 1)
    output = load_external_model(file(tmp_path, **weights)).complete(image, mask)
    with torch.no_grad():
        expected = network(torch.where(mask > 0, 0.5, image), mask).clamp(0, 1)
    assert torch.allclose(output, expected, atol=1e-5)


class FFC(nn.Module):
    """The part of a fast Fourier convolution used by folding: two halves, each a sum of two branches."""

    gated = False

    def __init__(self) -> None:
        super().__init__()
        for name in ("convl2l", "convg2l", "convl2g", "convg2g"):
            setattr(self, name, nn.Conv2d(4, 4, 3, padding=1, bias=False))

    def forward(self, halves):
        local, far = halves
        return self.convl2l(local) + self.convg2l(far), self.convl2g(local) + self.convg2g(far)


class FFC_BN_ACT(nn.Module):  # noqa: N801 (folding goes by this name)
    def __init__(self) -> None:
        super().__init__()
        self.ffc, self.bn_l, self.bn_g = FFC(), nn.BatchNorm2d(4), nn.BatchNorm2d(4)

    def forward(self, halves):
        local, far = self.ffc(halves)
        return self.bn_l(local), self.bn_g(far)


def randomize_norms(network):
    generator = torch.Generator().manual_seed(1)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            for tensor in (layer.weight, layer.bias, layer.running_mean, layer.running_var):
                tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)


@torch.no_grad()
def test_folded_fourier_convolutions_compute_the_same():
    network = nn.Sequential(FFC_BN_ACT(), FFC_BN_ACT()).eval()
    randomize_norms(network)
    halves = tuple(torch.rand(1, 4, 8, 8, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    expected = network(halves)
    fold_fourier_convolutions(network)
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in network.modules())
    for one, other in zip(network(halves), expected, strict=True):
        assert torch.allclose(one, other, atol=1e-5)


@torch.no_grad()
def test_folding_does_not_change_the_output_of_the_real_lama():
    pytest.importorskip("spandrel", exc_type=ImportError)
    from spandrel.architectures.LaMa import LaMa

    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = LaMa(in_nc=4, out_nc=3).eval()
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.add_(0.1)
            layer.bias.add_(0.05)
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., 16:40, 20:50] = 1
    expected = network(image, mask)
    fold_fourier_convolutions(network)
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in network.modules())
    assert torch.allclose(network(image, mask), expected, atol=1e-4)
