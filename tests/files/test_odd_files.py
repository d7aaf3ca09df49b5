"""A bad file is reported in one line with its name, and the job continues."""

import json
import os
import random
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from inpaint_core.__main__ import main
from inpaint_core.devices import find_device
from inpaint_core.files.images import decode_image, write_image
from inpaint_core.files.opening import ImageFileError, TooManyPixelsError, read_header
from inpaint_core.inpainting.classical import ClassicalFill
from training.config import DataConfig
from training.dataset.scan import load_dataset
from training.evaluate import main as evaluate
from training.prepare import main as prepare
from training.run import main as train

from ..training.conftest import tiny_values

COLORS = np.random.default_rng(0).integers(0, 256, (40, 48, 3), dtype=np.uint8)


def good(folder, count=3):
    folder.mkdir()
    for number in range(count):
        Image.fromarray(np.roll(COLORS, number * 7, 1)).save(folder / f"{number}.png")
    return folder


def mask_file(path):
    mask = np.zeros((40, 48), np.uint8)
    mask[10:20, 10:20] = 255
    Image.fromarray(mask).save(path)
    return path


def test_any_flipped_bit_of_an_exif_block_leaves_the_pixels_alone(tmp_path):
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "camera", 1
    Image.fromarray(COLORS).save(tmp_path / "a.png")
    Image.fromarray(COLORS).save(tmp_path / "a.jpg", exif=exif, quality=95)
    whole = decode_image(tmp_path / "a.jpg").image
    content = bytearray((tmp_path / "a.jpg").read_bytes())
    start = content.find(b"Exif") + 6
    for bit in range(8 * start, 8 * (start + len(exif.tobytes()) - 6)):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        (tmp_path / "b.jpg").write_bytes(flipped)
        picture = decode_image(tmp_path / "b.jpg")
        assert torch.equal(torch.sort(picture.image.flatten())[0], torch.sort(whole.flatten())[0])
        write_image(tmp_path / "c.png", picture.image, like=picture)
        assert torch.equal(decode_image(tmp_path / "c.png").image, picture.image)


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_an_orientation_outside_1_to_8_is_ignored(tmp_path, value):
    exif = Image.Exif()
    exif[0x0112] = value
    Image.fromarray(COLORS).save(tmp_path / "a.png", exif=exif)
    picture = decode_image(tmp_path / "a.png")
    assert sorted(picture.image.shape[1:]) == [40, 48]
    write_image(tmp_path / "b.png", picture.image, like=picture)
    assert torch.equal(decode_image(tmp_path / "b.png").image, picture.image)


@pytest.mark.parametrize("kind", [2, 5, 11, 12, 200])  # text, rational, float, double, none at all
def test_an_orientation_of_another_type_does_not_refuse_a_picture(tmp_path, kind):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(COLORS).save(tmp_path / "a.jpg", exif=exif)
    content = (tmp_path / "a.jpg").read_bytes()
    assert b"\x01\x12\0\x03" in content
    (tmp_path / "b.jpg").write_bytes(content.replace(b"\x01\x12\0\x03", bytes((1, 18, 0, kind))))
    assert sorted(decode_image(tmp_path / "b.jpg").image.shape[1:]) == [40, 48]


def test_mutated_pictures_are_read_or_rejected_in_one_line_with_their_name(tmp_path):
    chance = random.Random(0)
    originals = []
    for suffix, options in (("png", {}), ("jpg", {}), ("tif", {}), ("webp", {}), ("gif", {}), ("bmp", {})):
        Image.fromarray(COLORS).save(tmp_path / f"a.{suffix}", **options)
        originals.append((suffix, (tmp_path / f"a.{suffix}").read_bytes()))
    rejected: list[tuple[str, str]] = []
    for _ in range(200):
        suffix, content = chance.choice(originals)
        mutated = bytearray(content)
        for _ in range(chance.choice((1, 3, 20))):
            mutated[chance.randrange(min(len(mutated), chance.choice((64, len(mutated)))))] = chance.randrange(256)
        path = tmp_path / f"mutated.{suffix}"
        path.write_bytes(mutated[: chance.randrange(len(mutated))] if chance.random() < 0.2 else mutated)
        try:
            picture = decode_image(path, max_pixels=10**6)
        except ImageFileError as error:
            rejected.append((path.name, str(error)))
        else:
            assert picture.image.shape[0] == 3
    assert rejected
    for name, message in rejected:
        assert name in message
        assert "\n" not in message


