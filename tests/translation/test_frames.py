"""translate(): sizes, chunks, time."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inpaint_core import translate
from inpaint_core.checkpoints.card import ModelCard
from inpaint_core.checkpoints.prepare_settings import PrepareSettings
from inpaint_core.checkpoints.translation_model import TranslationModel
from inpaint_core.models.architecture import Network
from inpaint_core.translation import CutDetector, ExponentialSmoothing, FrameTranslator, LiveControls, prepare


class Texture(Network):
    """From gray to colors with hard edges, as sensitive as a trained network."""

    def __init__(self, channels: int = 1, gain: float = 25.0) -> None:
        super().__init__()
        self.multiple, self.minimum = 8, 16
        self.first = nn.Conv2d(channels, 8, 5, padding=2)
        self.second = nn.Conv2d(8, 3, 3, padding=1)
        self.gain = gain
        self.batches: list[int] = []
        generator = torch.Generator().manual_seed(4)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.4)

    def forward(self, frames: Tensor) -> Tensor:
        assert frames.shape[-2] % 8 == 0
        assert min(frames.shape[-2:]) >= 16
        self.batches.append(len(frames))
        return torch.tanh(self.second(torch.sin(self.gain * self.first(frames))))


class Echo(Network):
    """Returns its input as colors."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, frames: Tensor) -> Tensor:
        return frames.expand(-1, 3, -1, -1) * self.weight


def model_of(network: Network, size: int = 32, reduction: int | None = 4) -> TranslationModel:
    card = ModelCard(
        architecture="pix2pix_unet",
        task="translation",
        value_range="signed",
        trained_size=size,
        prepare=None if reduction is None else PrepareSettings(reduction=reduction),
    )
    return TranslationModel(card, network)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def photograph(seed: int = 0, side: int = 160) -> Tensor:
    """`[3,side,side]` with shapes of many sizes."""
    generator = torch.Generator().manual_seed(seed)
    picture = torch.zeros(1, 3, side, side)
    for size in (3, 6, 12, 24, 48):
        layer = torch.randn(1, 3, size, size, generator=generator)
        picture += F.interpolate(layer, (side, side), mode="bicubic") / size
    return ((picture - picture.mean()) / picture.std() * 0.22 + 0.3 + 0.3 * (seed % 2)).clamp(0.0, 1.0)[0]


def panned(picture: Tensor, count: int, step: int = 2, side: int = 48) -> Tensor:
    return torch.stack([picture[:, 40 : 40 + side, step * t : step * t + side] for t in range(count)])


@pytest.mark.parametrize("fit", ["whole", "crop", "letterbox"])
@pytest.mark.parametrize("size", [(1, 1), (1, 37), (32, 32), (33, 31), (90, 20), (16, 300), (100, 130)])
def test_output_has_the_size_of_the_frames(fit: str, size: tuple[int, int]) -> None:
    output = translate(model_of(Texture()), noise(3, 3, *size), fit=fit)
    assert output.shape == (3, 3, *size)
    assert torch.isfinite(output).all()
    assert output.min() >= 0.0
    assert output.max() <= 1.0


def test_whole_and_letterbox_keep_everything_in_its_place_and_crop_keeps_the_middle() -> None:
    frames = F.interpolate(noise(1, 1, 5, 8), (40, 64), mode="bilinear").expand(-1, 3, -1, -1)
    for fit in ("whole", "letterbox"):
        output = translate(model_of(Echo(), size=64, reduction=1), frames, fit=fit)
        assert (output - frames).abs().mean() < 0.02
    output = translate(model_of(Echo(), size=40, reduction=1), frames, fit="crop")
    torch.testing.assert_close(output[..., 12:52], frames[..., 12:52], atol=1e-5, rtol=0.0)
    assert not output[..., :12].any()
    assert not output[..., 52:].any()


