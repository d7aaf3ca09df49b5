"""python -m inpaint_core: real input and output files; one line and exit code 2 for bad input."""

import re

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from inpaint_core import save_model
from inpaint_core.__main__ import COMMANDS, main
from inpaint_core.checkpoints.card import ModelCard
from inpaint_core.checkpoints.files import CARD_KEY
from inpaint_core.checkpoints.inpainting_model import InpaintingModel
from inpaint_core.files.images import decode_image
from inpaint_core.inpainting.classical import CLASSICAL_METHODS
from inpaint_core.models import build_model

RNG = np.random.default_rng(1)


@pytest.fixture
def model(tmp_path):
    arguments = {"width": 4, "depth": 3}
    card = ModelCard(architecture="unet", arguments=arguments, trained_size=64, name="tiny")
    path = tmp_path / "model.safetensors"
    save_model(InpaintingModel(card, build_model("unet", **arguments)), path)
    return path


def make_mask(path, height, width):
    mask = np.zeros((height, width), np.uint8)
    mask[height // 4 : height // 2 + 1, width // 3 : width // 2 + 1] = 255
    Image.fromarray(mask).save(path)
    return mask > 0


def make_picture(path, kind):
    height, width = {"1x1": (1, 1), "31x17": (31, 17), "1000x667": (667, 1000)}.get(kind, (120, 90))
    bands = {"gray": 1, "rgba": 4}.get(kind, 3)
    values = RNG.integers(0, 256, (height // 8 + 1, width // 8 + 1, bands), dtype=np.uint8)
    picture = Image.fromarray(values.squeeze(-1) if bands == 1 else values).resize((width, height))
    exif = Image.Exif()
    if kind == "rotated":
        exif[0x0112] = 8
    picture.save(path, exif=exif)


def files(folder):
    return ["--image", str(folder / "x.png"), "--mask", str(folder / "y.png"), "--out", str(folder / "z.png")]


@pytest.mark.parametrize("kind", ["gray", "rgb", "rgba", "rotated", "1x1", "31x17", "1000x667"])
def test_inpaint_keeps_every_known_pixel_of_every_kind_of_picture(model, tmp_path, kind):
    make_picture(tmp_path / "x.png", kind)
    before = decode_image(tmp_path / "x.png")
    hole = make_mask(tmp_path / "y.png", *before.image.shape[1:])
    assert main(["inpaint", "--model", str(model), *files(tmp_path)]) == 0
    after = decode_image(tmp_path / "z.png")
    known = ~torch.from_numpy(hole)
    assert torch.equal(after.image[:, known], before.image[:, known])
    assert not torch.equal(after.image, before.image)
    assert after.gray == before.gray
    assert (after.alpha is None) == (before.alpha is None)
    if before.alpha is not None:
        assert torch.equal(after.alpha, before.alpha)


def test_a_mask_of_another_size_is_fitted(model, tmp_path):
    make_picture(tmp_path / "x.png", "rgb")
    make_mask(tmp_path / "y.png", 60, 45)
    assert main(["inpaint", "--model", str(model), *files(tmp_path)]) == 0
    changed = (decode_image(tmp_path / "x.png").image != decode_image(tmp_path / "z.png").image).any(0)
    expected = np.asarray(Image.open(tmp_path / "y.png").resize((90, 120), Image.Resampling.NEAREST)) > 0
    assert not (changed.numpy() & ~expected).any()


@pytest.mark.parametrize("name", CLASSICAL_METHODS)
def test_a_classical_fill_can_stand_for_a_model(tmp_path, name):
    make_picture(tmp_path / "x.png", "31x17")
    make_mask(tmp_path / "y.png", 31, 17)
    assert main(["inpaint", "--model", name, *files(tmp_path)]) == 0


def test_a_generator_can_make_the_mask(model, tmp_path):
    make_picture(tmp_path / "x.png", "rgb")
    arguments = ["--image", str(tmp_path / "x.png"), "--mask", "rectangles", "--out", str(tmp_path / "z.png")]
    assert main(["inpaint", "--model", str(model), *arguments]) == 0


def test_a_folder_is_done_and_its_bad_file_is_listed(model, tmp_path, capsys):
    (tmp_path / "in").mkdir()
    (tmp_path / "masks").mkdir()
    for stem in ("a", "b"):
        make_picture(tmp_path / "in" / f"{stem}.png", "rgb")
        make_mask(tmp_path / "masks" / f"{stem}.png", 120, 90)
    (tmp_path / "in" / "c.png").write_text("no picture")
    arguments = ["--image", str(tmp_path / "in"), "--mask", str(tmp_path / "masks"), "--out", str(tmp_path / "out")]
    assert main(["inpaint", "--model", str(model), *arguments]) == 2
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "b.png"]
    printed = capsys.readouterr()
    assert "c.png" in printed.err
    assert "2 of 3" in printed.out


def test_info_says_what_a_model_is(model, capsys):
    assert main(["info", str(model)]) == 0
    printed = capsys.readouterr().out
    assert "unet" in printed
    assert "tiny" in printed


def test_every_bad_input_gives_one_line_exit_code_2_and_no_file(model, tmp_path, capsys):
    make_picture(tmp_path / "x.png", "rgb")
    make_mask(tmp_path / "y.png", 120, 90)
    Image.fromarray(RNG.integers(0, 256, (200, 200, 3), dtype=np.uint8)).save(tmp_path / "whole.jpg", quality=95)
    data = (tmp_path / "whole.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(data[: len(data) // 2])
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "old.pth").write_bytes(b"\x80\x04.")
    (tmp_path / "cut.safetensors").write_bytes(model.read_bytes()[:500])
    card = ModelCard(architecture="unet", arguments={"width": 4, "depth": 3})
    for name, changes in {
        "unknown": {"architecture": "mystery"},
        "huge": {"arguments": {"width": 10**6}},
    }.items():
        metadata = {CARD_KEY: card.model_copy(update=changes).model_dump_json()}
        save_file({"x": torch.zeros(1)}, tmp_path / f"{name}.safetensors", metadata=metadata)
    network = build_model("unet", width=4, depth=3)
    weights = {key: torch.full_like(value, float("nan")) for key, value in network.state_dict().items() if value.ndim}
    weights |= {key: value for key, value in network.state_dict().items() if not value.ndim}
    save_file(weights, tmp_path / "nan.safetensors", metadata={CARD_KEY: card.model_dump_json()})

    good = {"--model": model, "--image": tmp_path / "x.png", "--mask": tmp_path / "y.png", "--out": tmp_path / "z.png"}
    present = sorted(path.name for path in tmp_path.iterdir())
    for option, value, expected in [
        ("--image", "absent.png", "no such picture"),
        ("--image", "text.png", "not a picture"),
        ("--image", "cut.jpg", "damaged or truncated"),
        ("--mask", "absent.png", "no such picture"),
        ("--model", "absent.safetensors", "no such model"),
        ("--model", "old.pth", "convert"),
        ("--model", "cut.safetensors", "damaged"),
        ("--model", "unknown.safetensors", "unknown architecture 'mystery'"),
        ("--model", "huge.safetensors", "width = 1000000"),
        ("--model", "nan.safetensors", "NaN"),
        ("--out", "no_such_folder/z.png", "does not exist"),
        ("--out", "x.png/z.png", "does not exist"),
        ("--out", "z.xyz", "must end in"),
    ]:
        arguments = {**good, option: tmp_path / value}
        assert main(["inpaint", *(str(item) for pair in arguments.items() for item in pair)]) == 2, value
        error = capsys.readouterr().err
        assert expected in error, value
        assert error.count("\n") == 1, error
        assert sorted(path.name for path in tmp_path.iterdir()) == present


@pytest.mark.parametrize("command", COMMANDS)
def test_no_placeholder_is_left_in_the_help(command, capsys):
    with pytest.raises(SystemExit):
        main([command, "--help"])
    assert re.findall(r"\{\w+\}|%\(", capsys.readouterr().out) == []