@pytest.mark.skipif(os.name != "posix", reason="links and pipes")
def test_loops_pipes_huge_files_and_folders_named_as_pictures_are_skipped_by_name(tmp_path):
    folder = good(tmp_path / "d")
    (folder / "loop.png").symlink_to("loop.png")
    (folder / "gone.png").symlink_to("nowhere.png")
    os.mkfifo(folder / "pipe")
    (folder / "piped.png").symlink_to("pipe")
    with (folder / "giant.png").open("wb") as file:
        file.truncate(300 * 2**30)
    dataset = load_dataset(DataConfig(folder=str(folder), size=32))
    assert len(dataset.train) + len(dataset.held_out) == 3
    assert {"loop.png", "gone.png", "piped.png", "giant.png"} == {item.file for item in dataset.left_out}
    for name in ("loop.png", "gone.png", "pipe", "giant.png"):
        with pytest.raises(ImageFileError, match=name):
            decode_image(folder / name)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere file names are Unicode")
def test_names_that_are_not_utf_8_are_supported(tmp_path, capsys):
    folder = good(tmp_path / "d")
    os.rename(folder / "0.png", os.fsencode(folder) + b"/caf\xe9.png")
    mask = mask_file(tmp_path / "m.png")
    out = tmp_path / "o"
    assert main(["inpaint", "--model", "smooth", "--image", str(folder), "--mask", str(mask), "--out", str(out)]) == 0
    assert len(list(out.iterdir())) == 3
    assert prepare(["--data", str(folder), "--out", str(tmp_path / "p"), "--size", "32"]) == 0
    assert "caf" in json.dumps(json.loads((tmp_path / "p" / "report.json").read_text()))


def test_a_profile_that_a_png_cannot_hold_is_dropped_and_reported(tmp_path):
    profile = np.random.default_rng(0).bytes(1_500_000)
    Image.fromarray(COLORS).save(tmp_path / "a.jpg", icc_profile=profile)
    picture = decode_image(tmp_path / "a.jpg")
    assert "profile" in " ".join(write_image(tmp_path / "b.png", picture.image, like=picture))
    assert torch.equal(decode_image(tmp_path / "b.png").image, picture.image)
    assert write_image(tmp_path / "b.tif", picture.image, like=picture) == []
    assert decode_image(tmp_path / "b.tif").metadata.icc_profile == profile


