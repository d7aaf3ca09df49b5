"""The inpainting nodes, on a network with random weights: input from the host, and what it gets back."""

from __future__ import annotations

import pytest
import torch

from inpaint_core.checkpoints.card import ModelCard
from inpaint_core.checkpoints.files import save_model
from inpaint_core.checkpoints.inpainting_model import InpaintingModel
from inpaint_core.inpainting.classical import CLASSICAL_METHODS
from inpaint_core.inpainting.inpaint import inpaint
from inpaint_core.models import build_model

DEFAULTS = dict(strategy="auto", grow=0, feather=8, blend="alpha", color_match=False, invert_mask=False, threshold=0.5)


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def network() -> InpaintingModel:
    return InpaintingModel(ModelCard(architecture="encoder_decoder"), build_model("encoder_decoder"))


@pytest.fixture
def model(host, network):
    return host.hosted(network)


def hole(height: int, width: int, count: int = 1) -> torch.Tensor:
    mask = torch.zeros(count, height, width)
    mask[:, height // 4 : height // 2 + 1, width // 4 : width // 2 + 1] = 1.0
    return mask


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("size", [(1, 1), (7, 31), (64, 48)])
def test_known_pixels_and_alpha_are_untouched(nodes, model, channels, size):
    image, mask = random(2, *size, channels), hole(*size)
    result = nodes.Inpaint.execute(model, image, mask, **DEFAULTS)[0]
    assert result.shape == (2, *size, max(channels, 3))
    known = mask[0] == 0
    assert torch.equal(result[:, known, :3], image[:, known, :3].expand(-1, -1, 3))
    if channels == 4:
        assert torch.equal(result[..., 3], image[..., 3])


def test_the_result_lives_where_images_live(nodes, model):
    result = nodes.Inpaint.execute(model, random(1, 40, 40, 3).half(), hole(40, 40), **DEFAULTS)[0]
    assert result.dtype == torch.float32
    assert result.is_contiguous()
    assert 0.0 <= result.min() <= result.max() <= 1.0


def test_the_node_gives_what_the_core_gives(nodes, model, network):
    image, mask = random(1, 40, 56, 3), hole(40, 56)
    expected = inpaint(network, image.movedim(-1, 1), mask[:, None], "whole", 3, 4, "poisson", True).movedim(1, -1)
    settings = DEFAULTS | dict(strategy="whole", grow=3, feather=4, blend="poisson", color_match=True)
    assert torch.equal(nodes.Inpaint.execute(model, image, mask, **settings)[0], expected)


@pytest.mark.parametrize(("images", "masks"), [(1, 3), (3, 1), (3, 3)])
def test_one_serves_many(nodes, model, images, masks):
    result = nodes.Inpaint.execute(model, random(images, 16, 16, 3), hole(16, 16, masks), **DEFAULTS)[0]
    assert result.shape == (3, 16, 16, 3)


def test_other_counts_are_named(nodes, model):
    with pytest.raises(ValueError, match=r"2 images and 3 masks"):
        nodes.Inpaint.execute(model, random(2, 16, 16, 3), hole(16, 16, 3), **DEFAULTS)


def test_the_hosts_placeholder_mask_changes_nothing(nodes, model):
    image = random(1, 100, 80, 3)
    assert torch.equal(nodes.Inpaint.execute(model, image, torch.zeros(1, 64, 64), **DEFAULTS)[0], image)


def test_an_inverted_mask_is_the_other_mask(nodes, model):
    image, mask = random(1, 40, 40, 3), hole(40, 40)
    inverted = nodes.Inpaint.execute(model, image, 1 - mask, **DEFAULTS | dict(invert_mask=True))[0]
    assert torch.equal(inverted, nodes.Inpaint.execute(model, image, mask, **DEFAULTS)[0])


def test_the_host_is_asked_for_the_models_memory(nodes, model):
    import comfy.model_management

    nodes.Inpaint.execute(model, random(2, 32, 32, 3), hole(32, 32), **DEFAULTS)
    (call,) = comfy.model_management.calls
    assert call[:2] == ("load_models_gpu", [model.patcher.model])
    assert call[2] >= 2 * 32 * 32 * 64 * 4


@pytest.mark.parametrize("method", CLASSICAL_METHODS)
def test_classical_fills_keep_known_pixels_and_alpha(nodes, host, method):
    image, mask = random(1, 20, 24, 4), hole(20, 24)
    result = nodes.ClassicalFillNode.execute(image, mask, method, 0, False, 0.5)[0]
    known = mask[0] == 0
    assert torch.equal(result[:, known], image[:, known])
    assert torch.equal(result[..., 3], image[..., 3])
    assert not torch.equal(result, image)


def test_a_model_is_loaded_from_the_model_folder_also_in_inference_mode(nodes, host, network, tmp_path):
    save_model(network, tmp_path / "comfyui" / "models" / "liminal" / "small.safetensors")
    with torch.inference_mode():
        loaded = nodes.LoadModel.execute("small.safetensors")[0]
    weights = list(loaded.model.network.parameters())
    assert not any(weight.is_inference() for weight in weights)
    assert all(torch.equal(a, b) for a, b in zip(weights, network.network.parameters(), strict=True))


def test_loading_again_happens_only_when_the_file_changed(nodes, host, network, tmp_path):
    import os

    file = tmp_path / "comfyui" / "models" / "liminal" / "small.safetensors"
    save_model(network, file)
    first = nodes.LoadModel.fingerprint_inputs("small.safetensors")
    assert nodes.LoadModel.fingerprint_inputs("small.safetensors") == first
    os.utime(file, ns=(1, 1))
    assert nodes.LoadModel.fingerprint_inputs("small.safetensors") != first


def test_without_models_the_list_says_so_and_loading_is_a_one_line_error(nodes, host, monkeypatch):
    monkeypatch.setattr(host, "embedded_models", dict)
    (choice,) = nodes.LoadModel.define_schema().inputs[0].options["options"]
    with pytest.raises(ValueError, match=r"not in the list of models; refresh the list"):
        nodes.LoadModel.execute(choice)


def test_a_model_of_the_pack_is_there_on_a_fresh_machine(nodes):
    assert "unet-natural" in nodes.LoadModel.define_schema().inputs[0].options["options"]
    loaded = nodes.LoadModel.execute("unet-natural")[0]
    assert loaded.model.card.name == "unet-natural"


def test_model_info_says_what_the_model_is(nodes, model):
    output = nodes.ModelInfo.execute(model)
    assert "encoder_decoder" in output[0]
    assert output.ui.as_dict()["text"] == (output[0],)


def test_a_mask_without_effect_is_logged(nodes, caplog):
    image = random(1, 40, 56, 4)
    image[:, 10:20, :, 3] = 0.0
    cases = {
        "The mask is empty": torch.zeros(1, 40, 56),
        "covers the whole picture": torch.ones(1, 40, 56),
        "a different aspect ratio": hole(40, 40),
        "invisible": hole(40, 56),
    }
    for said, mask in cases.items():
        caplog.clear()
        nodes.ClassicalFillNode.execute(image, mask, method="mean", grow=0, invert_mask=False, threshold=0.5)
        assert said in caplog.text
    caplog.clear()
    nodes.ClassicalFillNode.execute(
        image[..., :3], hole(40, 56), method="mean", grow=0, invert_mask=False, threshold=0.5
    )
    assert not caplog.text


def test_patches_are_copied_from_where_the_inputs_say(nodes, model):
    image = torch.zeros(1, 40, 60, 3)
    image[:, :, :30] = 0.25
    mask = torch.zeros(1, 40, 60)
    mask[:, 12:28, 20:36] = 1.0
    allowed = torch.zeros(1, 40, 60)
    allowed[:, :, 40:] = 1.0
    sources = torch.full((2, 20, 20, 3), 0.75)

    def filled(**inputs):
        return nodes.ClassicalFillNode.execute(image, mask, "patches", 0, False, 0.5, **inputs)[0][:, 12:28, 20:36]

    assert torch.equal(filled(allowed=allowed), torch.zeros(1, 16, 16, 3))
    assert torch.equal(filled(allowed=torch.zeros(1, 64, 64)), filled())  # the host's empty mask restricts nothing
    nowhere = torch.zeros(1, 40, 60)
    nowhere[:, 0, 0] = 1.0
    assert torch.equal(filled(allowed=nowhere, sources=sources), torch.full((1, 16, 16, 3), 0.75))
    guided = DEFAULTS | dict(feather=0, detail="patches", allowed=nowhere, sources=sources)
    assert torch.equal(
        nodes.Inpaint.execute(model, image, mask, **guided)[0][:, 12:28, 20:36],
        filled(**{"allowed": nowhere, "sources": sources}),
    )
    with pytest.raises(ValueError, match="disconnect sources"):
        filled(sources=sources, copy_frames=True)
