"""Checkpoints, feature files and public files that are inconsistent or of another kind: one clean line, and nothing is
used."""

from __future__ import annotations

import json
import math
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from inpaint_core import CheckpointError, load_model, save_model
from inpaint_core.__main__ import main
from inpaint_core.checkpoints import CARD_KEY, read_card, weights
from inpaint_core.checkpoints.card import ModelCard
from inpaint_core.checkpoints.description import describe_model
from inpaint_core.checkpoints.formats import identify_foreign
from inpaint_core.checkpoints.inpainting_model import InpaintingModel
from inpaint_core.checkpoints.weights import set_pass_limit
from inpaint_core.foreign.reading import read_weights
from inpaint_core.losses.features import FeaturesError, features_from_weights, load_features
from inpaint_core.models import build_model
from inpaint_core.text import one_line

ARGUMENTS = {"width": 4, "depth": 2, "norm": "batch"}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    card = ModelCard(architecture="unet", arguments=ARGUMENTS, trained_size=64, name="tiny")
    path = tmp_path / "model.safetensors"
    save_model(InpaintingModel(card, build_model("unet", **ARGUMENTS)), path)
    return path


def rewrite(path: Path, weights=None, **card) -> None:
    """Replace weights and fields of the card."""
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        fields = json.loads(file.metadata()[CARD_KEY]) | card
    save_file(load_file(path) | (weights or {}), path, metadata={CARD_KEY: json.dumps(fields)})


