"""Conversion of public checkpoints, against networks that read the public layouts directly."""

from __future__ import annotations

import collections
import json
import os
import pickle
import random
import sys
import types
import zipfile

import pytest
import torch

from inpaint_core import CheckpointError, load_model, save_model
from inpaint_core.__main__ import main
from inpaint_core.foreign import convert_checkpoint

from . import public_layouts as public


def save(folder, content, name="weights.pth", **options):
    path = folder / name
    torch.save(content, path, **options)
    return path


def picture(size, channels=3, batch=2):
    return torch.rand(batch, channels, size, size, generator=torch.Generator().manual_seed(0))


def holes(size, batch=2):
    mask = torch.zeros(batch, 1, size, size)
    mask[0, :, size // 4 : size // 2, size // 8 : -size // 4] = 1
    mask[-1, :, : size // 3, size // 3 :] = 1
    return mask


def close(ours, theirs):
    return float((ours - theirs).abs().max()) < 1e-4


@pytest.mark.parametrize("depth", [6, 7, 8])
@torch.no_grad()
def test_partial_convolution_with_mask_convolutions(tmp_path, depth):
    weights = public.naoto_weights(depth, 4)
    conversion = convert_checkpoint(
        save(tmp_path, {"n_iter": 1000, "model": dict(weights), "optimizer": {"state": {}}})
    )
    card = conversion.model.card
    assert (card.architecture, card.value_range, card.steps) == ("pconv_unet", "imagenet", 1000)
    assert card.arguments["depth"] == depth
    assert len(conversion.dropped) == 2 * depth
    image, mask = picture(256), holes(256)
    theirs = public.naoto_forward(weights, image, mask, depth)
    assert close(conversion.model.complete(image, mask), theirs.clamp(0, 1))
    assert 0.05 < float(theirs.std()) < 5


@torch.no_grad()
def test_partial_convolution_without_normalization_and_with_the_doubled_ratio(tmp_path):
    weights = public.tanimutomo_weights(4)
    conversion = convert_checkpoint(save(tmp_path, {"n_iter": 5, "model": dict(weights), "optimizer": {}}))
    assert conversion.model.card.arguments["legacy_double_ratio"] is True
    assert sorted(conversion.dropped) == ["dec_8.conv.weight", "enc_8.conv.weight"]
    image, mask = picture(256), holes(256)
    theirs = public.tanimutomo_forward(weights, image, mask)
    assert 0.05 < float(theirs.std()) < 5
    assert close(conversion.model.network(image, mask), theirs)
    assert close(conversion.model.complete(image, mask), theirs.clamp(0, 1))


@torch.no_grad()
def test_completion_network_with_mask_channel_and_the_mean_pixel_of_its_configuration(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"mpv": [0.2, 0.4, 0.6]}))
    (tmp_path / "phase_3").mkdir()
    weights = public.glcic_weights(4, 8)
    conversion = convert_checkpoint(save(tmp_path / "phase_3", collections.OrderedDict(weights), "model_cn_step400000"))
    assert conversion.model.card.fill == (0.2, 0.4, 0.6)
    assert conversion.model.card.arguments["norm_after_activation"] is True
    image, mask = picture(256), holes(256)
    filled = torch.where(mask > 0, torch.tensor([0.2, 0.4, 0.6]).view(1, 3, 1, 1), image)
    assert close(conversion.model.complete(image, mask), public.glcic_forward(weights, filled, mask))


@torch.no_grad()
def test_completion_network_without_mask_channel(tmp_path):
    weights = public.glcic_weights(3, 8)
    content = {"epoch": 7, "model_state_dict": dict(weights), "optimizer_state_dict": {}, "loss": 0.5}
    conversion = convert_checkpoint(save(tmp_path, content))
    assert conversion.model.card.fill == pytest.approx((0.4381295423217147,) * 3)
    image, mask = picture(256), holes(256)
    filled = torch.where(mask > 0, torch.tensor(0.4381295423217147), image)
    assert close(conversion.model.complete(image, mask), public.glcic_forward(weights, filled, mask))