def test_further_frames_are_counted_and_reported(tmp_path):
    frames = [Image.fromarray(np.roll(COLORS, 9 * number, 1)) for number in range(4)]
    for name in ("a.tif", "a.webp", "a.gif"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
        assert "4 " in " ".join(decode_image(tmp_path / name).notes)
        assert read_header(tmp_path / name).frames == 4
    (tmp_path / "d").mkdir()
    frames[0].save(tmp_path / "d" / "a.gif", save_all=True, append_images=frames[1:])
    said = " ".join(load_dataset(DataConfig(folder=str(tmp_path / "d"), size=32)).messages())
    assert "several frames" in said


def test_every_command_says_how_many_frames_a_file_holds(tmp_path, capsys):
    folder, masks = tmp_path / "d", tmp_path / "masks"
    folder.mkdir()
    masks.mkdir()
    frames = [Image.fromarray(np.roll(COLORS, shift, 1)) for shift in range(0, 40, 8)]
    for name in ("a.gif", "b.webp", "c.tif"):
        frames[0].save(folder / name, save_all=True, append_images=frames[1:])
    with Image.open(mask_file(tmp_path / "m.png")) as mask:
        holes = [mask.copy() for _ in range(3)]
    holes[0].save(masks / "m.tif", save_all=True, append_images=holes[1:])
    config = tmp_path / "tiny.yaml"
    config.write_text(json.dumps(tiny_values(folder)))
    data, out = ["--data", str(folder)], ["--out", str(tmp_path / "o")]
    picture, tif = ["--image", str(folder / "a.gif")], str(masks / "m.tif")
    single = ["--data.picture", str(folder / "a.gif"), "--data.picture_mask", tif, "--data.folder", "null"]
    source = json.dumps([{"name": "folder", "options": {"folder": str(masks)}}])
    five, three = "5 frames", "3 pages"
    jobs = [
        (
            main,
            ["inpaint", "--model", "mean", *picture, "--mask", tif, "--out", str(tmp_path / "1.png")],
            (five, three),
        ),
        (main, ["reimagine", "--model", "mean", "--rounds", "1", *picture, "--out", str(tmp_path / "1.png")], (five,)),
        (
            main,
            ["translate", "--model", "see-flowers", "--input", picture[1], "--out", str(tmp_path / "1.png")],
            (five,),
        ),
        (main, ["mask", "strokes", *picture, "--out", str(tmp_path / "1.png")], (five,)),
        (main, ["mask", "sheet", *picture, "--out", str(tmp_path / "1.png")], (five,)),
        (
            evaluate,
            ["--model", "mean", *data, "--masks", str(masks), *out, "--size", "32", "--count", "2"],
            (five, three),
        ),
        (prepare, [*data, "--out", str(tmp_path / "p"), "--size", "32"], ("a.gif has 5", "c.tif has 5")),
        (
            train,
            ["--config", str(config), "--steps", "1", "--out", str(tmp_path / "r")],
            ("a.gif has 5", "c.tif has 5"),
        ),
        (train, ["--config", str(config), "--steps", "1", "--out", str(tmp_path / "s"), *single], (five, three)),
        (
            train,
            ["--config", str(config), "--steps", "1", "--out", str(tmp_path / "t"), "--masks.sources", source],
            (three,),
        ),
    ]
    for command, arguments, words in jobs:
        assert command(arguments) == 0, (arguments, capsys.readouterr().err)
        captured = capsys.readouterr()
        for word in words:
            assert word in captured.err + captured.out, (arguments, word)


def test_too_many_pixels_are_a_one_line_error_with_the_option_to_use_in_every_command(tmp_path, capsys):
    folder = good(tmp_path / "d")
    big = folder / "big.png"
    Image.new("L", (12000, 8000)).save(big, compress_level=1)
    mask, few = mask_file(tmp_path / "m.png"), ["--max-megapixels", "0.001"]
    out = str(tmp_path / "o.png")
    for command in (
        ["inpaint", "--model", "smooth", "--image", str(big), "--mask", str(mask), "--out", out],
        ["reimagine", "--model", "smooth", "--image", str(big), "--out", out],
        ["translate", "--model", "see-flowers", "--input", str(big), "--out", out],
        ["mask", "rectangles", "--image", str(big), "--out", out],
        ["mask", "sheet", "--image", str(big), "--out", out],
        ["inpaint", "--model", "smooth", "--image", str(folder / "0.png"), "--mask", str(mask), "--out", out, *few],
    ):
        assert main(command) == 2
        assert "--max-megapixels" in capsys.readouterr().err
    (left_out,) = load_dataset(DataConfig(folder=str(folder), size=32)).left_out
    assert left_out.kind == "bomb"
    assert "--data.max_megapixels 96" in left_out.reason
    assert prepare(["--data", str(folder), "--out", str(tmp_path / "p"), "--size", "32"]) == 0
    assert "--max-megapixels 96" in capsys.readouterr().out
    with pytest.raises(TooManyPixelsError):
        read_header(big)
    assert read_header(big, 96_000_000).width == 12000


def test_an_evaluation_skips_a_bad_picture_and_a_bad_mask_and_names_them(tmp_path, capsys):
    folder = good(tmp_path / "d")
    (folder / "cut.png").write_bytes((folder / "0.png").read_bytes()[:200])
    masks = tmp_path / "masks"
    masks.mkdir()
    mask_file(masks / "good.png")
    (masks / "cut.png").write_bytes((masks / "good.png").read_bytes()[:40])
    command = ["--model", "mean", "--data", str(folder), "--masks", str(masks), "--out", str(tmp_path / "e")]
    assert evaluate([*command, "--size", "32", "--buckets", "0.01-0.6", "--count", "3"]) == 0
    said = capsys.readouterr().err
    assert "d/cut.png" in said
    assert "masks/cut.png" in said


def test_pictures_that_use_a_sliver_of_the_range_are_stretched_or_warned_about(tmp_path):
    for name, values in (("eight", COLORS // 20), ("twelve", COLORS.astype(np.uint16)[..., 0] * 16)):
        (tmp_path / name).mkdir()
        for number in range(3):
            Image.fromarray(np.roll(values, number, 1)).save(tmp_path / name / f"{number}.png")
    eight = load_dataset(DataConfig(folder=str(tmp_path / "eight"), size=32))
    assert "misleadingly high" in " ".join(eight.messages())
    twelve = load_dataset(DataConfig(folder=str(tmp_path / "twelve"), size=32))
    assert max(float(record.spread) for record in twelve.train) > 0.9
    assert "stretched" in " ".join(twelve.messages())


@pytest.mark.parametrize("name", ["cuda:99", "cpuu", "meta", "", "cuda:-3", "0x"])
def test_an_unusable_device_is_rejected_in_one_line_with_exit_code_2(tmp_path, capsys, name):
    with pytest.raises(ValueError, match="is not available"):
        find_device(name)
    folder, mask = good(tmp_path / "d"), mask_file(tmp_path / "m.png")
    out = ["--out", str(tmp_path / "o"), "--device", name]
    assert main(["inpaint", "--model", "smooth", "--image", str(folder), "--mask", str(mask), *out]) == 2
    assert main(["translate", "--model", "see-flowers", "--input", str(folder), *out]) == 2
    assert evaluate(["--model", "mean", "--data", str(folder), "--masks", "rectangles", *out]) == 2
    assert train(["--data", str(folder), "--out", str(tmp_path / "r"), "--device", name]) == 2
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("method", ["telea", "navier-stokes"])
@pytest.mark.parametrize("size", [(1, 40), (40, 1), (2, 40), (40, 2), (1, 2)])
def test_opencv_fills_thin_pictures_from_known_pixels_alone(method, size):
    image = torch.full((1, 3, *size), 0.6)
    mask = torch.zeros(1, 1, *size)
    mask.view(-1)[mask.numel() // 2 :] = 1.0
    mask.view(-1)[-1] = 0.0 if mask.numel() > 2 else 1.0
    filled = ClassicalFill(method).complete(image, mask)
    assert (filled - 0.6).abs().max() < 0.04
    for _ in range(3):
        junk = torch.rand(4096)
        assert torch.equal(ClassicalFill(method).complete(image, mask), filled)
        del junk


@pytest.mark.skipif(os.name != "posix", reason="elsewhere names hold no control characters")
def test_control_characters_in_names_forge_no_line_and_reach_no_terminal(tmp_path, capsys):
    folder = good(tmp_path / "d", 4)
    (folder / "\x1b[31mred.png").write_bytes(b"no picture")
    (folder / "two\nerror: lines.png").write_bytes(b"no picture")
    frames = [Image.fromarray(np.roll(COLORS, shift, 1)) for shift in (0, 9)]
    frames[0].save(folder / "three\n\x1b[2J.gif", save_all=True, append_images=frames[1:])
    config = tmp_path / "tiny.yaml"
    config.write_text(json.dumps(tiny_values(folder)))
    data, mask = ["--data", str(folder)], str(mask_file(tmp_path / "m.png"))
    image, size = ["--image", str(folder), "--out"], ["--size", "32"]
    jobs = [
        (main, ["inpaint", "--model", "mean", "--mask", mask, *image, str(tmp_path / "1")], 2),
        (main, ["reimagine", "--model", "mean", "--rounds", "1", *image, str(tmp_path / "2")], 2),
        (main, ["mask", "strokes", *image, str(tmp_path / "3")], 2),
        (main, ["translate", "--model", "see-flowers", "--input", str(folder), "--out", str(tmp_path / "4")], 2),
        (main, ["info", str(folder / "two\nerror: lines.png")], 2),
        (
            evaluate,
            ["--model", "mean", *data, "--masks", "rectangles", "--out", str(tmp_path / "5"), *size],
            0,
        ),
        (prepare, [*data, "--out", str(tmp_path / "6"), *size], 0),
        (train, ["--config", str(config), "--steps", "1", "--out", str(tmp_path / "7")], 0),
    ]
    for command, arguments, code in jobs:
        assert command(arguments) == code, arguments
        captured = capsys.readouterr()
        assert "\x1b" not in captured.out + captured.err, arguments
        assert not [line for line in captured.err.splitlines() if line.startswith("error: lines")], arguments


def png_chunks(content):
    place = 8
    while place < len(content):
        length = int.from_bytes(content[place : place + 4], "big")
        yield content[place + 4 : place + 8], place + 8, length
        place += 12 + length


@pytest.mark.parametrize("values", [COLORS, COLORS.astype(np.uint16)[..., 0] * 257, COLORS[..., 0] > 99])
def test_any_flipped_bit_that_the_pixels_of_a_png_depend_on_is_found(tmp_path, values):
    Image.fromarray(values).save(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    chance = random.Random(0)
    for name, start, length in png_chunks(content):
        for _ in range(min(8 * (length + 4), 40)):
            bit = chance.randrange(8 * (length + 4))
            flipped = bytearray(content)
            flipped[start + bit // 8] ^= 1 << bit % 8
            (tmp_path / "b.png").write_bytes(flipped)
            with pytest.raises(ImageFileError, match=r"b\.png: "):
                decode_image(tmp_path / "b.png")
        assert name in (b"IHDR", b"IDAT", b"IEND")


def test_what_stands_behind_a_png_or_is_missing_at_its_end_changes_nothing(tmp_path):
    Image.fromarray(COLORS).save(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    for changed in (content + b"more" * 40, content[:-12], content[:-3]):
        (tmp_path / "b.png").write_bytes(changed)
        assert torch.equal(decode_image(tmp_path / "b.png").image, decode_image(tmp_path / "a.png").image)
