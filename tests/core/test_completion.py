"""Promises of inpaint(): known pixels, sizes, batches, hidden values, seams."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from inpaint_core import inpaint
from inpaint_core.checkpoints.card import ModelCard
from inpaint_core.checkpoints.inpainting_model import InpaintingModel
from inpaint_core.inpainting.classical import CLASSICAL_METHODS, ClassicalFill
from inpaint_core.inpainting.inpaint import BLENDS, STRATEGIES
from inpaint_core.models import build_model


@pytest.fixture(scope="module")
def network():
    arguments = {"width": 4, "depth": 3}
    return InpaintingModel(
        ModelCard(architecture="unet", arguments=arguments, trained_size=32), build_model("unet", **arguments)
    )


def random_case(height, width, batch=1, channels=3, seed=0, kind="blocks"):
    generator = torch.Generator().manual_seed(seed)
    image = torch.rand(batch, channels, height, width, generator=generator)
    mask = torch.zeros(batch, 1, height, width)
    if kind == "blocks":
        coarse = torch.rand(batch, 1, -(-height // 7), -(-width // 7), generator=generator)
        mask = torch.nn.functional.interpolate((coarse > 0.6).float(), size=(height, width), mode="nearest")
    elif kind == "salt":
        mask = (torch.rand(batch, 1, height, width, generator=generator) > 0.9).float()
    elif kind == "pixel":
        mask[..., height // 2, width // 3] = 1
    elif kind == "outside":  # everything but a window: outpainting
        mask[:] = 1
        mask[..., height // 4 : height // 2 + 1, width // 4 : width // 2 + 1] = 0
    elif kind == "line":
        mask[..., ::40, :] = 1
    elif kind == "full":
        mask[:] = 1
    return image, mask


# Detail is copied after every strategy in the same way, which takes most of the time.
WAYS = [*((strategy, "network") for strategy in STRATEGIES), ("auto", "patches")]
KINDS = ["blocks", "salt", "pixel", "outside", "line", "full", "empty"]


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 200),
    width=st.integers(1, 200),
    batch=st.integers(1, 2),
    channels=st.sampled_from([1, 3, 4]),
    kind=st.sampled_from(KINDS),
    strategy=st.sampled_from(STRATEGIES),
    blend=st.sampled_from(BLENDS),
    feather=st.integers(0, 20),
    color_match=st.booleans(),
    grain=st.sampled_from([0.0, 0.7]),
    detail=st.sampled_from(["network", "network", "patches"]),
    seed=st.integers(0, 1000),
)
def test_known_pixels_size_and_type_are_kept(
    network, height, width, batch, channels, kind, strategy, blend, feather, color_match, grain, detail, seed
):
    image, mask = random_case(height, width, batch, channels, seed, kind)
    options = dict(feather=feather, blend=blend, color_match=color_match, grain=grain, detail=detail, seed=seed)
    output = inpaint(network, image, mask, strategy, **options)
    known = mask.expand_as(image) == 0
    assert output.shape == image.shape
    assert output.dtype == image.dtype
    assert torch.equal(output[known], image[known])
    assert torch.isfinite(output).all()
    assert output.min() >= 0
    assert output.max() <= 1
    if channels == 4:
        assert torch.equal(output[:, 3], image[:, 3])
    alone = inpaint(network, image[-1:], mask[-1:], strategy, **options)
    assert torch.equal(output[-1:], alone)  # the same again, and the same without the other pictures


@pytest.mark.parametrize("method", CLASSICAL_METHODS)
@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 9), (2, 3), (31, 17), (64, 64)])
def test_classical_fills_keep_known_pixels_at_every_size(method, height, width):
    image, mask = random_case(height, width, batch=2)
    output = inpaint(ClassicalFill(method), image, mask)
    known = mask.expand_as(image) == 0
    assert torch.equal(output[known], image[known])
    assert torch.isfinite(output).all()


@pytest.mark.parametrize(("strategy", "detail"), WAYS)
def test_the_contents_of_the_hole_never_matter(network, strategy, detail):
    image, mask = random_case(50, 110)
    expected = inpaint(network, image, mask, strategy, detail=detail)
    for hidden in (0.0, 1.0, 1e6, float("nan")):
        changed = torch.where(mask > 0, torch.full_like(image, hidden), image)
        assert torch.equal(inpaint(network, changed, mask, strategy, detail=detail), expected)


@pytest.mark.parametrize(("strategy", "detail"), WAYS)
def test_a_batch_gives_what_its_pictures_give_alone(network, strategy, detail):
    image, mask = random_case(40, 50, batch=3)

    def fill(pictures=slice(None), **options):
        return inpaint(network, image[pictures], mask[pictures], strategy, detail=detail, **options)

    alone = torch.cat([fill(slice(i, i + 1)) for i in range(3)])
    assert torch.equal(fill(), alone)
    at_once = fill(frames_per_batch=3)
    assert torch.allclose(at_once, alone, atol=1e-5)


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
    several = inpaint(network, images[:1], masks, detail="network")
    for index in range(3):
        alone = inpaint(network, images[:1], masks[index : index + 1], detail="network")
        assert torch.allclose(several[index : index + 1], alone, atol=1e-5)


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


@pytest.mark.parametrize(("strategy", "detail"), WAYS)
@pytest.mark.parametrize("blend", BLENDS)
def test_ten_passes_change_nothing_outside_the_hole(network, strategy, detail, blend):
    image, mask = random_case(20, 45)
    output = image
    for _ in range(10):
        output = inpaint(network, output, mask, strategy, blend=blend, detail=detail)
    known = mask.expand_as(image) == 0
    assert torch.equal(output[known], image[known])


class Spy:
    """Notes what it is shown; fills with gray."""

    def __init__(self, trained_size=256):
        self.card = ModelCard(architecture="unet", trained_size=trained_size)
        self.shown = []

    def complete(self, image, mask):
        self.shown.append(tuple(image.shape[-2:]))
        return torch.full_like(image, 0.5)

    @property
    def pixels(self):
        return sum(height * width for height, width in self.shown)


def test_twelve_scattered_holes_in_a_large_picture_are_twelve_small_windows():
    image, mask = torch.zeros(1, 3, 4096, 4096), torch.zeros(1, 1, 4096, 4096)
    for row in range(3):
        for column in range(4):
            mask[..., 300 + 1300 * row :, 200 + 1000 * column :][..., : 60 + 20 * row, : 40 + 30 * column] = 1
    spy = Spy()
    inpaint(spy, image, mask)
    assert len(spy.shown) == 12
    assert spy.pixels < 0.15 * 4096 * 4096


def test_windows_are_cut_out_first_and_then_reduced(monkeypatch):
    resized = []
    original = torch.nn.functional.interpolate

    def count(image, *arguments, **options):
        resized.append(image.shape[-2] * image.shape[-1])
        return original(image, *arguments, **options)

    image, mask = torch.zeros(1, 3, 2000, 2000), torch.zeros(1, 1, 2000, 2000)
    mask[..., 700:1000, 900:1200] = 1
    monkeypatch.setattr(torch.nn.functional, "interpolate", count)
    inpaint(Spy(), image, mask, "crop")
    assert resized
    assert max(resized) <= (2 * 300 + 32) ** 2


@pytest.mark.parametrize(
    ("strategy", "hole", "expected"),
    [
        ("whole", (10, 10), {(1200, 1500)}),
        ("resize", (10, 10), {(205, 256)}),
        ("crop", (10, 10), {(256, 256)}),
        ("crop", (120, 100), {(256, 256)}),
        ("crop", (400, 400), {(256, 256)}),
        ("auto", (10, 10), {(256, 256)}),
        ("auto", (100, 160), {(230, 256)}),  # reduced a little
        ("auto", (250, 250), {(256, 256)}),  # reduced to half
        ("auto", (20, 1500), {(256, 256)}),  # a scratch: full size, in tiles
        ("tile", (250, 250), {(256, 256)}),
    ],
)
def test_each_strategy_shows_the_network_what_it_promises(strategy, hole, expected):
    image, mask = torch.zeros(1, 3, 1200, 1500), torch.zeros(1, 1, 1200, 1500)
    top, left = (1200 - hole[0]) // 2, (1500 - hole[1]) // 2
    mask[..., top : top + hole[0], left : left + hole[1]] = 1
    spy = Spy()
    inpaint(spy, image, mask, strategy)
    assert set(spy.shown) == expected


def test_a_hole_beyond_reach_is_filled_small_first_and_then_in_tiles():
    image, mask = torch.zeros(1, 3, 300, 375), torch.zeros(1, 1, 300, 375)
    mask[..., 50:250, 75:300] = 1
    crop, auto, whole = Spy(64), Spy(64), Spy(64)
    inpaint(crop, image, mask, "crop")
    inpaint(auto, image, mask, "auto")
    assert len(crop.shown) == 1
    assert max(auto.shown[0]) == 64
    assert len(auto.shown) > 10
    assert set(auto.shown[1:]) == {(64, 64)}
    inpaint(whole, image, mask, "whole")
    assert len(whole.shown) == 1


def test_a_size_chosen_by_hand_is_what_the_network_sees():
    image, mask = torch.zeros(1, 3, 900, 900), torch.zeros(1, 1, 900, 900)
    mask[..., 200:700, 300:600] = 1
    for strategy in ("resize", "crop", "tile", "auto"):
        spy = Spy()
        inpaint(spy, image, mask, strategy, size=160)
        assert max(max(shape) for shape in spy.shown) == 160


def test_more_context_shows_more():
    image, mask = torch.zeros(1, 3, 900, 900), torch.zeros(1, 1, 900, 900)
    mask[..., 300:400, 300:400] = 1
    shown = []
    for context in (0.0, 0.5, 2.0):
        spy = Spy(trained_size=64)
        inpaint(spy, image, mask, "crop", size=1000, context=context)
        shown += spy.shown
    assert shown == [(128, 128), (224, 224), (512, 512)]


def test_windows_that_overlap_fill_their_own_holes_only(network):
    image, _ = random_case(200, 300)
    mask = torch.zeros(1, 1, 200, 300)
    mask[..., 20:30, 20:290] = 1
    mask[..., 60:190, 20:30] = 1
    spy = Spy(trained_size=32)
    both = inpaint(spy, image, mask, "crop", feather=0, context=0.1)
    assert len(spy.shown) == 2
    assert (both[mask.expand_as(image) > 0] - 0.5).abs().max() < 1e-6


def test_progress_reports_windows_done_and_shows_the_picture(network):
    image, mask = random_case(60, 60, batch=3, kind="pixel")
    calls = []
    output = inpaint(
        network,
        image,
        mask,
        detail="network",
        progress=lambda done, total, picture: calls.append((done, total, picture)),
    )
    assert [call[:2] for call in calls] == [(1, 3), (2, 3), (3, 3)]
    for index, (_, _, picture) in enumerate(calls):
        assert torch.equal(picture, output[index])


def test_what_progress_raises_ends_the_work(network):
    class CancelledError(BaseException):
        pass

    calls = []

    def cancel(done, total, picture):
        calls.append(done)
        if done == 2:
            raise CancelledError

    image, mask = random_case(60, 60, batch=5, kind="pixel")
    with pytest.raises(CancelledError):
        inpaint(network, image, mask, detail="network", progress=cancel)
    assert calls == [1, 2]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"image": torch.zeros(3, 8, 8)}, "expected \\[B,C,H,W\\]"),
        ({"image": torch.zeros(1, 5, 8, 8)}, "C = 1, 3 or 4"),
        ({"image": torch.zeros(1, 3, 8, 8, dtype=torch.uint8)}, "floating-point"),
        ({"strategy": "best"}, "unknown strategy 'best'"),
        ({"blend": "mix"}, "unknown blend 'mix'"),
        ({"feather": -1}, "feather is -1"),
        ({"size": 3}, "size is 3"),
        ({"context": -0.5}, "context is -0.5"),
        ({"grain": 2.0}, "grain is 2.0"),
        ({"frames_per_batch": 0}, "frames_per_batch is 0"),
    ],
)
def test_bad_arguments_are_refused_in_one_sentence(network, arguments, expected):
    with pytest.raises(ValueError, match=expected):
        inpaint(network, **{"image": torch.zeros(1, 3, 8, 8), "mask": torch.zeros(1, 1, 8, 8), **arguments})


def test_wrapping_a_network_leaves_its_mode_and_completes_in_evaluation_mode() -> None:
    network = build_model("unet", width=4, depth=2)
    network.insert = torch.nn.Dropout(0.5)
    image, mask = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(1)), torch.zeros(1, 1, 32, 32)
    mask[..., 8:20, 8:20] = 1.0
    expected = InpaintingModel(ModelCard(architecture="unet"), network.eval()).complete(image, mask)
    network.train()
    network.insert.eval()
    seen = []
    network.register_forward_pre_hook(lambda module, _: seen.append([part.training for part in module.modules()]))
    modes = [module.training for module in network.modules()]
    model = InpaintingModel(ModelCard(architecture="unet"), network)
    assert [module.training for module in network.modules()] == modes
    assert torch.equal(model.complete(image, mask), expected)
    assert not any(seen[0])
    assert [module.training for module in network.modules()] == modes


def test_a_bare_network_is_refused_with_how_to_wrap_it() -> None:
    network, image, mask = build_model("unet", width=4, depth=2), torch.rand(1, 3, 8, 8), torch.ones(1, 1, 8, 8)
    with pytest.raises(TypeError, match=r"bare network \(UNet\): wrap it as .*InpaintingModel\(ModelCard\(") as caught:
        inpaint(network, image, mask)
    assert "\n" not in str(caught.value)
    with pytest.raises(TypeError, match="str, which has no complete"):
        inpaint("unet-natural", image, mask)