@pytest.mark.parametrize("network", ["unet", "encoder_decoder", "pooled_encoder_decoder"])
@torch.no_grad()
def test_landscape_networks_from_lightning(tmp_path, network):
    weights = getattr(public, f"landscape_{network}_weights")(8)
    content = {"epoch": 3, "global_step": 99, "state_dict": {f"model.{key}": value for key, value in weights.items()}}
    conversion = convert_checkpoint(save(tmp_path, content, "model.ckpt"))
    assert (conversion.model.card.architecture, conversion.model.card.steps) == (network.removeprefix("pooled_"), 99)
    image, mask = picture(256), holes(256)
    theirs = getattr(public, f"landscape_{network}_forward")(weights, image * (1 - mask), mask)
    assert close(conversion.model.complete(image, mask), theirs.clamp(0, 1))
    assert float(theirs.std()) > 0.01


class StoredNetwork(torch.nn.Module):
    """Pickled under the landscape trainer's name for its network; fails the test if it is unpickled."""

    __module__ = "src.models"
    __qualname__ = "UNet"

    def __init__(self):
        super().__init__()
        self.encoder1 = torch.nn.Sequential(torch.nn.Conv2d(6, 8, 3, padding="same"), torch.nn.BatchNorm2d(8))

    def __setstate__(self, state):
        raise AssertionError("a class named in the file was used")


@pytest.fixture
def lightning_file(tmp_path, monkeypatch):
    """A checkpoint as written by Lightning if the network is one of the saved hyperparameters."""
    names = types.ModuleType("src.models")
    names.UNet = StoredNetwork
    monkeypatch.setitem(sys.modules, "src", types.ModuleType("src"))
    monkeypatch.setitem(sys.modules, "src.models", names)
    weights = {f"model.{key}": value for key, value in public.landscape_unet_weights(8).items()}

    def write(**extra):
        parameters = {"model": StoredNetwork(), "config": {"loss": "mse"}, **extra}
        return save(tmp_path, {"state_dict": weights, "global_step": 7, "hyper_parameters": parameters}, "model.ckpt")

    return write


def test_a_network_stored_as_an_object_next_to_its_weights_is_ignored(lightning_file):
    allowed = torch.serialization.get_safe_globals()
    conversion = convert_checkpoint(lightning_file())
    assert (conversion.model.card.architecture, conversion.model.card.steps) == ("unet", 7)
    assert set(torch.serialization.get_safe_globals()) == set(allowed)


def test_code_next_to_a_network_stored_as_an_object_is_rejected_without_running_it(lightning_file, tmp_path):
    path = lightning_file(callback=Dangerous(tmp_path / "trap"))
    with pytest.raises(CheckpointError, match="rejected without running anything"):
        convert_checkpoint(path)
    assert not (tmp_path / "trap").exists()


@pytest.mark.parametrize("old_statistics", [False, True])
@pytest.mark.parametrize("batch", [True, False])
@pytest.mark.parametrize(("depth", "inputs", "prefix"), [(8, 3, ""), (7, 3, "module."), (8, 1, "")])
@torch.no_grad()
def test_pix2pix_u_nets(tmp_path, depth, inputs, prefix, batch, old_statistics):
    weights = public.pix2pix_unet_weights(depth, 4, inputs, batch, old_statistics)
    path = save(tmp_path, {prefix + key: value for key, value in weights.items()}, "latest_net_G.pth")
    conversion = convert_checkpoint(path)
    card = conversion.model.card
    assert card.arguments == {
        "input_channels": inputs,
        "width": 4,
        "depth": depth,
        "norm": "batch" if batch else "instance",
    }
    assert (card.task, card.value_range) == ("translation", "signed")
    frames = picture(256, inputs)
    theirs = public.pix2pix_unet_forward(weights, frames * 2 - 1, depth)
    assert close(conversion.model.predict(frames), theirs / 2 + 0.5)


