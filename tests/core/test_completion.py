"""Promises of inpaint(): known pixels, sizes, batches, hidden values, seams."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from inpaint_core import inpaint
from inpaint_core.classical import CLASSICAL_METHODS, ClassicalFill
from inpaint_core.completion import BLENDS, STRATEGIES
from inpaint_core.inpainting_model import InpaintingModel
from inpaint_core.model_card import ModelCard
from inpaint_core.models import build_model


@pytest.fixture(scope="module")
def network():
    arguments = {"width": 4, "depth": 3}
    return InpaintingModel(
        ModelCard(architecture="unet", arguments=arguments, trained_size=32), build_model("unet", **arguments)
    )


def random_case(height, width, batch=1, channels=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    image = torch.rand(batch, channels, height, width, generator=generator)
    coarse = torch.rand(batch, 1, -(-height // 7), -(-width // 7), generator=generator)
    mask = torch.nn.functional.interpolate((coarse > 0.6).float(), size=(height, width), mode="nearest")
    return image, mask


@settings(max_examples=40, deadline=None)
@given(
    height=st.integers(1, 150),
    width=st.integers(1, 150),
    batch=st.integers(1, 3),
    channels=st.sampled_from([1, 3, 4]),
    strategy=st.sampled_from(STRATEGIES),
    blend=st.sampled_from(BLENDS),
    feather=st.integers(0, 20),
    color_match=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_known_pixels_size_and_type_are_kept(
    network, height, width, batch, channels, strategy, blend, feather, color_match, seed
):
    image, mask = random_case(height, width, batch, channels, seed)
    output = inpaint(network, image, mask, strategy, feather=feather, blend=blend, color_match=color_match)
    known = mask.expand_as(image) == 0
    assert output.shape == image.shape
    assert output.dtype == image.dtype
    assert torch.equal(output[known], image[known])
    assert torch.isfinite(output).all()
    assert output.min() >= 0
    assert output.max() <= 1
    if channels == 4:
        assert torch.equal(output[:, 3], image[:, 3])


@pytest.mark.parametrize("method", CLASSICAL_METHODS)
@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 9), (2, 3), (31, 17), (64, 64)])
def test_classical_fills_keep_known_pixels_at_every_size(method, height, width):
    image, mask = random_case(height, width, batch=2)
    output = inpaint(ClassicalFill(method), image, mask)
    known = mask.expand_as(image) == 0
    assert torch.equal(output[known], image[known])
    assert torch.isfinite(output).all()


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_what_lies_under_the_hole_never_matters(network, strategy):
    image, mask = random_case(90, 200)
    for hidden in (0.0, 1.0, 1e6, float("nan")):
        changed = torch.where(mask > 0, torch.full_like(image, hidden), image)
        output = inpaint(network, changed, mask, strategy)
        assert torch.equal(output, inpaint(network, image, mask, strategy))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_batch_gives_what_its_pictures_give_alone(network, strategy):
    image, mask = random_case(70, 90, batch=3)
    together = inpaint(network, image, mask, strategy)
    alone = torch.cat([inpaint(network, image[i : i + 1], mask[i : i + 1], strategy) for i in range(3)])
    assert torch.allclose(together, alone, atol=1e-5)


def test_an_empty_mask_returns_the_input(network):
    image, _ = random_case(40, 50)
    assert torch.equal(inpaint(network, image, torch.zeros(1, 1, 64, 64)), image)


@pytest.mark.parametrize("model", ["network", *CLASSICAL_METHODS])
def test_a_full_mask_gives_finite_numbers(network, model):
    image, _ = random_case(40, 50)
    model = network if model == "network" else ClassicalFill(model)
    output = inpaint(model, image, torch.ones(1, 1, 40, 50))
    assert torch.isfinite(output).all()


@pytest.mark.parametrize("form", [(40, 50), (1, 40, 50), (1, 1, 40, 50)])
def test_every_rank_of_mask_means_the_same(network, form):
    image, mask = random_case(40, 50)
    assert torch.equal(inpaint(network, image, mask.reshape(form)), inpaint(network, image, mask))


def test_one_mask_serves_many_pictures_and_one_picture_many_masks(network):
    images, masks = random_case(40, 50, batch=3)
    assert inpaint(network, images, masks[:1]).shape == (3, 3, 40, 50)
    several = inpaint(network, images[:1], masks)
    for index in range(3):
        assert torch.allclose(
            several[index : index + 1], inpaint(network, images[:1], masks[index : index + 1]), atol=1e-5
        )


def test_differing_batches_are_refused_with_both_counts(network):
    images, masks = random_case(8, 8, batch=3)
    with pytest.raises(ValueError, match="3 images and 2 masks"):
        inpaint(network, images, masks[:2])


def test_a_mask_of_another_size_is_resized_to_the_picture(network):
    image, _ = random_case(64, 64)
    mask = torch.zeros(1, 1, 32, 32)
    mask[..., 8:16, 8:16] = 1
    output = inpaint(network, image, mask)
    changed = (output != image).any(1)[0]
    assert changed[16:32, 16:32].all()
    assert changed.sum() == 16 * 16


def test_the_hole_is_grown_and_shrunk_by_whole_pixels(network):
    image, _ = random_case(64, 64)
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., 20:40, 20:40] = 1
    for grow in (-5, 0, 6):
        changed = (inpaint(network, image, mask, grow=grow) != image).any(1)[0]
        rows = torch.nonzero(changed.any(1)).flatten()
        assert rows.min() == 20 - grow
        assert rows.max() == 39 + grow


def test_half_precision_pictures_stay_half_precision(network):
    image, mask = random_case(40, 50)
    image = image.half()
    output = inpaint(network, image, mask)
    assert output.dtype == torch.float16
    known = mask.expand_as(image) == 0
    assert torch.equal(output[known], image[known])


def test_ten_passes_change_nothing_outside_the_hole(network):
    image, mask = random_case(40, 50)
    output = image
    for _ in range(10):
        output = inpaint(network, output, mask)
    known = mask.expand_as(image) == 0
    assert torch.equal(output[known], image[known])


class ShiftedTruth:
    """Predicts the true picture, but a constant brighter everywhere."""

    def __init__(self, truth, shift):
        self.prediction = truth + shift

    def complete(self, image, mask):
        return self.prediction


@pytest.mark.parametrize("options", [{"color_match": True}, {"blend": "poisson"}, {"feather": 16}])
def test_the_step_across_the_rim_vanishes(options):
    y, x = torch.meshgrid(torch.linspace(0, 1, 128), torch.linspace(0, 1, 128), indexing="ij")
    truth = (0.3 + 0.2 * x + 0.2 * y).expand(1, 3, -1, -1)
    mask = torch.zeros(1, 1, 128, 128)
    mask[..., 40:90, 30:100] = 1
    model = ShiftedTruth(truth, 0.1)
    rim = mask.clone()
    rim[..., 41:89, 31:99] = 0

    def step(output):
        return ((output - truth).abs() * rim).sum() / (3 * rim.sum())

    assert step(inpaint(model, truth, mask, feather=0)) > 0.099
    assert step(inpaint(model, truth, mask, **options)) < 0.01


def test_crop_sees_only_windows_around_the_holes(network):
    seen = []

    class Spy(InpaintingModel):
        def complete(self, image, mask):
            seen.append(image.shape[-2] * image.shape[-1])
            return super().complete(image, mask)

    image = torch.rand(1, 3, 400, 600, generator=torch.Generator().manual_seed(0))
    mask = torch.zeros(1, 1, 400, 600)
    mask[..., 5:15, 5:15] = 1
    mask[..., 380:395, 580:595] = 1
    inpaint(Spy(network.card, network.network), image, mask)
    assert len(seen) == 2
    assert sum(seen) < 0.02 * 400 * 600


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"image": torch.zeros(3, 8, 8)}, "expected \\[B,C,H,W\\]"),
        ({"image": torch.zeros(1, 5, 8, 8)}, "C = 1, 3 or 4"),
        ({"image": torch.zeros(1, 3, 8, 8, dtype=torch.uint8)}, "floating-point"),
        ({"strategy": "best"}, "unknown strategy 'best'"),
        ({"blend": "mix"}, "unknown blend 'mix'"),
        ({"feather": -1}, "feather is -1"),
    ],
)
def test_bad_arguments_are_refused_in_one_sentence(network, arguments, expected):
    with pytest.raises(ValueError, match=expected):
        inpaint(network, **{"image": torch.zeros(1, 3, 8, 8), "mask": torch.zeros(1, 1, 8, 8), **arguments})