def refusal(path: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        load_model(path)
    message = str(caught.value)
    assert message.isprintable()
    assert len(message) <= 1000
    return message


def first_weight(path: Path) -> tuple[str, torch.Tensor]:
    return next((key, value) for key, value in sorted(load_file(path).items()) if value.ndim == 4)


@pytest.mark.parametrize(
    "kind", [torch.int32, torch.int64, torch.uint8, torch.bool, torch.complex64, torch.float8_e5m2]
)
def test_weights_that_are_not_real_numbers_are_rejected(model, kind):
    key, value = first_weight(model)
    rewrite(model, {key: value.to(kind)})
    assert key in refusal(model)


@pytest.mark.parametrize("kind", [torch.float64, torch.float16, torch.bfloat16])
def test_real_numbers_of_every_precision_are_read_as_float32(model, kind):
    rewrite(model, {key: value.to(kind) for key, value in load_file(model).items() if value.is_floating_point()})
    assert {parameter.dtype for parameter in load_model(model).network.parameters()} == {torch.float32}


@pytest.mark.parametrize("value", [1e300, float("inf"), float("nan"), -1e39])
def test_a_number_that_float32_does_not_hold_is_rejected(model, value):
    key, weight = first_weight(model)
    rewrite(model, {key: torch.full_like(weight, 1.0, dtype=torch.float64) * value})
    assert key in refusal(model)


def test_weights_whose_output_is_not_finite_are_rejected(model):
    rewrite(model, {key: torch.full_like(v, 3e38) for key, v in load_file(model).items() if v.ndim == 4})
    assert "not finite" in refusal(model)


def test_a_fill_that_overflows_for_some_pictures_alone_is_rejected_and_not_written(model, tmp_path, capsys):
    weights = load_file(model)
    key = next(key for key in weights if key.startswith("decoder") and weights[key].ndim == 4)
    weights[key].view(-1)[0] = 3e38
    rewrite(model, weights)
    picture = np.random.default_rng(0).integers(0, 256, (40, 48, 3), dtype=np.uint8)
    hole = np.zeros((40, 48), np.uint8)
    hole[10:25, 12:30] = 255
    Image.fromarray(picture).save(tmp_path / "a.png")
    Image.fromarray(hole).save(tmp_path / "m.png")
    files = ["--image", str(tmp_path / "a.png"), "--mask", str(tmp_path / "m.png"), "--out", str(tmp_path / "b.png")]
    assert main(["inpaint", "--model", str(model), *files]) == 2
    assert "not finite" in capsys.readouterr().err
    assert not (tmp_path / "b.png").exists()


def test_a_variance_below_zero_is_rejected(model):
    key = next(key for key in load_file(model) if key.endswith("running_var"))
    rewrite(model, {key: torch.full_like(load_file(model)[key], -5.0)})
    assert "variance" in refusal(model)


@pytest.mark.parametrize("size", [0, 16385, 10**9])
def test_a_card_cannot_ask_for_an_endless_picture(model, size):
    rewrite(model, trained_size=size)
    assert "trained_size" in refusal(model)


def test_a_pass_that_costs_too_much_is_rejected_before_it_is_made(model, monkeypatch):
    rewrite(model, trained_size=512)
    load_model(model)  # four times 8 channels of 512x512 floats are 32 MiB
    rewrite(model, trained_size=8192)  # with 8 channels, of 8192x8192 8 GiB
    load_model(model)
    monkeypatch.setattr(weights, "_limit", weights.MAX_PASS_GIB)  # restored afterwards
    set_pass_limit(7.5)
    said = refusal(model)
    assert "one pass at its training size of 8192 pixels takes about 8 GiB, but only 7.5 are allowed" in said
    assert "raise the limit with --pass-gib 8" in said
    assert main(["info", "--pass-gib", "8", str(model)]) == 0


@pytest.mark.parametrize("value", ["0", "-1", "nan"])
def test_a_limit_that_is_no_number_above_0_is_named(model, capsys, value):
    assert main(["info", f"--pass-gib={value}", str(model)]) == 2
    assert f"a limit of {value} GiB" in capsys.readouterr().err


def test_a_header_of_megabytes_is_rejected_before_it_is_parsed(model):
    header = json.dumps(
        {f"z{n}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for n in range(100_000)}
    ).encode()
    model.write_bytes(struct.pack("<Q", len(header)) + header)
    assert "header" in refusal(model)


HOSTILE = "a\nb\x1b[2J\u202egood\u2028c\t\x9bd"


def test_texts_of_a_card_stay_on_their_line(model, capsys):
    rewrite(model, name=HOSTILE, data=HOSTILE, licence=HOSTILE, version=HOSTILE, metrics={HOSTILE: 1.0})
    lines = describe_model(load_model(model)).split("\n")
    assert all(line.isprintable() for line in lines)
    assert sum(line.startswith("name") for line in lines) == 1
    assert main(["info", str(model)]) == 0
    assert capsys.readouterr().out.count("\n") == len(lines)
    assert read_card(model).name.isprintable()
    assert load_model(model).card.name.isprintable()


@pytest.mark.parametrize("field", ["architecture", "task", "value_range", "prepare", "fill", "steps"])
def test_a_hostile_text_in_any_field_is_rejected_in_one_line(model, field):
    rewrite(model, **{field: HOSTILE})
    refusal(model)


def test_hostile_names_of_arguments_and_weights_are_rejected_in_one_line(model):
    rewrite(model, {HOSTILE: torch.zeros(1)})
    refusal(model)
    rewrite(model, arguments={**ARGUMENTS, HOSTILE: 1})
    refusal(model)


def test_one_line_is_one_line():
    assert one_line("a  b\n\nc\x1b[0m") == "a b c\\x1b[0m"
    assert one_line("\u202eabc") == "\\u202eabc"
    assert one_line("x" * 5000, 20) == "x" * 17 + "..."
    assert one_line("h\xe9llo \u6f22\u5b57") == "h\xe9llo \u6f22\u5b57"


FOREIGN = {
    "a.h5": (b"\x89HDF\r\n\x1a\n" + bytes(100), "HDF5"),
    "a.pth": (b"\x89HDF\r\n\x1a\n" + bytes(100), "HDF5"),
    "a.pb": (b"\n\x10abc" * 50, "TensorFlow"),
    "a.onnx": (b"\x08\x07\x12\x07pytorch" + bytes(50), "ONNX"),
    "a.tflite": (b"\x1c\0\0\0TFL3" + bytes(50), "TensorFlow Lite"),
    "a.ckpt": (bytes(100) + bytes.fromhex("57fb808b247547db")[::-1], "TensorFlow checkpoint"),
    "a.ckpt.data-00000-of-00001": (bytes(100), "TensorFlow checkpoint"),
    "a.gguf": (b"GGUF" + bytes(50), "GGUF"),
    "b.pth": (b"<!DOCTYPE html><html>", "web page"),
    "c.pth": (b"version https://git-lfs.github.com/spec/v1\noid", "Git LFS"),
    "d.safetensors": (b"<html><body>", "web page"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_file_of_another_program_is_recognized(tmp_path, name, capsys):
    content, word = FOREIGN[name]
    path = tmp_path / name
    path.write_bytes(content)
    assert word in (identify_foreign(path) or "")
    with pytest.raises(CheckpointError, match=word):
        load_model(path)
    if path.suffix != ".safetensors":
        assert main(["convert", str(path), "--out", str(tmp_path / "o.safetensors")]) == 2
        said = capsys.readouterr().err
        assert word in said
        assert "state_dict" not in said
        assert said.count("\n") == 1


def test_pytorchs_own_files_are_not_taken_for_foreign_ones(tmp_path):
    for name in ("a.pth", "b.ckpt", "c.pb"):
        torch.save({"x": torch.zeros(2)}, tmp_path / name)
        assert identify_foreign(tmp_path / name) is None


def nested(levels: int) -> dict:
    content: dict = {"x": torch.zeros(1)}
    for _ in range(levels):
        content = {"model": content}
    return content


def circular() -> dict:
    content: dict = {}
    content["state_dict"] = {"model": content}
    return content


PUBLIC = {
    "a dictionary in itself": circular,
    "nested 100 times": lambda: nested(100),
    "3000 prefixes": lambda: {"module." * 3000 + "x": torch.zeros(1)},
    "spread over 4 TB": lambda: {"w.weight": torch.zeros(1).expand(1000, 1000, 1000, 1000)},
    "a name of a megabyte": lambda: {"x\n" * 500_000: torch.zeros(1)},
}


@pytest.mark.parametrize("case", PUBLIC)
def test_hostile_public_files_are_rejected_in_one_line(tmp_path, case, capsys):
    torch.save(PUBLIC[case](), tmp_path / "a.pth")
    assert main(["convert", str(tmp_path / "a.pth"), "--out", str(tmp_path / "o.safetensors")]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert len(said) < 1200


def test_a_compressed_archive_is_rejected_before_it_is_expanded(tmp_path):
    with zipfile.ZipFile(tmp_path / "bomb.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(2**26))
    with pytest.raises(CheckpointError, match="expands"):
        read_weights(tmp_path / "bomb.pth")


def vgg(**changes: torch.Tensor) -> dict[str, torch.Tensor]:
    """The layout of the normalized VGG-19 encoder with few channels."""
    widths = {0: (3, 3, 1), 2: (3, 4, 3), 5: (4, 4, 3), 9: (4, 6, 3), 12: (6, 6, 3), 16: (6, 8, 3)}
    weights = {}
    for index, (read, written, side) in widths.items():
        weights[f"{index}.weight"] = torch.randn(
            written, read, side, side, generator=torch.Generator().manual_seed(index)
        )
        weights[f"{index}.bias"] = torch.zeros(written)
    return weights | changes


BAD_FEATURES = {
    "whole numbers": {"5.weight": torch.ones(4, 4, 3, 3, dtype=torch.int32)},
    "flat": {"5.weight": torch.ones(144)},
    "NaN": {"9.bias": torch.full((6,), math.nan)},
    "infinite as float32": {"9.bias": torch.full((6,), 1e300, dtype=torch.float64)},
    "other channels": {"9.weight": torch.ones(6, 5, 3, 3)},
    "another side": {"9.weight": torch.ones(6, 4, 5, 5)},
    "a bias of another length": {"9.bias": torch.zeros(7)},
    "no bias": {"9.bias": torch.zeros(())},
}


@pytest.mark.parametrize("kind", BAD_FEATURES)
def test_damaged_feature_files_are_rejected(tmp_path, kind):
    save_file(vgg(**BAD_FEATURES[kind]), tmp_path / "f.safetensors")
    with pytest.raises(FeaturesError, match=r"f\.safetensors: layer|channels") as caught:
        load_features(tmp_path / "f.safetensors")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("kind", [torch.float16, torch.float64])
def test_feature_files_of_other_precisions_are_read(kind):
    extractor = features_from_weights({key: value.to(kind) for key, value in vgg().items()}, "f")
    assert all(torch.isfinite(maps).all() for maps in extractor(torch.rand(1, 3, 32, 32)))