@pytest.mark.parametrize("batch", [True, False])
@pytest.mark.parametrize(("blocks", "dropout", "prefix"), [(9, False, ""), (6, True, "module.")])
@torch.no_grad()
def test_pix2pix_residual_generators(tmp_path, blocks, dropout, prefix, batch):
    weights = public.pix2pix_resnet_weights(blocks, 4, 3, batch, dropout)
    conversion = convert_checkpoint(save(tmp_path, {prefix + key: value for key, value in weights.items()}))
    assert conversion.model.card.arguments["blocks"] == blocks
    frames = picture(256)
    theirs = public.pix2pix_resnet_forward(weights, frames * 2 - 1, blocks, dropout)
    assert close(conversion.model.predict(frames), theirs / 2 + 0.5)
    assert float(theirs.std()) > 0.1


@torch.no_grad()
def test_the_command_writes_a_file_that_loads_and_reports_every_weight(tmp_path, capsys):
    weights = public.naoto_weights(6, 2)
    source, target = save(tmp_path, {"model": dict(weights)}), tmp_path / "out.safetensors"
    assert main(["convert", str(source), "--out", str(target), "--fill", "0.1", "0.2", "0.3"]) == 0
    report = capsys.readouterr().out
    moved = len(weights) - 12
    assert f"mapped: {moved} weights" in report
    assert "not needed: 12 weights" in report
    loaded = load_model(target)
    assert loaded.card.fill == (0.1, 0.2, 0.3)
    image, mask = picture(64), holes(64)
    assert torch.equal(
        loaded.complete(image, mask), convert_checkpoint(source, fill=(0.1, 0.2, 0.3)).model.complete(image, mask)
    )


def test_half_precision_files_are_converted_to_float32(tmp_path):
    weights = {
        key: value.half() if value.is_floating_point() else value for key, value in public.glcic_weights(4, 8).items()
    }
    model = convert_checkpoint(save(tmp_path, weights)).model
    assert {parameter.dtype for parameter in model.network.parameters()} == {torch.float32}
    save_model(model, tmp_path / "saved.safetensors")


def damaged(change):
    weights = public.naoto_weights(6, 2)
    change(weights)
    return {"model": dict(weights)}


