"""Exported models, run by onnxruntime: the same pictures as in torch, for every architecture and any size."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from inpaint_core import save_model, translate
from inpaint_core.__main__ import main
from inpaint_core.checkpoints.card import ModelCard
from inpaint_core.checkpoints.inpainting_model import InpaintingModel
from inpaint_core.checkpoints.prepare_settings import PrepareSettings
from inpaint_core.checkpoints.translation_model import TranslationModel
from inpaint_core.export import ExportError, export_model, onnx_file
from inpaint_core.models import ARCHITECTURES, build_model, exemplar_montage, pull_push
from inpaint_core.translation.resampling import linear_matrix

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

ROOT = Path(__file__).parents[2]
KINDS = [
    pytest.param(name, head, id=f"{name}-{head or 'plain'}")
    for name, architecture in ARCHITECTURES.items()
    if architecture.task != "discriminator"
    for head in (("detailed",) if name == "unet" else (None,))
]


@pytest.fixture(autouse=True)
def small_graphs(monkeypatch):
    """Enough grids for the pictures here, and few rounds: each of them takes a while to export."""
    monkeypatch.setattr(pull_push, "TRACED_GRIDS", 8)
    monkeypatch.setattr(exemplar_montage, "ROUNDS", 4)
    monkeypatch.setattr(onnx_file, "PROBES", 3)


def small_model(name, head=None):
    architecture = ARCHITECTURES[name]
    arguments = dict(architecture.small) | ({"head": head} if head else {})
    if architecture.task == "translation" and "input_channels" in architecture.arguments.model_fields:
        arguments["input_channels"] = 1
    network = build_model(name, **arguments)
    for parameter in network.parameters():  # a fresh residual head would add nothing
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.1, generator=torch.Generator().manual_seed(1))
    prepare = PrepareSettings(reduction=4) if architecture.task == "translation" else None
    card = ModelCard(
        architecture=name,
        arguments=arguments,
        task=architecture.task,
        value_range=architecture.value_range_of(arguments),
        prepare=prepare,
        trained_size=64,
        name="small",
        licence="CC BY 2.0",
    )
    return (TranslationModel if prepare else InpaintingModel)(card, network)


def picture(height, width, seed=0):
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, 4, 4, generator=generator)
    noise = torch.rand(1, 3, height, width, generator=generator)
    return F.interpolate(coarse, (height, width), mode="bilinear") * 0.8 + 0.2 * noise


def opened(path):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def run(**inputs):
        return torch.from_numpy(session.run(None, {name: value.numpy() for name, value in inputs.items()})[0])

    return run


def close_everywhere(result, expected, network):
    """A network that chooses between pieces may choose another one where two fit equally well."""
    close = ((result - expected).abs() <= 1e-4).float().mean()
    return close > 0.5 if network.exact else close == 1.0


@pytest.mark.parametrize(("name", "head"), KINDS)
def test_an_exported_model_gives_torch_pictures_at_any_size(name, head, tmp_path):
    model = small_model(name, head)
    found = export_model(model, tmp_path / "model.onnx", None)
    assert found.agreeing >= (1 if model.network.exact else found.pictures)
    run = opened(tmp_path / "model.onnx")
    for height, width in ((64, 64), (51, 90)):
        image = picture(height, width)
        if isinstance(model, TranslationModel):
            assert close_everywhere(run(image=image), translate(model, image), model.network)
            continue
        some, nothing, everything = torch.zeros(3, 1, 1, height, width)
        some[..., height // 3 : height // 2 + 1, width // 4 : width // 2 + 1] = 1.0
        everything += 1.0
        for mask in (some, nothing, everything):
            result, known = run(image=image, mask=mask), mask.expand_as(image) == 0
            assert torch.equal(result[known], image[known])
            expected = torch.where(mask > 0.5, model.complete(image, mask), image)
            assert close_everywhere(result, expected, model.network)


@pytest.mark.parametrize(("source", "target"), [(7, 7), (100, 31), (31, 100), (1, 9), (9, 1), (256, 255)])
def test_linear_resizing_equals_antialiased_interpolation(source, target):
    row = torch.rand(1, 1, 1, source, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    expected = F.interpolate(row, (1, target), mode="bilinear", antialias=True, align_corners=False)
    assert torch.allclose(row @ linear_matrix(source, target).T, expected, atol=1e-6)


def test_the_command_writes_a_file_of_the_given_size_with_name_and_licence(tmp_path, capsys):
    save_model(small_model("encoder_decoder"), tmp_path / "model.safetensors")
    out = tmp_path / "model.onnx"
    assert main(["export", str(tmp_path / "model.safetensors"), "--out", str(out), "--size", "80x64"]) == 0
    assert "3 agree" in capsys.readouterr().out
    written = onnx.load(out)
    assert {prop.key: prop.value for prop in written.metadata_props}["licence"] == "CC BY 2.0"
    sides = [dim.dim_value for dim in written.graph.input[0].type.tensor_type.shape.dim]
    assert sides == [1, 3, 64, 80]


@pytest.mark.parametrize(
    ("out", "size", "said"),
    [
        ("model.pt", "64", "must end in .onnx"),
        ("model.onnx", "64x", "must be a number of pixels"),
        ("model.onnx", "0", "sides must be from 1"),
        ("model.onnx", "99999", "sides must be from 1"),
    ],
)
def test_a_wrong_name_or_size_is_one_sentence(out, size, said, tmp_path, capsys):
    save_model(small_model("unet"), tmp_path / "model.safetensors")
    model = str(tmp_path / "model.safetensors")
    assert main(["export", model, "--out", str(tmp_path / out), "--size", size]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / out).exists()


def test_a_file_that_differs_from_torch_is_not_written(tmp_path, monkeypatch):
    traced = onnx_file._traced

    def damaged(graph, size):
        data = onnx.load_from_string(traced(graph, size))
        for weight in data.graph.initializer:
            values = onnx.numpy_helper.to_array(weight)
            if values.dtype == np.float32:
                weight.CopyFrom(onnx.numpy_helper.from_array(values * np.float32(1.05), weight.name))
        return data.SerializeToString()

    monkeypatch.setattr(onnx_file, "_traced", damaged)
    with pytest.raises(ExportError, match="differs from torch by"):
        export_model(small_model("unet"), tmp_path / "model.onnx", (64, 64))
    assert not list(tmp_path.iterdir())


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_file, "find_spec", lambda name: None)
    with pytest.raises(ExportError, match=r"liminal-inpaint\[onnx\]"):
        export_model(small_model("unet"), tmp_path / "model.onnx", (64, 64))


def test_the_page_in_the_documentation_uses_the_names_of_the_file():
    page = (ROOT / "docs/export.md").read_text()
    (script,) = re.findall(r"<script type=\"module\">\n(.*?)</script>", page, re.DOTALL)
    assert len(script.splitlines()) <= 25
    assert "{ image: new ort.Tensor" in script
    assert "const { translated }" in script
