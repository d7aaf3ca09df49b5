"""prepare(): against OpenCV, and the same in training and inference."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from inpaint_core.checkpoints.card import ModelCard
from inpaint_core.checkpoints.prepare_settings import InputStatistics, PrepareSettings
from inpaint_core.files.images import decode_image
from inpaint_core.translation import LiveControls, measure_clip, prepare
from inpaint_core.translation.resampling import area_matrix, enlarge_cubic, reduce_area

cv2 = pytest.importorskip("cv2")

KODAK = Path(__file__).parents[3] / "shared" / "data" / "test" / "kodak"
SHIPPED = (
    "astronaut.png",
    "chelsea.png",
    "coffee.png",
    "hubble_deep_field.jpg",
    "ihc.png",
    "motorcycle_left.png",
    "motorcycle_right.png",
    "retina.jpg",
    "rocket.jpg",
    "camera.png",
)


def photographs() -> list[Path]:
    if KODAK.is_dir():
        return sorted(KODAK.glob("*.png"))[:10]
    import skimage

    folder = Path(os.path.dirname(skimage.__file__), "data")
    return [folder / name for name in SHIPPED if (folder / name).is_file()]


def opencv_reference(rgb: np.ndarray, reduction: int, eight_bit: bool) -> np.ndarray:
    height, width = rgb.shape[:2]
    small = (max(1, round(width / reduction)), max(1, round(height / reduction)))
    if eight_bit:
        gray = cv2.cvtColor((rgb * 255.0).round().astype(np.uint8), cv2.COLOR_RGB2GRAY)
    else:
        gray = (rgb @ np.array([0.299, 0.587, 0.114])).astype(np.float32)
    enlarged = cv2.resize(
        cv2.resize(gray, small, interpolation=cv2.INTER_AREA), (width, height), interpolation=cv2.INTER_CUBIC
    )
    return enlarged / 255.0 if eight_bit else enlarged.clip(0.0, 1.0)


@pytest.mark.parametrize("eight_bit", [False, True])
def test_equals_opencv_area_then_cubic_within_two_levels_on_photographs(eight_bit: bool) -> None:
    paths = photographs()
    assert len(paths) >= 9
    worst = 0.0
    for path in paths:
        image = decode_image(path).image
        for crop in (image, image[:, :256, :256]):
            expected = opencv_reference(crop.permute(1, 2, 0).numpy(), 24, eight_bit)
            ours = prepare(crop[None], PrepareSettings())[0, 0].numpy()
            worst = max(worst, float(np.abs(ours - expected).max()) * 255.0)
    print(f"largest difference on {len(paths)} photographs: {worst:.4f} levels of 255")
    assert worst <= 2.0


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 70), st.integers(1, 70), st.integers(1, 40), st.integers(0, 2**31))
def test_resampling_equals_opencv_for_every_size(height: int, width: int, reduction: int, seed: int) -> None:
    gray = torch.rand(1, 1, height, width, generator=torch.Generator().manual_seed(seed))
    size = (max(1, round(height / reduction)), max(1, round(width / reduction)))
    small = reduce_area(gray, size)
    expected = cv2.resize(gray[0, 0].numpy(), size[::-1], interpolation=cv2.INTER_AREA).reshape(size)
    np.testing.assert_allclose(small[0, 0].numpy(), expected, atol=2e-3)
    large = enlarge_cubic(small, (height, width))
    expected = cv2.resize(small[0, 0].numpy(), (width, height), interpolation=cv2.INTER_CUBIC).reshape(height, width)
    np.testing.assert_allclose(large[0, 0].numpy(), expected, atol=1e-4)


def test_area_weights_are_the_integral_of_the_pixels() -> None:
    fine = 60
    for source, target in ((10, 3), (7, 7), (5, 1), (12, 5)):
        values = torch.rand(source, dtype=torch.float64, generator=torch.Generator().manual_seed(source))
        steps = values.repeat_interleave(target * fine).reshape(target, -1).mean(1)
        torch.testing.assert_close(area_matrix(source, target) @ values, steps)
    with pytest.raises(ValueError, match="cannot enlarge 3 pixels to 5"):
        area_matrix(3, 5)


def test_gray_is_the_stated_formula() -> None:
    frames = torch.rand(2, 3, 9, 7, generator=torch.Generator().manual_seed(0))
    expected = 0.299 * frames[:, 0] + 0.587 * frames[:, 1] + 0.114 * frames[:, 2]
    gray = prepare(frames, PrepareSettings(reduction=1))
    torch.testing.assert_close(gray[:, 0], expected)
    torch.testing.assert_close(prepare(gray, PrepareSettings(reduction=1)), gray)


def test_abstracted_input_is_one_channel_in_range_and_independent_of_the_batch() -> None:
    frames = torch.rand(5, 3, 64, 96, generator=torch.Generator().manual_seed(1)).round()
    together = prepare(frames, PrepareSettings(reduction=8))
    assert together.shape == (5, 1, 64, 96)
    assert together.min() >= 0.0
    assert together.max() <= 1.0
    for index, frame in enumerate(frames):
        torch.testing.assert_close(prepare(frame[None], PrepareSettings(reduction=8))[0], together[index])


def test_random_changes_only_with_a_generator_and_within_their_bounds() -> None:
    frames = torch.full((200, 3, 48, 48), 0.5)
    frames[:, :, :, 24:] = 0.6
    options = PrepareSettings(reduction=1)
    plain = prepare(frames, options)
    assert torch.equal(plain, prepare(frames, options))
    varied = prepare(frames, options, generator=torch.Generator().manual_seed(3))
    assert torch.equal(varied, prepare(frames, options, generator=torch.Generator().manual_seed(3)))
    brightness = (varied - plain).mean((1, 2, 3))
    contrast = (varied[..., -1] - varied[..., 0]).mean((1, 2)) / 0.1
    assert -0.2 <= brightness.min() < -0.15
    assert 0.15 < brightness.max() <= 0.2
    assert 0.85 <= contrast.min() < 0.88
    assert 1.12 < contrast.max() <= 1.15001


def test_two_halves_of_a_batch_are_varied_like_the_whole() -> None:
    frames = torch.rand(6, 3, 24, 24, generator=torch.Generator().manual_seed(1))
    whole = prepare(frames, PrepareSettings(reduction=4), generator=torch.Generator().manual_seed(9))
    generator = torch.Generator().manual_seed(9)
    halves = [prepare(part, PrepareSettings(reduction=4), generator=generator) for part in frames.split(3)]
    torch.testing.assert_close(torch.cat(halves), whole)


def test_the_global_random_state_is_not_touched() -> None:
    before = torch.get_rng_state()
    prepare(torch.rand(2, 3, 8, 8, generator=torch.Generator()), PrepareSettings(), generator=torch.Generator())
    assert torch.equal(before, torch.get_rng_state())


def test_settings_are_read_back_from_the_card_unchanged() -> None:
    statistics = InputStatistics(mean=0.4, std=0.2, low=0.05, high=0.9)
    chosen = PrepareSettings(reduction=13, brightness=0.1, contrast=0.3, statistics=statistics)
    card = ModelCard(architecture="pix2pix_unet", task="translation", prepare=chosen)
    assert ModelCard.model_validate(json.loads(card.model_dump_json())).prepare == chosen


@pytest.mark.parametrize("wrong", [{"reduction": 0}, {"reduction": 1e9}, {"brightness": -0.1}, {"gray": 1}])
def test_settings_out_of_bounds_are_rejected(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        PrepareSettings.model_validate(wrong)


def test_shapes_that_are_not_frames_are_rejected_by_name() -> None:
    with pytest.raises(ValueError, match=r"\[2, 4, 8, 8\]"):
        prepare(torch.zeros(2, 4, 8, 8), PrepareSettings())


def test_weights_made_under_inference_mode_serve_a_training_later() -> None:
    with torch.inference_mode():
        prepare(torch.rand(1, 3, 37, 41, generator=torch.Generator()), PrepareSettings(reduction=5))
    scale = torch.ones(1, requires_grad=True)
    prepare(
        torch.rand(1, 3, 37, 41, generator=torch.Generator()) * scale, PrepareSettings(reduction=5)
    ).sum().backward()
    assert scale.grad is not None


# --- live controls ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def gray() -> torch.Tensor:
    image = decode_image(photographs()[0]).image[None, :, :200, :240]
    return prepare(image, PrepareSettings(reduction=1))


def untouched(gray: torch.Tensor, **controls: object) -> np.ndarray:
    out = prepare(gray, PrepareSettings(reduction=1), controls=LiveControls.model_validate(controls))
    return out[0, 0].numpy()


def test_controls_that_are_off_change_nothing(gray: torch.Tensor) -> None:
    assert np.array_equal(untouched(gray), gray[0, 0].numpy())


def test_blur_median_threshold_canny_and_invert_equal_opencv(gray: torch.Tensor) -> None:
    picture = gray[0, 0].numpy()
    bytes_ = (picture * 255.0).round().astype(np.uint8)
    # up to 9 taps OpenCV takes rounded tables instead of the formula
    np.testing.assert_allclose(untouched(gray, blur=6), cv2.GaussianBlur(picture, (13, 13), 0), atol=1e-5)
    np.testing.assert_allclose(untouched(gray, blur=4), cv2.GaussianBlur(picture, (9, 9), 0), atol=2e-3)
    np.testing.assert_allclose(untouched(gray, median=3), cv2.medianBlur(bytes_, 7) / 255.0, atol=1e-6)
    thresholded = cv2.threshold(picture, 0.4, 1.0, cv2.THRESH_TOZERO)[1]
    np.testing.assert_allclose(untouched(gray, threshold=0.4), thresholded, atol=1e-6)
    np.testing.assert_allclose(untouched(gray, canny=(100, 200)), cv2.Canny(bytes_, 100, 200) / 255.0, atol=1e-6)
    np.testing.assert_allclose(untouched(gray, invert=True), 1.0 - picture, atol=1e-6)


def test_controls_are_applied_in_the_stated_order(gray: torch.Tensor) -> None:
    picture = cv2.GaussianBlur(gray[0, 0].numpy(), (13, 13), 0)
    picture = cv2.medianBlur((picture * 255.0).round().astype(np.uint8), 3).astype(np.float32) / 255.0
    picture = cv2.threshold(picture, 0.3, 1.0, cv2.THRESH_TOZERO)[1]
    picture = cv2.Canny((picture * 255.0).round().astype(np.uint8), 50, 120) / 255.0
    ours = untouched(gray, blur=6, median=1, threshold=0.3, canny=(50, 120), invert=True)
    assert (np.abs(ours - (1.0 - picture)) > 0.01).mean() < 0.01


def test_zoom_shows_the_center_and_shift_moves_it() -> None:
    frame = torch.zeros(1, 3, 40, 40)
    frame[..., 15:25, 15:25] = 1.0
    options = PrepareSettings(reduction=1)
    zoomed = prepare(frame, options, controls=LiveControls(zoom=2.0))
    assert abs(float(zoomed.sum()) - 400.0) < 1.0
    moved = prepare(frame, options, controls=LiveControls(shift_x=0.25, shift_y=-0.25))
    torch.testing.assert_close(moved[0, 0, 5:15, 25:35], torch.ones(10, 10))


@pytest.mark.parametrize("stretch", ["percentile", "clahe"])
def test_a_stretch_maps_dull_frames_to_the_training_statistics(stretch: str, gray: torch.Tensor) -> None:
    dull = 0.45 + 0.1 * gray
    target = InputStatistics(mean=0.5, std=0.2, low=0.1, high=0.9)
    options = PrepareSettings(reduction=4, statistics=target)
    out = prepare(dull, options, controls=LiveControls.model_validate({"stretch": stretch}))
    measured = measure_clip(out, PrepareSettings(reduction=1))
    if stretch == "percentile":
        assert abs(measured.low - 0.1) < 0.01
        assert abs(measured.high - 0.9) < 0.01
    else:
        assert abs(measured.mean - 0.5) < 0.03
        assert abs(measured.std - 0.2) < 0.03


def test_a_flat_frame_stays_finite_under_every_stretch() -> None:
    for stretch in ("percentile", "clahe"):
        out = prepare(
            torch.full((1, 3, 32, 32), 0.5),
            PrepareSettings(),
            controls=LiveControls.model_validate({"stretch": stretch}),
        )
        assert torch.isfinite(out).all()