class Dangerous:
    """Would create a folder if it were unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("place", ["whole file", "beside the weights", "among the weights", "old format"])
def test_a_pickle_that_would_run_code_is_rejected_without_running_it(tmp_path, place, capsys):
    trap = tmp_path / "trap"
    weights = dict(public.glcic_weights(4, 8))
    content = {
        "whole file": Dangerous(trap),
        "beside the weights": {"model": weights, "optimizer": Dangerous(trap)},
        "among the weights": {**weights, "extra": Dangerous(trap)},
        "old format": {"model": weights, "optimizer": Dangerous(trap)},
    }[place]
    path = save(tmp_path, content, _use_new_zipfile_serialization=place != "old format")
    assert main(["convert", str(path), "--out", str(tmp_path / "out.safetensors")]) == 2
    message = capsys.readouterr().err
    assert "rejected without running anything" in message
    assert "mkdir" in message
    assert message.count("\n") == 1
    assert not trap.exists()
    assert not (tmp_path / "out.safetensors").exists()


def test_a_bare_pickle_is_rejected_without_running_it(tmp_path):
    path = tmp_path / "plain.pth"
    path.write_bytes(pickle.dumps(Dangerous(tmp_path / "trap"), protocol=2))
    with pytest.raises(CheckpointError, match=r"rejected|damaged") as error:
        convert_checkpoint(path)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "trap").exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (damaged(lambda w: w.update({"enc_9x.stray": torch.zeros(1)})), "unknown weights .first: 'enc_9x.stray'"),
        (damaged(lambda w: w.pop("dec_3.conv.input_conv.weight")), "'dec_3.conv.input_conv.weight' is missing"),
        (damaged(lambda w: w.pop("enc_4.bn.running_var")), "'enc_4.bn.running_var' is missing"),
        (damaged(lambda w: w.update({"enc_2.bn.bias": torch.zeros(7)})), "shape .7., but its card requires .4."),
        (damaged(lambda w: w["enc_2.bn.bias"].fill_(float("nan"))), "NaN or infinity"),
        (damaged(lambda w: w["dec_2.conv.mask_conv.weight"].mul_(2)), "not the window of ones"),
        (damaged(lambda w: w.update({"enc_3.conv.mask_conv.weight": torch.ones(7)})), "not the window of ones"),
        (damaged(lambda w: w.update({"enc_1.conv.input_conv.weight": torch.zeros(3)})), "convolution's weight"),
        (damaged(lambda w: w.update({"enc_2.bn.bias": torch.zeros(4).to_sparse()})), "sparse, quantized"),
        (damaged(lambda w: w.update({"enc_2.bn.bias": torch.zeros(4, dtype=torch.complex64)})), "sparse, quantized"),
        ({"model": {"layer.weight": torch.zeros(1)}}, "match no known layout"),
        ({"model": {"generator.model.1.ffc.convl2l.weight": torch.zeros(1)}}, "LaMa; it loads without conversion"),
        ({"model_ld.conv1.weight": torch.zeros(1)}, "discriminator"),
        ({"weights": 3}, "no weights found"),
        ({}, "no weights found"),
        (torch.zeros(3), "contains a Tensor"),
        ([1, 2], "contains a list"),
    ],
)
def test_what_cannot_be_converted_is_rejected_in_one_line(tmp_path, content, said):
    with pytest.raises(CheckpointError, match=said) as error:
        convert_checkpoint(save(tmp_path, content))
    assert "\n" not in str(error.value)


def test_damaged_foreign_and_absent_files_are_rejected_in_one_line(tmp_path):
    whole = save(tmp_path, {"model": dict(public.naoto_weights(6, 2))}).read_bytes()
    with zipfile.ZipFile(tmp_path / "script.pt", "w") as archive:
        archive.writestr("script/constants.pkl", b"")
    for name, content in {
        "half.pth": whole[: len(whole) // 2],
        "start.pth": whole[:100],
        "empty.pth": b"",
        "text.pth": b"this is not a checkpoint\n" * 10,
        "page.pth": b"<!DOCTYPE html><html>",
        "zeros.pth": bytes(4096),
    }.items():
        (tmp_path / name).write_bytes(content)
    for name in (
        "half.pth",
        "start.pth",
        "empty.pth",
        "text.pth",
        "page.pth",
        "zeros.pth",
        "script.pt",
        "absent.pth",
        "x.safetensors",
    ):
        with pytest.raises(CheckpointError) as error:
            convert_checkpoint(tmp_path / name)
        assert "\n" not in str(error.value), name
        assert len(str(error.value)) < 400, name


@pytest.mark.parametrize("new_format", [True, False])
def test_files_damaged_at_random_are_converted_or_rejected_in_one_line(tmp_path, new_format):
    source = save(tmp_path, {"model": dict(public.naoto_weights(5, 1))}, _use_new_zipfile_serialization=new_format)
    whole, chance = source.read_bytes(), random.Random(0)
    refusals: list[str] = []
    for _ in range(60):
        content = bytearray(whole)
        for _ in range(chance.choice([1, 3, 20])):
            content[chance.randrange(min(len(content), 8000))] = chance.randrange(256)
        source.write_bytes(content[: chance.choice([len(content), chance.randrange(len(content))])])
        try:
            convert_checkpoint(source)
        except CheckpointError as error:
            refusals.append(str(error))
    assert len(refusals) > 30
    assert not any("\n" in refusal for refusal in refusals)


def test_a_fill_out_of_range_is_rejected(tmp_path):
    path = save(tmp_path, dict(public.glcic_weights(4, 8)))
    with pytest.raises(CheckpointError, match="less than or equal to 1"):
        convert_checkpoint(path, fill=(0.5, 0.5, 127.0))
