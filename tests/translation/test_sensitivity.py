"""The score falls to 0 for a network that ignores its input, and says so."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from inpaint_core.checkpoints.prepare_settings import PrepareSettings
from inpaint_core.translation import prepare
from inpaint_core.translation.sensitivity import COLLAPSED, Sensitivity, measure_sensitivity


@pytest.fixture
def inputs() -> Tensor:
    frames = torch.rand(6, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    return prepare(frames, PrepareSettings(reduction=8))


def faithful(inputs: Tensor) -> Tensor:
    return inputs.expand(-1, 3, -1, -1)


def test_a_network_that_ignores_its_input_scores_nothing(inputs: Tensor) -> None:
    slide = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    sensitivity = measure_sensitivity(lambda frames: slide.expand(len(frames), -1, -1, -1), inputs)
    assert sensitivity.score == 0.0
    assert sensitivity.collapsed
    assert "mode collapse" in sensitivity.advice()
    assert "pictures" in sensitivity.advice()


def test_a_network_that_keeps_brightness_scores_one(inputs: Tensor) -> None:
    sensitivity = measure_sensitivity(faithful, inputs)
    assert sensitivity.shifted == pytest.approx(1.0)
    assert sensitivity.inverted == pytest.approx(1.0)
    assert sensitivity.replaced == pytest.approx(1.0)
    assert not sensitivity.collapsed


def test_the_score_falls_with_the_part_of_the_input_that_is_followed(inputs: Tensor) -> None:
    for part in (0.5, 0.2, COLLAPSED - 0.01):
        sensitivity = measure_sensitivity(lambda frames, part=part: 0.5 + part * (faithful(frames) - 0.5), inputs)
        assert sensitivity.score == pytest.approx(part, rel=1e-3)
    assert sensitivity.collapsed


def test_a_network_that_sees_only_the_mean_brightness_is_caught_by_the_shift(inputs: Tensor) -> None:
    sensitivity = measure_sensitivity(
        lambda frames: faithful(frames.mean((2, 3), keepdim=True).expand_as(frames)), inputs
    )
    assert sensitivity.shifted < COLLAPSED
    assert sensitivity.collapsed


def test_each_number_is_the_quotient_of_mean_absolute_differences(inputs: Tensor) -> None:
    def square(frames: Tensor) -> Tensor:
        return faithful(frames**2)

    shifted = torch.cat([inputs[..., :1].repeat(1, 1, 1, 4), inputs[..., :-4]], -1)
    expected = Sensitivity(
        *(
            float((square(other) - square(inputs)).abs().mean() / (other - inputs).abs().mean())
            for other in (shifted, 1.0 - inputs, torch.cat([inputs[-1:], inputs[:-1]]))
        )
    )
    measured = measure_sensitivity(square, inputs)
    assert measured.shifted == pytest.approx(expected.shifted, rel=1e-4)
    assert measured.inverted == pytest.approx(expected.inverted, rel=1e-4)
    assert measured.replaced == pytest.approx(expected.replaced, rel=1e-4)


def test_one_picture_is_not_enough(inputs: Tensor) -> None:
    with pytest.raises(ValueError, match="two inputs"):
        measure_sensitivity(faithful, inputs[:1])