def test_gray_rgb_and_rgba_frames_enter() -> None:
    model = model_of(Texture())
    gray = noise(2, 1, 32, 40)
    expected = translate(model, gray.expand(-1, 3, -1, -1))
    torch.testing.assert_close(translate(model, gray), expected)
    rgba = torch.cat([gray.expand(-1, 3, -1, -1), noise(2, 1, 32, 40, seed=5)], 1)
    torch.testing.assert_close(translate(model, rgba), expected)


def test_values_that_are_not_colors_do_no_harm() -> None:
    frames = noise(3, 3, 32, 32)
    frames[0, :, 3, 3] = float("nan")
    frames[1, :, 3, 3] = float("inf")
    assert torch.isfinite(translate(model_of(Texture()), frames, smooth_output=0.5)).all()


def test_result_does_not_depend_on_how_many_frames_the_network_sees_at_once() -> None:
    frames = torch.cat([panned(photograph(1), 7), panned(photograph(2), 4)])
    options = {"smooth_input": 0.3, "smooth_output": 0.5, "controls": LiveControls(stretch="percentile")}
    outputs = [translate(model_of(Texture()), frames, frames_per_batch=count, **options) for count in (1, 4, 50)]
    assert torch.equal(outputs[0], outputs[1])
    assert torch.equal(outputs[0], outputs[2])


def test_on_a_cpu_the_network_sees_frame_by_frame_and_the_progress_comes_in_batches() -> None:
    network = Texture()
    done: list[tuple[int, int]] = []
    translate(model_of(network), noise(10, 3, 32, 32), frames_per_batch=4, progress=lambda *now: done.append(now))
    assert network.batches == [1] * 10
    assert done == [(4, 10), (8, 10), (10, 10)]


def test_what_the_progress_hook_raises_passes_through() -> None:
    class CancelledError(BaseException):
        pass

    network = Texture()

    def cancel(done: int, total: int) -> None:
        raise CancelledError

    with pytest.raises(CancelledError):
        translate(model_of(network), noise(10, 3, 32, 32), frames_per_batch=2, progress=cancel)
    assert network.batches == [1, 1]


@pytest.mark.parametrize("smoothing", [0.0, 0.6])
def test_static_input_gives_identical_consecutive_frames(smoothing: float) -> None:
    frames = photograph(3)[None, :, :50, :70].expand(11, -1, -1, -1)
    output = translate(model_of(Texture()), frames, smooth_input=smoothing, smooth_output=smoothing, frames_per_batch=4)
    for frame in output[1:]:
        assert torch.equal(frame, output[0])


def test_same_input_gives_the_same_output_and_touches_no_global_randomness() -> None:
    frames, model, again = panned(photograph(3), 5), model_of(Texture()), model_of(Texture())
    state = torch.get_rng_state()
    first = translate(model, frames, smooth_output=0.4)
    assert torch.equal(first, translate(again, frames, smooth_output=0.4))
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("where", ["smooth_input", "smooth_output"])
def test_panning_varies_less_over_time_with_smoothing(where: str) -> None:
    frames = panned(photograph(4), 24)
    model = model_of(Texture(gain=3.0))
    plain = translate(model, frames)
    smooth = translate(model, frames, **{where: 0.6})
    assert smooth.var(0).mean() < plain.var(0).mean()
    assert (smooth[1:] - smooth[:-1]).abs().mean() < 0.9 * (plain[1:] - plain[:-1]).abs().mean()


def test_a_hard_cut_is_recovered_from_at_once() -> None:
    frames = torch.cat([panned(photograph(1), 10), panned(photograph(2), 6)])
    model = model_of(Texture())
    alone = translate(model, frames[10:], smooth_input=0.7, smooth_output=0.7)
    after = translate(model, frames, smooth_input=0.7, smooth_output=0.7)[10:]
    torch.testing.assert_close(after, alone, atol=2e-5, rtol=0.0)


def test_cuts_are_found_between_scenes_and_not_in_a_pan() -> None:
    scenes = [panned(photograph(seed), 12, step=4) for seed in range(4)]
    cuts = CutDetector()(torch.cat(scenes))
    assert [number for number, cut in enumerate(cuts) if cut] == [0, 12, 24, 36]


