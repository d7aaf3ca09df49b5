"""U-Net and encoder-decoder against the landscape inpainter's published sizes, and the registry's refusals."""

import pytest
import torch

from inpaint_core.models import ARCHITECTURES, build_model
from inpaint_core.models.pull_push import pull_push


def count_parameters(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_unet_with_the_original_arguments_has_its_parameter_count():
    network = build_model("unet", width=64, depth=3, mask_channels=3, norm="none", head="tanh")
    assert count_parameters(network) == 2_662_659


def test_unet_with_batch_norm_has_the_ancestors_other_count():
    assert (
        count_parameters(build_model("unet", width=64, depth=3, mask_channels=3, norm="batch", head="tanh"))
        == 2_665_731
    )


def test_encoder_decoder_with_the_original_arguments_has_its_parameter_count():
    network = build_model("encoder_decoder", width=64, mask_channels=3, norm="batch", head="hardtanh")
    assert count_parameters(network) == 744_387


@pytest.mark.parametrize("name", ["unet", "encoder_decoder"])
def test_same_generator_gives_same_weights_and_the_global_random_state_is_untouched(name):
    before = torch.get_rng_state()
    first = build_model(name, width=4, generator=torch.Generator().manual_seed(3))
    again = build_model(name, width=4, generator=torch.Generator().manual_seed(3))
    other = build_model(name, width=4, generator=torch.Generator().manual_seed(4))
    assert torch.equal(torch.get_rng_state(), before)
    for one, two in zip(first.state_dict().values(), again.state_dict().values(), strict=True):
        assert torch.equal(one, two)
    assert any(not torch.equal(a, b) for a, b in zip(first.parameters(), other.parameters(), strict=True))


@pytest.mark.parametrize("name", ["unet", "encoder_decoder"])
@pytest.mark.parametrize("norm", ["none", "batch", "instance", "group"])
def test_output_does_not_depend_on_the_batch_and_stays_in_range(name, norm):
    network = build_model(name, width=8, norm=norm)
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(3, 3, 64, 64, generator=generator)
    mask = (torch.rand(3, 1, 64, 64, generator=generator) > 0.7).float()
    with torch.no_grad():
        together = network(image, mask)
        alone = torch.cat([network(image[i : i + 1], mask[i : i + 1]) for i in range(3)])
    assert together.min() >= 0
    assert together.max() <= 1
    assert torch.allclose(together, alone, atol=1e-5)


def test_networks_built_in_inference_mode_can_still_be_trained():
    with torch.inference_mode():
        network = build_model("unet", width=2, depth=1)
    network(torch.rand(1, 3, 8, 8), torch.zeros(1, 1, 8, 8)).sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


@pytest.mark.parametrize("arguments", [{"width": 10**6}, {"depth": 0}, {"norm": "batched"}, {"color": 3}])
def test_bad_arguments_are_rejected_with_one_line(arguments):
    with pytest.raises(ValueError, match=next(iter(arguments))) as caught:
        build_model("unet", **arguments)
    assert "\n" not in str(caught.value)


def test_an_unknown_architecture_is_rejected_with_the_known_ones():
    with pytest.raises(ValueError, match="encoder_decoder"):
        build_model("nonsense")


def test_the_registry_holds_the_published_architectures():
    published = "unet encoder_decoder pconv_unet glcic pix2pix_unet pix2pix_resnet"
    assert set(ARCHITECTURES) >= {*published.split(), "patch_discriminator", "global_local_discriminator"}
    assert len({architecture.network for architecture in ARCHITECTURES.values()}) == len(ARCHITECTURES)


@pytest.mark.parametrize(("name", "size"), [("unet", {"depth": 2}), ("pconv_unet", {"depth": 2}), ("glcic", {})])
def test_a_residual_head_starts_as_the_smooth_fill_and_ignores_what_is_hidden(name, size):
    network = build_model(name, width=4, head="residual", **size).eval()
    generator = torch.Generator().manual_seed(5)
    image = torch.rand(2, 3, 32, 40, generator=generator)
    mask = (torch.rand(2, 1, 32, 40, generator=generator) > 0.5).float()
    with torch.no_grad():
        output = network(image, mask)
        other = network(torch.where(mask > 0, torch.full_like(image, 9.0), image), mask)
    known = mask.expand_as(image) == 0
    assert torch.allclose(output[known], image[known], atol=1e-5)
    assert torch.equal(output, other)


def test_pull_push_keeps_known_pixels_and_stays_within_their_range():
    generator = torch.Generator().manual_seed(6)
    image = torch.rand(2, 3, 37, 50, generator=generator)
    mask = torch.zeros(2, 1, 37, 50)
    mask[0, :, 5:30, 10:45] = 1
    mask[1] = 1
    filled = pull_push(image, mask)
    known = mask.expand_as(image) == 0
    assert torch.equal(filled[known], image[known])
    hole = filled[0][:, 5:30, 10:45]
    assert hole.min() >= image[0][known[0]].min()
    assert hole.max() <= image[0][known[0]].max()
    assert torch.equal(filled[1], torch.zeros_like(filled[1]))


def test_pull_push_continues_a_ramp_across_a_hole():
    ramp = torch.linspace(0, 1, 64).expand(1, 3, 48, 64)
    mask = torch.zeros(1, 1, 48, 64)
    mask[..., 16:32, 24:40] = 1
    assert (pull_push(ramp, mask) - ramp).abs().max() < 0.06
