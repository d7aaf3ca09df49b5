"""Promises of every architecture in the registry."""

from __future__ import annotations

import pytest
import torch

from inpaint_core import load_model, save_model
from inpaint_core.checkpoints.card import ModelCard
from inpaint_core.checkpoints.inpainting_model import InpaintingModel
from inpaint_core.checkpoints.translation_model import TranslationModel
from inpaint_core.models import ARCHITECTURES, build_model
from inpaint_core.models.global_local_discriminator import crop_around, hole_centers
from inpaint_core.models.padding import pad_to_multiple
from inpaint_core.models.registry import build_empty

INPAINTING = [name for name, architecture in ARCHITECTURES.items() if architecture.task == "inpainting"]
OF_PICTURES = [name for name in ARCHITECTURES if name != "feature_discriminator"]
BY_GRADIENTS = [name for name in OF_PICTURES if ARCHITECTURES[name].learns == "gradients"]
TRANSLATION = [name for name, architecture in ARCHITECTURES.items() if architecture.task == "translation"]


def small(name, **arguments):
    return build_model(name, **{**ARCHITECTURES[name].small, **arguments})


def picture(height, width, batch=1, channels=3, seed=0):
    return torch.rand(batch, channels, height, width, generator=torch.Generator().manual_seed(seed))


def holes(height, width, batch=1, seed=0):
    return (picture(height, width, batch, 1, seed) < 0.4).float()


def run(name, network, batch=2, size=None):
    side = size or max(2 * network.multiple, network.minimum, 32)
    image = picture(side, side, batch)
    if name == "global_local_discriminator":
        return network(image, hole_centers(holes(side, side, batch)))
    if name in INPAINTING:
        return network(image, holes(side, side, batch))
    return network(torch.cat([image, image], 1) if name == "patch_discriminator" else image)


@pytest.mark.parametrize(
    ("name", "arguments", "count"),
    [
        ("pconv_unet", {"depth": 6}, 18_699_860),
        ("pconv_unet", {"depth": 7}, 25_779_796),
        ("pconv_unet", {"depth": 8}, 32_859_732),
        ("glcic", {}, 6_072_131),
        ("glcic", {"width": 40, "norm": "none", "shortcuts": True}, 2_372_003),
        ("context_unet", {}, 3_655_267),
        ("context_pconv_unet", {}, 3_944_035),
        ("global_local_discriminator", {}, 39_557_121),
        ("global_local_discriminator", {"image_size": 256, "local_size": 128, "global_layers": 6}, 45_063_681),
        ("pix2pix_unet", {}, 54_413_955),
        ("pix2pix_unet", {"input_channels": 1}, 54_411_907),
        ("pix2pix_unet", {"depth": 7}, 41_828_995),
        ("pix2pix_unet", {"depth": 7, "input_channels": 1}, 41_826_947),
        ("pix2pix_resnet", {}, 11_378_179),
        ("pix2pix_resnet", {"input_channels": 1}, 11_371_907),
        ("pix2pix_resnet", {"norm": "batch"}, 11_383_427),
        ("pix2pix_resnet", {"norm": "batch", "blocks": 6}, 7_841_411),
        ("patch_discriminator", {}, 2_768_705),
        ("patch_discriminator", {"input_channels": 4}, 2_766_657),
    ],
)
def test_parameter_counts_are_those_of_the_originals(name, arguments, count):
    assert sum(parameter.numel() for parameter in build_empty(name, arguments).parameters()) == count


@pytest.mark.parametrize("name", OF_PICTURES)
@torch.no_grad()
def test_a_batch_gives_what_its_pictures_give_alone(name):
    network = small(name)
    side = max(network.multiple, network.minimum, 32)
    first, second = picture(side, side, seed=1), picture(side, side, seed=2)
    if name == "patch_discriminator":
        first, second = (torch.cat([x, x], 1) for x in (first, second))
    extra = []
    if name in INPAINTING:
        extra = [holes(side, side, seed=3), holes(side, side, seed=4)]
    elif name == "global_local_discriminator":
        extra = [torch.tensor([[3, 5]]), torch.tensor([[30, 20]])]
    together = network(torch.cat([first, second]), *([torch.cat(extra)] if extra else []))
    alone = torch.cat([network(x, *extra[i : i + 1]) for i, x in enumerate((first, second))])
    assert torch.allclose(together, alone, atol=1e-5 * max(1.0, float(alone.abs().max())))