def test_a_pan_that_starts_fast_is_taken_for_motion_after_one_frame() -> None:
    wild = torch.stack([noise(3, 16, 16, seed=seed) for seed in range(8)])
    assert CutDetector()(wild) == [True, True] + [False] * 6


def test_smoothing_is_the_stated_recursion_also_over_parts() -> None:
    frames = noise(6, 2, 3, 3)
    expected, old = [], None
    for frame in frames:
        old = frame if old is None else 0.3 * old + 0.7 * frame
        expected.append(old)
    smoothing = ExponentialSmoothing(0.3)
    parts = [smoothing(frames[:2], [False] * 2), smoothing(frames[2:], [False] * 4)]
    torch.testing.assert_close(torch.cat(parts), torch.stack(expected))


def test_contrast_is_the_same_throughout_a_clip() -> None:
    still = photograph(5)[:, :64, :64]
    frames = torch.stack([still * 0.5 + 0.2, still * 0.5 + 0.2, still, still * 0.5 + 0.2])
    translator = FrameTranslator(model_of(Echo(), size=64, reduction=1), controls=LiveControls(stretch="percentile"))
    translator.measure([frames])
    output = torch.cat([translator(frame[None]) for frame in frames])
    assert torch.equal(output[0], output[3])


def test_seen_is_the_input_of_the_network() -> None:
    frames = noise(2, 3, 64, 96)
    translator = FrameTranslator(model_of(Echo(), size=64, reduction=8))
    expected = prepare(frames, PrepareSettings(reduction=8))
    torch.testing.assert_close(translator.prepare_input(frames), expected, atol=1e-6, rtol=0.0)
    # The reduction counts at the size that the network works at, whatever the size of the frames.
    large = F.interpolate(frames, scale_factor=3.0, mode="bilinear")
    shown = F.interpolate(translator.prepare_input(large), (64, 96), mode="area")
    torch.testing.assert_close(shown, expected, atol=0.02, rtol=0.0)


def test_a_model_without_settings_gets_the_colors_as_they_are() -> None:
    frames = noise(2, 3, 32, 32)
    model = model_of(Echo(), reduction=None)
    torch.testing.assert_close(translate(model, frames), frames, atol=1e-6, rtol=0.0)
    with pytest.raises(ValueError, match="reads color pictures"):
        translate(model, frames, controls=LiveControls())


def test_other_settings_than_the_models_own_can_be_given() -> None:
    frames = noise(1, 3, 32, 32)
    sharp = translate(model_of(Echo()), frames, settings=PrepareSettings(reduction=1))
    soft = translate(model_of(Echo()), frames)
    assert sharp.std() > 2.0 * soft.std()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fit": "tile"}, "unknown fit 'tile'"),
        ({"size": 0}, "size is 0"),
        ({"frames_per_batch": 0}, "frames_per_batch is 0"),
        ({"smooth_output": 1.0}, "smoothing is 1.0"),
    ],
)
def test_options_that_do_not_fit_are_rejected_by_name(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        translate(model_of(Texture()), noise(1, 3, 32, 32), **change)


def test_shapes_that_are_not_frames_are_rejected() -> None:
    for frames in (torch.zeros(3, 32, 32), torch.zeros(0, 3, 32, 32), torch.zeros(1, 2, 32, 32)):
        with pytest.raises(ValueError, match="frames have shape"):
            translate(model_of(Texture()), frames)
    with pytest.raises(ValueError, match=r"torch\.uint8"):
        translate(model_of(Texture()), torch.zeros(1, 3, 8, 8, dtype=torch.uint8))


def test_an_output_that_is_not_finite_is_rejected() -> None:
    class Broken(Texture):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x) * torch.nan

    with pytest.raises(ValueError, match="not finite"):
        translate(model_of(Broken()), noise(2, 3, 32, 32))
