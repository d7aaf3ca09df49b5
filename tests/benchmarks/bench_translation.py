"""Frames per second of the Learning to See recipes: `pytest tests/benchmarks/bench_translation.py`.

End to end at 256 x 256: prepare, network, smoothing. On a CPU with torch's default number of threads; on a GPU, if
there is one, the networks alone, timed by events, in half precision and eagerly in float32.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from inpaint_core.checkpoints.card import ModelCard
from inpaint_core.checkpoints.files import load_model, save_model
from inpaint_core.checkpoints.inference_form import optimize
from inpaint_core.checkpoints.inpainting_model import to_range
from inpaint_core.checkpoints.translation_model import TranslationModel
from inpaint_core.models import build_model
from inpaint_core.models.registry import find_architecture
from inpaint_core.translation import FrameTranslator
from training.config import load_recipe

RECIPES = ("l2s_fast", "l2s_unet", "l2s_resnet", "see_flowers")
cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")


def model_of(recipe: str, folder: Path, device: str) -> TranslationModel:
    """A model with fresh weights, loaded from a file as in practice."""
    config = load_recipe(recipe)
    arguments = dict(config.model.arguments)
    card = ModelCard(
        architecture=config.model.architecture,
        arguments=arguments,
        task="translation",
        value_range=find_architecture(config.model.architecture).value_range,
        trained_size=config.data.size,
        prepare=config.objective.prepare,
    )
    file = folder / f"{recipe}.safetensors"
    save_model(TranslationModel(card, build_model(card.architecture, **arguments)), file)
    model = load_model(file, device)
    assert isinstance(model, TranslationModel)
    return model


def milliseconds(call: Callable[[], object], count: int = 100) -> float:
    """Time on the GPU of one of many calls in a row, by events."""
    for _ in range(20):
        call()
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    start.record()
    for _ in range(count):
        call()
    end.record()
    end.synchronize()
    return start.elapsed_time(end) / count


@pytest.mark.parametrize("recipe", RECIPES)
def test_frames_a_second_on_the_processor(benchmark, tmp_path: Path, recipe: str) -> None:
    translator = FrameTranslator(optimize(model_of(recipe, tmp_path, "cpu")), smooth_output=0.5)
    frame = torch.rand(1, 3, 256, 256, generator=torch.Generator().manual_seed(0))
    benchmark.pedantic(translator, (frame,), rounds=20 if recipe in ("l2s_fast", "see_flowers") else 4, warmup_rounds=2)
    print(f"\n{recipe}: {1.0 / benchmark.stats.stats.median:.1f} frames/s with {torch.get_num_threads()} threads")


@cuda
@pytest.mark.parametrize("recipe", RECIPES)
def test_frames_a_second_on_the_gpu(tmp_path: Path, recipe: str) -> None:
    model = model_of(recipe, tmp_path, "cuda")
    inputs = torch.rand(1, 1, 256, 256, device="cuda", generator=torch.Generator("cuda").manual_seed(0))
    fed = to_range(inputs, model.card.value_range)
    fast = optimize(model)
    with torch.no_grad():
        half = milliseconds(lambda: fast.predict(inputs))
        eager = milliseconds(lambda: model.network(fed))
    print(f"\n{recipe}: {1000 / half:.0f} frames/s, eager float32 {1000 / eager:.0f}")