@pytest.mark.parametrize("norm", ["none", "batch", "instance", "group"])
@pytest.mark.parametrize(
    "name", [name for name in BY_GRADIENTS if name not in ("unet", "context_unet", "context_pconv_unet")]
)
def test_every_norm_trains_and_is_deterministic_at_inference(name, norm):
    network = small(name, norm=norm).train()
    output = run(name, network)
    output.square().mean().backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in network.parameters())
    network.eval()
    with torch.no_grad():
        assert torch.equal(run(name, network), run(name, network))


@pytest.mark.parametrize("name", ["pix2pix_unet", "pix2pix_resnet"])
def test_dropout_acts_in_training_only(name):
    network = small(name, dropout=0.5)
    with torch.no_grad():
        assert torch.equal(run(name, network), run(name, network))
        network.train()
        assert not torch.equal(run(name, network), run(name, network))


@pytest.mark.parametrize("name", BY_GRADIENTS)
def test_a_picture_of_the_smallest_size_can_be_trained_on_alone(name):
    network = small(name).train()
    run(name, network, batch=1, size=max(network.multiple, network.minimum)).mean().backward()


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 70), (37, 2), (131, 271)])
@pytest.mark.parametrize("name", OF_PICTURES)
@torch.no_grad()
def test_every_size_is_translated(name, height, width):
    network = small(name)
    task = ARCHITECTURES[name].task
    image, mask = picture(height, width), holes(height, width)
    if task == "inpainting":
        output = InpaintingModel(ModelCard(architecture=name), network).complete(image, mask)
        assert output.shape == image.shape
    elif task == "translation":
        output = TranslationModel(ModelCard(architecture=name, task="translation"), network).predict(image)
        assert output.shape == image.shape
    elif name == "global_local_discriminator":
        output = network(image, hole_centers(mask))
        assert output.shape == (1, 1)
    else:
        padded, _ = pad_to_multiple(torch.cat([image, image], 1), network.multiple, network.minimum)
        output = network(padded)
        assert min(output.shape[-2:]) >= 1
    assert torch.isfinite(output).all()


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_building_sets_every_value_from_its_generator_and_leaves_the_global_random_state_alone(name):
    before = torch.get_rng_state()
    arguments = {"spectral_norm": True} if "discriminator" in name else {}
    first = small(name, **arguments, generator=torch.Generator().manual_seed(7))
    second = small(name, **arguments, generator=torch.Generator().manual_seed(7))
    assert torch.equal(torch.get_rng_state(), before)
    for (key, a), b in zip(first.state_dict().items(), second.state_dict().values(), strict=True):
        assert torch.equal(a, b), key
        assert torch.isfinite(a).all(), key


@pytest.mark.parametrize("name", ["patch_discriminator", "global_local_discriminator"])
@torch.no_grad()
def test_spectral_normalization_divides_by_the_largest_singular_value(name):
    network = small(name, spectral_norm=True)
    checked = 0
    for module in network.modules():
        if isinstance(module, (torch.nn.Conv2d, torch.nn.Linear)):
            assert float(torch.linalg.matrix_norm(module.weight.flatten(1), 2)) == pytest.approx(1, abs=0.05)
            checked += 1
    assert checked >= 5


