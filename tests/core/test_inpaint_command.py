"""python -m inpaint_core inpaint over folders: every good picture done, every bad one listed, nothing half-written."""

import os
import signal
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from inpaint_core import save_model
from inpaint_core.__main__ import main
from inpaint_core.checkpoints.card import ModelCard
from inpaint_core.checkpoints.inpainting_model import InpaintingModel
from inpaint_core.checkpoints.weights import PROBE_SIDE
from inpaint_core.files.images import decode_image
from inpaint_core.models import build_model

RNG = np.random.default_rng(2)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    arguments = {"width": 2, "depth": 2}
    card = ModelCard(architecture="unet", arguments=arguments, trained_size=64, name="tiny")
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    save_model(InpaintingModel(card, build_model("unet", **arguments)), path)
    return path


def colors(height=40, width=50, bands=3):
    return RNG.integers(0, 256, (height, width, bands), dtype=np.uint8)


def rotated(path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(colors()).save(path, exif=exif)


KINDS = {
    "rgb.png": lambda path: Image.fromarray(colors()).save(path),
    "rgb.jpg": lambda path: Image.fromarray(colors()).save(path),
    "rotated.jpg": rotated,
    "gray.png": lambda path: Image.fromarray(colors(bands=1)[..., 0]).save(path),
    "rgba.webp": lambda path: Image.fromarray(colors(bands=4)).save(path, lossless=True),
    "palette.gif": lambda path: Image.fromarray(colors()).convert("P").save(path),
    "cmyk.jpg": lambda path: Image.fromarray(colors()).convert("CMYK").save(path),
    "deep_gray.png": lambda path: Image.fromarray(RNG.integers(0, 65536, (40, 50), dtype=np.uint16)).save(path),
    "deep.png": lambda path: cv2.imwrite(str(path), RNG.integers(0, 65536, (40, 50, 3), dtype=np.uint16)),
    "deep_alpha.tif": lambda path: cv2.imwrite(str(path), RNG.integers(0, 65536, (40, 50, 4), dtype=np.uint16)),
    "tiny.bmp": lambda path: Image.fromarray(colors(1, 1)).save(path),
    "large.jpg": lambda path: Image.fromarray(colors(300, 500)).resize((800, 480)).save(path),
    "broken.png": lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n and then nothing"),
    "cut.jpg": lambda path: (KINDS["large.jpg"](path), path.write_bytes(path.read_bytes()[:5000])),
    "empty.webp": lambda path: path.write_bytes(b""),
}
BAD = ("broken.png", "cut.jpg", "empty.webp")


def fill_folder(folder: Path, count: int) -> dict[str, str]:
    """Files of all kinds in turn: file name -> kind."""
    folder.mkdir()
    kinds = list(KINDS)
    made = {}
    for number in range(count):
        kind = kinds[number % len(kinds)]
        name = f"{number:03d}_{kind}"
        KINDS[kind](folder / name)
        made[name] = kind
    return made


def mask_file(path, height=64, width=64):
    mask = np.zeros((height, width), np.uint8)
    mask[height // 4 : height // 2 + 1, width // 3 : width // 2 + 1] = 255
    Image.fromarray(mask).save(path)
    return path


def command(model, folder, mask, out, *more):
    return ["inpaint", "--model", str(model), "--image", str(folder), "--mask", str(mask), "--out", str(out), *more]


def test_every_good_picture_is_done_and_every_bad_one_listed(model, tmp_path, capsys):
    made = fill_folder(tmp_path / "in", 2 * len(KINDS))
    mask = mask_file(tmp_path / "mask.png")
    assert main(command(model, tmp_path / "in", mask, tmp_path / "out", "--detail", "network")) == 2
    good = sorted(f"{Path(name).stem}.png" for name, kind in made.items() if kind not in BAD)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == good
    printed = capsys.readouterr()
    assert f"{len(good)} of {len(made)} pictures" in printed.out
    for name, kind in made.items():
        if kind in BAD:
            assert name in printed.err
            continue
        before, after = decode_image(tmp_path / "in" / name), decode_image(tmp_path / "out" / f"{Path(name).stem}.png")
        assert after.image.shape == before.image.shape
        assert (after.gray, after.sixteen_bit) == (before.gray, before.sixteen_bit)
        hole = (after.image != before.image).any(0)
        height, width = hole.shape
        asked = np.asarray(Image.open(mask).resize((width, height), Image.Resampling.NEAREST))
        asked = cv2.dilate(asked, np.ones((3, 3), np.uint8)) > 0  # Pillow rounds ties differently
        assert not (hole.numpy() & ~asked).any(), name
        assert hole.any() or kind == "tiny.bmp", name
        if before.alpha is not None:
            assert torch.equal(after.alpha, before.alpha)


def test_pictures_keep_their_format_when_asked(model, tmp_path):
    made = fill_folder(tmp_path / "in", len(KINDS))
    mask = mask_file(tmp_path / "mask.png")
    assert main(command(model, tmp_path / "in", mask, tmp_path / "out", "--keep-format")) == 2
    for name, kind in made.items():
        if kind not in BAD:
            expected = Path(name).with_suffix(".png") if kind == "palette.gif" else Path(name)
            with Image.open(tmp_path / "in" / name) as before, Image.open(tmp_path / "out" / expected) as after:
                assert before.format == after.format or kind == "palette.gif"


def test_color_profile_and_camera_data_are_kept(model, tmp_path):
    exif = Image.Exif()
    exif[0x010F] = "camera"
    exif[0x0112] = 6
    Image.fromarray(colors()).save(tmp_path / "a.jpg", exif=exif, icc_profile=b"profile")
    mask = mask_file(tmp_path / "mask.png")
    assert main(command(model, tmp_path / "a.jpg", mask, tmp_path / "b.png")) == 0
    with Image.open(tmp_path / "b.png") as picture:
        assert picture.size == (40, 50)
        assert picture.info["icc_profile"] == b"profile"
        assert picture.getexif()[0x010F] == "camera"
        assert 0x0112 not in picture.getexif()


def test_a_generator_gives_each_picture_its_own_mask_again_and_again(model, tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("a.png", "b.png"):
        Image.fromarray(colors(64, 64)).save(tmp_path / "in" / name)
    before = decode_image(tmp_path / "in" / "a.png").image
    holes = []
    for out in ("one", "two"):
        assert main(command(model, tmp_path / "in", "rectangles", tmp_path / out, "--seed", "4")) == 0
        holes += [(decode_image(tmp_path / out / name).image != before).any(0) for name in ("a.png", "b.png")]
    assert torch.equal(holes[0], holes[2])
    assert torch.equal(holes[1], holes[3])
    assert not torch.equal(holes[0], holes[1])


def test_what_is_there_is_left_alone_when_asked(model, tmp_path, capsys):
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    for name in ("a.png", "b.png"):
        Image.fromarray(colors()).save(tmp_path / "in" / name)
    (tmp_path / "out" / "a.png").write_bytes(b"mine")
    mask = mask_file(tmp_path / "mask.png")
    assert main(command(model, tmp_path / "in", mask, tmp_path / "out", "--skip-existing")) == 0
    assert (tmp_path / "out" / "a.png").read_bytes() == b"mine"
    assert decode_image(tmp_path / "out" / "b.png").image.shape == (3, 40, 50)
    assert "wrote 1 of 2 pictures" in capsys.readouterr().out


def test_a_picture_that_needs_too_much_memory_is_one_line(model, tmp_path, capsys, monkeypatch):
    complete = InpaintingModel.complete

    def never(self, image, mask):
        if image.shape[-1] == PROBE_SIDE:  # read when the file is loaded
            return complete(self, image, mask)
        raise MemoryError

    monkeypatch.setattr(InpaintingModel, "complete", never)
    Image.fromarray(colors()).save(tmp_path / "a.png")
    mask = mask_file(tmp_path / "mask.png", 40, 50)
    assert main(command(model, tmp_path / "a.png", mask, tmp_path / "b.png")) == 2
    error = capsys.readouterr().err
    assert "out of memory; tried" in error
    assert error.count("\n") == 1


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_stopping_at_any_moment_leaves_whole_files_and_the_rest_can_be_done_later(model, tmp_path, start, end):
    (tmp_path / "in").mkdir()
    for number in range(16):
        Image.fromarray(colors(60, 80)).save(tmp_path / "in" / f"{number:02d}.png")
    mask = mask_file(tmp_path / "mask.png")
    arguments = command(model, tmp_path / "in", mask, tmp_path / "out", "--skip-existing")
    process = start("inpaint_core", arguments)
    out = tmp_path / "out"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and len(list(out.glob("[0-9]*.png")) if out.is_dir() else []) < 4:
        time.sleep(0.02)
    os.kill(process.pid, end)
    process.join(60)
    assert process.exitcode == (-signal.SIGKILL if end == signal.SIGKILL else 130)
    done = sorted(out.glob("[0-9]*.png"))
    assert 4 <= len(done) < 16
    for path in done:
        assert decode_image(path).image.shape == (3, 60, 80)
    for path in out.glob(".*.part*"):  # unfinished files of a killed process are removed by the next run
        os.utime(path, (0, 0))
    before = {path: path.stat().st_mtime_ns for path in done}
    assert main(arguments) == 0
    assert sorted(path.name for path in out.iterdir()) == [f"{number:02d}.png" for number in range(16)]
    assert all(path.stat().st_mtime_ns == moment for path, moment in before.items())


def test_patches_are_copied_from_sources_and_allowed_parts(tmp_path):
    picture = np.zeros((40, 60, 3), np.uint8)
    picture[:, :30] = 64
    Image.fromarray(picture).save(tmp_path / "picture.png")
    hole, allowed = np.zeros((40, 60), np.uint8), np.zeros((40, 60), np.uint8)
    hole[12:28, 20:36], allowed[:, 40:] = 255, 255
    Image.fromarray(hole).save(tmp_path / "hole.png")
    Image.fromarray(allowed).save(tmp_path / "allowed.png")
    (tmp_path / "sources").mkdir()
    Image.fromarray(np.full((20, 30, 3), 200, np.uint8)).save(tmp_path / "sources" / "gray.png")
    command = ["inpaint", "--model", "patches", "--image", str(tmp_path / "picture.png"), "--feather", "0"]
    command += ["--mask", str(tmp_path / "hole.png"), "--out", str(tmp_path / "filled.png")]

    def filled(*options):
        assert main([*command, *options]) == 0
        return np.asarray(Image.open(tmp_path / "filled.png"))[12:28, 20:36]

    assert (filled("--allowed", str(tmp_path / "allowed.png")) == 0).all()
    allowed[:], allowed[0, 0] = 0, 255
    Image.fromarray(allowed).save(tmp_path / "allowed.png")
    only = ("--allowed", str(tmp_path / "allowed.png"), "--sources", str(tmp_path / "sources"))
    assert (filled(*only) == 200).all()


def test_sources_that_are_no_pictures_are_rejected(tmp_path, capsys):
    Image.fromarray(colors()).save(tmp_path / "picture.png")
    (tmp_path / "sources").mkdir()
    command = ["inpaint", "--model", "patches", "--image", str(tmp_path / "picture.png"), "--mask", "center"]
    assert main([*command, "--out", str(tmp_path / "out.png"), "--sources", str(tmp_path / "sources")]) == 2
    assert "sources" in capsys.readouterr().err
