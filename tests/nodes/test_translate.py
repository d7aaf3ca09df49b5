"""The Learning to See nodes, on networks with random weights."""

from __future__ import annotations

import pytest
import torch

from inpaint_core.checkpoints.card import ModelCard
from inpaint_core.checkpoints.inpainting_model import InpaintingModel
from inpaint_core.checkpoints.prepare_settings import InputStatistics, PrepareSettings
from inpaint_core.checkpoints.translation_model import TranslationModel
from inpaint_core.models import build_model
from inpaint_core.translation import FrameTranslator, LiveControls, prepare, translate

from ..translation.small_model import small_model

SETTINGS = PrepareSettings(reduction=6, statistics=InputStatistics(low=0.2, high=0.7))
PREPARE = dict(reduction=24, contrast="none", zoom=1.0, shift_x=0.0, shift_y=0.0, blur=0, median=0, threshold=0.0)
PREPARE |= dict(edges=False, edges_low=100.0, edges_high=200.0, invert=False)
TRANSLATE = dict(fit="whole", size=0, smooth_input=0.0, smooth_output=0.0, frames_per_batch=8, prepared=False)


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def network() -> TranslationModel:
    return small_model(SETTINGS, depth=4)


@pytest.fixture
def model(host, network):
    return host.hosted(network)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("size", [(1, 1), (33, 47), (64, 40)])
def test_output_has_the_number_and_size_of_the_input(nodes, model, channels, size):
    result = nodes.translate.LearningToSeeTranslate.execute(model, random(3, *size, channels), **TRANSLATE)[0]
    assert result.shape == (3, *size, 3)
    assert result.is_contiguous()
    assert 0.0 <= result.min() <= result.max() <= 1.0


def test_the_nodes_give_what_the_core_gives(nodes, model, network):
    image = random(4, 40, 56, 3)
    planes = image.movedim(-1, 1)
    settings = TRANSLATE | dict(fit="letterbox", size=48, smooth_output=0.5, frames_per_batch=3)
    result = nodes.translate.LearningToSeeTranslate.execute(model, image, **settings)[0]
    expected = translate(network, planes, fit="letterbox", size=48, smooth_output=0.5)
    torch.testing.assert_close(result, expected.movedim(1, -1), atol=1e-5, rtol=0.0)
    prepared = nodes.translate.LearningToSeePrepare.execute(
        image, **PREPARE | dict(contrast="percentile", zoom=1.5, edges=True), model=model
    )[0]
    controls = LiveControls(zoom=1.5, canny=(100.0, 200.0), stretch="percentile")
    expected = FrameTranslator(network, controls=controls).prepare_input(planes).expand(-1, 3, -1, -1)
    assert torch.equal(prepared, expected.movedim(1, -1))


def test_prepare_then_translate_is_translate(nodes, model):
    smooth = torch.nn.functional.interpolate(random(2, 3, 5, 6), (64, 80), mode="bicubic").clamp(0.0, 1.0)
    image = smooth.movedim(1, -1)
    prepared = nodes.translate.LearningToSeePrepare.execute(image, **PREPARE, model=model)[0]
    translate_node = nodes.translate.LearningToSeeTranslate
    together = translate_node.execute(model, prepared, **TRANSLATE | dict(prepared=True))[0]
    torch.testing.assert_close(translate_node.execute(model, image, **TRANSLATE)[0], together, atol=0.02, rtol=0.0)


def test_without_a_model_the_nodes_own_reduction_counts(nodes, host):
    image = random(1, 48, 48, 3)
    prepared = nodes.translate.LearningToSeePrepare.execute(image, **PREPARE | dict(reduction=8))[0]
    expected = prepare(image.movedim(-1, 1), PrepareSettings(reduction=8))
    assert torch.equal(prepared[..., 0], expected[:, 0])


def test_progress_is_shown_and_cancel_stops_between_batches(nodes, host, model):
    import comfy.model_management
    import comfy.utils

    node = nodes.translate.LearningToSeeTranslate
    node.execute(model, random(6, 32, 32, 3), **TRANSLATE | dict(frames_per_batch=2))
    assert [update[0] if isinstance(update, tuple) else update for update in comfy.utils.updates] == [2, 4, 6]
    comfy.model_management.interrupted = True
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        node.execute(model, random(6, 32, 32, 3), **TRANSLATE | dict(frames_per_batch=2))


def test_works_under_the_hosts_inference_mode(nodes, model):
    with torch.inference_mode():
        result = nodes.translate.LearningToSeeTranslate.execute(model, random(2, 32, 32, 3), **TRANSLATE)[0]
    assert torch.isfinite(result).all()


def test_models_for_another_task_are_rejected_with_one_line(nodes, host, model):
    inpainter = host.hosted(InpaintingModel(ModelCard(architecture="unet"), build_model("unet", width=4, depth=2)))
    with pytest.raises(ValueError, match="this is an inpainting model"):
        nodes.translate.LearningToSeeTranslate.execute(inpainter, random(1, 32, 32, 3), **TRANSLATE)
    with pytest.raises(ValueError, match="this is a translation model"):
        nodes.Inpaint.execute(
            model,
            random(1, 32, 32, 3),
            torch.ones(1, 32, 32),
            strategy="whole",
            grow=0,
            feather=0,
            blend="alpha",
            color_match=False,
            invert_mask=False,
            threshold=0.5,
        )