def test_the_feature_discriminator_scores_each_map_of_both_extractors():
    network = small("feature_discriminator").train()
    for side in (network.minimum, 48):
        for coarser in (1, 2):  # before the poolings, or after them
            maps = [picture(side // coarser // 2**k, side // coarser // 2**k, 2, 64 * 2**k) for k in range(3)]
            logits = network(maps)
            assert [value.shape for value in logits] == [
                (2, 1, -(-value.shape[-2] // 2), -(-value.shape[-1] // 2)) for value in maps
            ]
    sum(value.mean() for value in logits).backward()
    assert all(parameter.grad.isfinite().all() for parameter in network.parameters())


@pytest.mark.parametrize(("name", "arguments"), [("pix2pix_unet", {"depth": 4}), ("pix2pix_resnet", {})])
def test_upsampling_by_repetition_has_no_transposed_convolution(name, arguments):
    network = small(name, **arguments, upsampling="nearest")
    assert not any(isinstance(module, torch.nn.ConvTranspose2d) for module in network.modules())
    assert run(name, network).shape == (2, 3, 32, 32)


@pytest.mark.parametrize("width", [64, 8, 4])
def test_the_translation_u_net_comes_in_the_widths_of_the_live_models(width):
    first = build_empty("pix2pix_unet", {"width": width, "input_channels": 1}).state_dict()["down.0.0.weight"]
    assert first.shape == (width, 1, 4, 4)


@torch.no_grad()
def test_the_texture_u_net_makes_something_of_nothing_without_a_grid():
    network = small("texture_unet", norm="none", input_channels=1)
    made = network(torch.zeros(1, 1, 128, 128))
    assert float(made.std()) > 0.01
    # A grid is a difference between the means of columns, or rows, by position within a stride.
    for stride in (2, 4, 8):
        for means in (made.mean(2), made.mean(3)):
            phases = means.unflatten(-1, (-1, stride)).mean(-2)
            assert float(phases.std(-1).max()) < 0.25 * float(made.std())


@torch.no_grad()
def test_the_noise_of_the_texture_u_net_stands_still_and_moves_in_training():
    network = small("texture_unet", norm="none")
    image = picture(32, 32)
    assert torch.equal(network(image), network(image))
    network.train()
    assert not torch.equal(network(image), network(image))


def test_hole_centers_are_the_middles_of_the_bounding_boxes():
    mask = torch.zeros(3, 1, 40, 60)
    mask[0, :, 10:20, 30:50] = 1
    mask[1, :, 0, 0] = 1
    assert hole_centers(mask).tolist() == [[15, 40], [0, 0], [20, 30]]


def test_the_local_view_is_cut_around_each_samples_own_hole_and_stays_inside():
    image = picture(40, 60, 3)
    cut = crop_around(image, torch.tensor([[20, 30], [0, 0], [39, 59]]), 16)
    assert torch.equal(cut[0], image[0, :, 12:28, 22:38])
    assert torch.equal(cut[1], image[1, :, :16, :16])
    assert torch.equal(cut[2], image[2, :, 24:, 44:])
    assert crop_around(image[..., :5, :7], torch.tensor([[2, 3]] * 3), 16).shape == (3, 3, 16, 16)


def test_gradients_reach_the_picture_through_the_local_view():
    image = picture(20, 20).requires_grad_()
    crop_around(image, torch.tensor([[10, 10]]), 4).sum().backward()
    assert image.grad.sum() == 3 * 16
    assert image.grad[..., 8:12, 8:12].min() == 1


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("pconv_unet", {"depth": 9}, "depth = 9"),
        ("glcic", {"width": 10_000}, "width = 10000"),
        ("pix2pix_unet", {"input_channels": 2}, "input_channels = 2"),
        ("pix2pix_resnet", {"color": True}, "color = True"),
        ("nothing", {}, "choose one of"),
    ],
)
def test_impossible_arguments_are_refused_in_one_sentence(name, arguments, said):
    with pytest.raises(ValueError, match=said) as error:
        build_model(name, **arguments)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", [name for name in BY_GRADIENTS if ARCHITECTURES[name].task != "discriminator"])
def test_a_preview_in_the_middle_of_training_is_what_the_saved_file_gives(name, tmp_path):
    network = small(name).train()
    optimizer = torch.optim.SGD(network.parameters(), 0.01)
    for _ in range(3):
        run(name, network).square().mean().backward()
        optimizer.step()
    task = ARCHITECTURES[name].task
    card = ModelCard(architecture=name, arguments=ARCHITECTURES[name].small, task=task)
    model = (InpaintingModel if task == "inpainting" else TranslationModel)(card, network)
    save_model(model, tmp_path / "model.safetensors")
    loaded = load_model(tmp_path / "model.safetensors")
    image, mask = picture(50, 70), holes(50, 70)
    preview, later = (
        made.complete(image, mask) if isinstance(made, InpaintingModel) else made.predict(image)
        for made in (model, loaded)
    )
    assert torch.allclose(preview, later, atol=1e-5)
