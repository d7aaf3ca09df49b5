"""Translation models on disk."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from inpaint_core import CheckpointError, load_model, save_model, translate
from inpaint_core.checkpoints.description import describe_model
from inpaint_core.checkpoints.prepare_settings import InputStatistics, PrepareSettings
from inpaint_core.checkpoints.translation_model import TranslationModel

from .small_model import small_model

SETTINGS = PrepareSettings(reduction=5, statistics=InputStatistics(mean=0.4, std=0.1, low=0.2, high=0.6))


def model(prepare: PrepareSettings | None = SETTINGS, channels: int = 1) -> TranslationModel:
    return small_model(prepare, channels)


@pytest.mark.parametrize("half", [False, True])
def test_a_saved_model_translates_as_before_with_its_own_settings(tmp_path: Path, half: bool) -> None:
    before = model()
    save_model(before, tmp_path / "m.safetensors", half=half)
    after = load_model(tmp_path / "m.safetensors")
    assert isinstance(after, TranslationModel)
    assert after.card == before.card
    assert after.card.prepare == SETTINGS
    frames = torch.rand(2, 3, 40, 33, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        translate(after, frames), translate(before, frames), atol=2e-3 if half else 1e-5, rtol=0.0
    )


def test_a_card_that_feeds_its_network_wrongly_is_rejected(tmp_path: Path) -> None:
    for wrong in (model(prepare=None, channels=1), model(channels=3)):
        save_model(wrong, tmp_path / "m.safetensors")
        with pytest.raises(CheckpointError, match=r"reads \d channels, but its card specifies \d"):
            load_model(tmp_path / "m.safetensors")


def test_predictions_have_any_size_and_do_not_depend_on_the_batch() -> None:
    translator = model()
    for height, width in ((1, 1), (7, 30), (64, 24)):
        inputs = torch.rand(3, 1, height, width, generator=torch.Generator().manual_seed(height))
        together = translator.predict(inputs)
        assert together.shape == (3, 3, height, width)
        alone = torch.cat([translator.predict(one[None]) for one in inputs])
        torch.testing.assert_close(together, alone, atol=1e-5, rtol=0.0)


def test_a_clone_shares_nothing() -> None:
    first = model()
    second = first.clone()
    with torch.no_grad():
        next(second.network.parameters()).zero_()
    assert next(first.network.parameters()).abs().sum() > 0


def test_the_description_states_the_input() -> None:
    assert "reduced by a factor of 5" in describe_model(model())
    assert "color pictures as they are" in describe_model(model(None, 3))
    assert "hole" not in describe_model(model())
