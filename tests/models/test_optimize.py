"""The inference form: same pictures, other arithmetic."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from inpaint_core import CheckpointError, save_model
from inpaint_core.checkpoints import inference_form as optimization
from inpaint_core.checkpoints.card import ModelCard
from inpaint_core.checkpoints.inference_form import FoldedNetwork, inference_form, optimize
from inpaint_core.checkpoints.inpainting_model import InpaintingModel
from inpaint_core.checkpoints.translation_model import TranslationModel
from inpaint_core.models import ARCHITECTURES, build_model
from inpaint_core.models.pconv_unet_inference import PConvUNetInference, renormalize, transposed_upsampling_weight

OF_MODELS = [name for name, architecture in ARCHITECTURES.items() if architecture.task != "discriminator"]


def model(name, **arguments):
    """A network whose batch normalization has something to fold, wrapped with a card."""
    small = dict(ARCHITECTURES[name].small)
    if name == "pix2pix_resnet":
        small["norm"] = "batch"
    arguments = {**small, **arguments}
    network = build_model(name, **arguments)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.running_mean.copy_(torch.randn(layer.num_features, generator=generator) * 0.2)
                layer.running_var.copy_(torch.rand(layer.num_features, generator=generator) + 0.5)
                layer.weight.copy_(torch.rand(layer.num_features, generator=generator) + 0.5)
                layer.bias.copy_(torch.randn(layer.num_features, generator=generator) * 0.2)
    task = ARCHITECTURES[name].task
    wrap = InpaintingModel if task == "inpainting" else TranslationModel
    value_range = "signed" if task == "translation" else "unit"
    return wrap(ModelCard(architecture=name, arguments=arguments, task=task, value_range=value_range), network)


def picture(size, batch=1, seed=0):
    return torch.rand(batch, 3, size, size, generator=torch.Generator().manual_seed(seed))


def holes(size, batch=1):
    mask = torch.zeros(batch, 1, size, size)
    mask[0, :, size // 4 : size // 2, size // 4 : -size // 8] = 1
    mask[-1, :, : size // 3, : size // 5] = 1
    return mask


def run(made, image, mask):
    return made.complete(image, mask) if isinstance(made, InpaintingModel) else made.predict(image)


@pytest.mark.parametrize("norm", ["batch", "none"])
@pytest.mark.parametrize("depth", [1, 4, 7])
@torch.no_grad()
def test_the_rewritten_partial_convolution_u_net_computes_the_same_in_float32(depth, norm):
    network = model("pconv_unet", depth=depth, norm=norm).network
    form = PConvUNetInference(network, torch.float32)
    size = 2 * network.multiple
    for mask in (holes(size, 2), torch.zeros(2, 1, size, size), torch.ones(2, 1, size, size)):
        expected = network(picture(size, 2), mask)
        assert torch.allclose(form(picture(size, 2), mask), expected, atol=2e-5 * max(1, float(expected.abs().max())))


@pytest.mark.parametrize("head", ["residual", "detailed"])
@torch.no_grad()
def test_the_rewritten_network_keeps_the_head(head):
    network = model("pconv_unet", depth=3, head=head).network
    network.decoder[-1].convolution.weight.normal_(generator=torch.Generator().manual_seed(0))
    expected = network(picture(32), holes(32))
    assert torch.allclose(PConvUNetInference(network, torch.float32)(picture(32), holes(32)), expected, atol=1e-4)


@torch.no_grad()
def test_the_rewritten_network_keeps_the_doubled_ratio():
    network = model("pconv_unet", depth=3, norm="none", legacy_double_ratio=True).network
    expected = network(picture(32), holes(32))
    assert torch.allclose(PConvUNetInference(network, torch.float32)(picture(32), holes(32)), expected, atol=1e-4)


@torch.no_grad()
def test_a_transposed_convolution_replaces_upsampling_and_convolving():
    weight = torch.randn(5, 3, 3, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    features = picture(7).double()
    expected = F.conv2d(F.interpolate(features, scale_factor=2.0), weight, padding=1)
    kernel = transposed_upsampling_weight(weight)
    assert torch.allclose(F.conv_transpose2d(features, kernel, stride=2, padding=1), expected, atol=1e-12)


@torch.no_grad()
def test_renormalizing_chosen_pixels_equals_the_formula_on_all():
    generator = torch.Generator().manual_seed(0)
    raw, shift = torch.randn(2, 4, 9, 9, generator=generator), torch.randn(4, generator=generator)
    ratio = torch.tensor([0.0, 1.0, 1.5, 9.0])[torch.randint(0, 4, (2, 1, 9, 9), generator=generator)]
    column = shift.view(1, -1, 1, 1)
    expected = torch.where(ratio > 0, raw * ratio + column, 0.0)
    features = (raw + column).contiguous(memory_format=torch.channels_last)
    assert torch.allclose(renormalize(features, shift, ratio), expected, atol=1e-5)


@pytest.mark.parametrize("name", OF_MODELS)
def test_the_inference_form_stays_within_two_gray_levels(name):
    plain = model(name)
    fast = optimize(plain)
    assert fast is not plain
    assert fast.card == plain.card
    for seed, size in ((1, 64), (2, 150)):
        image, mask = picture(size, 2, seed), holes(size, 2)
        expected, output = run(plain, image, mask), run(fast, image, mask)
        assert output.dtype == torch.float32
        assert float((output - expected).abs().max()) <= 2 / 255


@pytest.mark.parametrize("name", OF_MODELS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_every_precision_takes_and_gives_float32_and_leaves_the_original_alone(name, dtype):
    plain = model(name)
    before = {key: value.clone() for key, value in plain.network.state_dict().items()}
    form = inference_form(plain.network, dtype)
    wrapped = type(plain)(plain.card, form)
    output = run(wrapped, picture(64), holes(64))
    assert output.dtype == torch.float32
    assert torch.isfinite(output).all()
    if dtype == torch.float32:
        assert torch.allclose(output, run(plain, picture(64), holes(64)), atol=1e-4)
    for key, value in plain.network.state_dict().items():
        assert torch.equal(value, before[key]), key
        assert value.is_contiguous()


@pytest.mark.parametrize("name", ["unet", "encoder_decoder", "glcic", "pix2pix_unet", "pix2pix_resnet"])
def test_no_batch_normalization_is_left_where_it_follows_a_convolution(name):
    form = inference_form(model(name).network, torch.float32)
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in form.modules())


@torch.no_grad()
def test_normalization_behind_the_activation_is_kept():
    plain = model("glcic", norm_after_activation=True)
    form = inference_form(plain.network, torch.float32)
    assert sum(isinstance(layer, nn.BatchNorm2d) for layer in form.modules()) == 16
    assert torch.allclose(form(picture(32), holes(32)), plain.network(picture(32), holes(32)), atol=1e-5)


def test_a_group_normalized_partial_convolution_u_net_is_not_folded_but_works():
    plain = model("pconv_unet", depth=3, norm="group")
    fast = optimize(plain)
    assert isinstance(fast.network, FoldedNetwork)
    assert torch.allclose(run(fast, picture(32), holes(32)), run(plain, picture(32), holes(32)), atol=2 / 255)


@pytest.mark.parametrize(("contrast", "dtype"), [(0.001, torch.bfloat16), (1.0, torch.float32)])
def test_reduced_precision_is_used_only_where_it_keeps_the_output(monkeypatch, contrast, dtype):
    monkeypatch.setattr(optimization, "fast_dtype", lambda device: torch.bfloat16)
    plain = model("pconv_unet", depth=4)
    with torch.no_grad():
        deviation = plain.network(*optimization.probe_inputs(plain)).std()
        for parameter in plain.network.decoder[-1].parameters():
            parameter.mul_(contrast / deviation)
    fast = optimize(plain)
    assert fast.network.encoder[1].weight.dtype == dtype
    inputs = optimization.probe_inputs(plain)
    with torch.no_grad():
        assert float((fast.network(*inputs) - plain.network(*inputs)).abs().max()) <= optimization.TOLERANCE


def test_a_precision_that_overflows_is_not_chosen(monkeypatch):
    monkeypatch.setattr(optimization, "fast_dtype", lambda device: torch.float16)
    plain = model("encoder_decoder")
    with torch.no_grad():
        plain.network.layers[0].weight.mul_(1e6)
    assert {p.dtype for p in optimize(plain).network.parameters()} == {torch.float32}


def test_a_batch_gives_what_its_pictures_give_alone_in_the_inference_form():
    fast = optimize(model("pconv_unet", depth=4))
    image, mask = picture(64, 2), holes(64, 2)
    together = fast.complete(image, mask)
    alone = torch.cat([fast.complete(image[i : i + 1], mask[i : i + 1]) for i in range(2)])
    assert torch.allclose(together, alone, atol=1e-2)


def test_an_inference_form_cannot_be_saved(tmp_path):
    fast = optimize(model("glcic"))
    with pytest.raises(CheckpointError, match="inference form"):
        save_model(fast, tmp_path / "fast.safetensors")
    assert not list(tmp_path.iterdir())
