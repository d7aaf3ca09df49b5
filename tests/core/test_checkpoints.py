"""Promise: a checkpoint is one file that needs no flags, and a bad one is rejected with one line."""

import json
import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from inpaint_core import CheckpointError, load_model, save_model
from inpaint_core.checkpoints import embedded
from inpaint_core.checkpoints.card import ModelCard
from inpaint_core.checkpoints.files import CARD_KEY
from inpaint_core.checkpoints.inpainting_model import InpaintingModel
from inpaint_core.models import build_model

ARGUMENTS = {"width": 4, "depth": 2}


@pytest.fixture
def model():
    card = ModelCard(
        architecture="unet",
        arguments=ARGUMENTS,
        fill=(0.1, 0.2, 0.3),
        trained_size=64,
        steps=7,
        name="tiny",
        data="nothing",
    )
    return InpaintingModel(card, build_model("unet", **ARGUMENTS))


@pytest.fixture
def path(model, tmp_path):
    target = tmp_path / "model.safetensors"
    save_model(model, target)
    return target


def rewrite(path, *, card=None, change=None):
    """The same file with another card (as JSON or text) or other weights."""
    model = load_model(path)
    tensors = {key: value.clone() for key, value in model.network.state_dict().items()}
    if change:
        change(tensors)
    text = card if isinstance(card, str) else json.dumps({**json.loads(model.card.model_dump_json()), **(card or {})})
    save_file(tensors, path, metadata={CARD_KEY: text})


def refusal(path) -> str:
    with pytest.raises(CheckpointError) as caught:
        load_model(path)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_model_is_loaded_unchanged_without_flags(model, path):
    loaded = load_model(path)
    assert loaded.card == model.card
    for key, value in model.network.state_dict().items():
        assert torch.equal(loaded.network.state_dict()[key], value)
    assert not loaded.network.training


def test_half_precision_saves_half_the_weights_bytes_and_loads_as_float32(model, path, tmp_path):
    small = tmp_path / "half.safetensors"
    save_model(model, small, half=True)
    parameters = sum(value.numel() for value in model.network.parameters())
    assert path.stat().st_size - small.stat().st_size >= 2 * parameters - 8
    assert all(value.dtype == torch.float32 for value in load_model(small).network.parameters())


def test_a_model_loaded_in_inference_mode_can_be_fine_tuned(path):
    with torch.inference_mode():
        loaded = load_model(path)
    loaded.network(torch.rand(1, 3, 8, 8), torch.zeros(1, 1, 8, 8)).sum().backward()


def test_a_missing_file_is_named(tmp_path):
    assert "no such model file" in refusal(tmp_path / "absent.safetensors")


@pytest.mark.parametrize("suffix", [".pth", ".ckpt", ".pt", ".bin"])
def test_a_pickle_is_rejected_unopened_with_the_way_to_convert_it(tmp_path, suffix):
    path = tmp_path / f"model{suffix}"
    path.write_bytes(b"\x80\x04.")
    assert "inpaint_core convert" in refusal(path)


@pytest.mark.parametrize("keep", [0, 4, 100, 0.5, 0.99])
def test_a_truncated_file_is_called_damaged(path, keep):
    data = path.read_bytes()
    path.write_bytes(data[: int(keep * len(data)) if isinstance(keep, float) else keep])
    assert "damaged" in refusal(path)


def test_a_header_that_claims_gigabytes_is_called_damaged(path):
    path.write_bytes(struct.pack("<Q", 2**40) + path.read_bytes()[8:])
    assert "damaged" in refusal(path)


def test_a_foreign_safetensors_file_is_rejected(tmp_path):
    path = tmp_path / "other.safetensors"
    save_file({"x": torch.zeros(1)}, path)
    assert "not a Liminal model" in refusal(path)


@pytest.mark.parametrize(
    ("card", "expected"),
    [
        ({"architecture": "nonsense"}, "unknown architecture 'nonsense'"),
        ({"architecture": "patch_of_grass" * 100}, "architecture"),
        ({"arguments": {"width": 10**6}}, "width = 1000000"),
        ({"arguments": {"depth": 10**9}}, "depth"),
        ({"arguments": {"bogus": 1}}, "bogus"),
        ({"arguments": {"width": [1]}}, "arguments.width"),
        ({"fill": [0.0, 0.0, 5.0]}, "fill"),
        ({"format": 99}, "newer version"),
        ({"task": "translation"}, "translation"),
        ("[1, 2]", "card is invalid"),
        ("{not json", "not JSON"),
        ("[" * 50_000, "not JSON"),
        ("x" * 200_000, "200000 characters"),
    ],
)
def test_a_card_that_contradicts_the_weights_is_rejected(path, card, expected):
    rewrite(path, card=card)
    assert expected in refusal(path)


def test_missing_extra_and_misshapen_weights_are_named(path):
    data = path.read_bytes()
    for change, expected in [
        (lambda tensors: tensors.pop("head.1.bias"), "1 missing (first: 'head.1.bias')"),
        (lambda tensors: tensors.update(extra=torch.zeros(1)), "1 extra (first: 'extra')"),
        (lambda tensors: tensors.update({"head.1.bias": torch.zeros(5)}), "has shape [5], but its card requires [3]"),
        (lambda tensors: tensors["head.1.bias"].fill_(float("nan")), "NaN"),
    ]:
        path.write_bytes(data)
        rewrite(path, change=change)
        assert expected in refusal(path)


def test_weights_that_are_not_finite_are_never_written_and_the_old_file_is_kept(model, path):
    before = path.read_bytes()
    with torch.no_grad():
        next(model.network.parameters()).fill_(float("inf"))
    with pytest.raises(CheckpointError, match="not finite"):
        save_model(model, path)
    assert path.read_bytes() == before
    assert [item.name for item in path.parent.iterdir()] == [path.name]


def test_a_failed_write_leaves_the_old_file_and_no_litter(model, path, monkeypatch):
    before = path.read_bytes()

    def full_disk(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full_disk)
    with pytest.raises(OSError, match="No space"):
        save_model(model, path)
    assert path.read_bytes() == before
    assert [item.name for item in path.parent.iterdir()] == [path.name]


def test_a_name_stands_for_an_embedded_model(model, tmp_path, monkeypatch):
    monkeypatch.setattr(embedded, "FOLDER", tmp_path)
    save_model(model, tmp_path / "own.safetensors")
    assert load_model("own").card == model.card
    with pytest.raises(CheckpointError, match=r"other: no such model file, and no embedded model of that name \(own\)"):
        load_model("other")
