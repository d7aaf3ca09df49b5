"""Mask files as common programs write them: unambiguous ones are read, all others give a one-line error."""

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from inpaint_core.__main__ import main
from inpaint_core.files.images import decode_image
from inpaint_core.files.masks import read_mask
from inpaint_core.files.opening import ImageFileError
from training.evaluation.pairs import Pairs

HEIGHT, WIDTH = 30, 40
HOLE = np.zeros((HEIGHT, WIDTH), bool)
HOLE[8:20, 10:25] = True
PHOTO = np.random.default_rng(0).integers(20, 235, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def colored(inside, outside=(0, 0, 0)):
    return np.where(HOLE[..., None], np.array(inside, np.uint8), np.array(outside, np.uint8))


def with_alpha(colors, alpha):
    return np.dstack([colors, alpha.astype(np.uint8)])


def palette(colors):
    picture = Image.fromarray(HOLE.astype(np.uint8))
    picture.putpalette([*colors, *[0] * (768 - len(colors))])
    return picture


CLEAR = {
    "white.png": lambda: Image.fromarray(HOLE),
    "zero_one.png": lambda: Image.fromarray(HOLE.astype(np.uint8)),
    "zero_seven.png": lambda: Image.fromarray(HOLE.astype(np.uint8) * 7),
    "red.png": lambda: Image.fromarray(colored((255, 0, 0))),
    "blue.png": lambda: Image.fromarray(colored((0, 0, 255))),
    "dark_class.png": lambda: palette([0, 0, 0, 128, 0, 0]),
    "numbers_of_8_bits_in_16.png": lambda: Image.fromarray(HOLE.astype(np.uint16) * 255),
    "zero_one_in_16.png": lambda: Image.fromarray(HOLE.astype(np.uint16)),
    "twelve_bits.png": lambda: Image.fromarray(HOLE.astype(np.uint16) * 4095),
    "whole_numbers.tif": lambda: Image.fromarray(HOLE.astype(np.int32)),
    "real_numbers.tif": lambda: Image.fromarray(HOLE.astype(np.float32)),
    "white_on_an_empty_layer.png": lambda: Image.fromarray(with_alpha(colored((255,) * 3, (255,) * 3), HOLE * 255)),
    "black_on_an_empty_layer.png": lambda: Image.fromarray(with_alpha(colored((0,) * 3), HOLE * 255)),
    "green_on_hidden_red.png": lambda: Image.fromarray(with_alpha(colored((0, 200, 0), (255, 0, 0)), HOLE * 200)),
    "rubbed_out_of_the_picture.png": lambda: Image.fromarray(with_alpha(PHOTO, 255 - HOLE * 255)),
}


@pytest.mark.parametrize("name", CLEAR)
def test_an_unambiguous_mask_is_read_however_it_was_drawn(tmp_path, name):
    CLEAR[name]().save(tmp_path / name)
    assert np.array_equal(read_mask(tmp_path / name).hole[0, 0].numpy() > 0.5, HOLE)
    assert np.array_equal(read_mask(tmp_path / name, invert=True).hole[0, 0].numpy() < 0.5, HOLE)


@pytest.mark.parametrize(
    "name", [name for name in CLEAR if name.startswith(("zero", "red", "dark", "black", "rubbed"))]
)
def test_the_reason_is_reported_if_the_hole_is_not_white(tmp_path, name):
    CLEAR[name]().save(tmp_path / name)
    assert "the hole is" in " ".join(read_mask(tmp_path / name).notes)


classes = HOLE + 2 * np.roll(HOLE, 12, 0).astype(np.uint8)
UNCLEAR = {
    "classes.png": (lambda: Image.fromarray(classes), "0, 1, 2"),
    "dark_gray.png": (lambda: Image.fromarray(np.arange(1200, dtype=np.uint8).reshape(30, 40) // 4), "from 0 to 63"),
    "two_colors.png": (lambda: Image.fromarray(colored((255, 0, 0), (0, 0, 200))), "2 colors"),
    "red_on_white.png": (lambda: Image.fromarray(colored((255, 0, 0), (255, 255, 255))), "2 colors"),
    "photo.png": (lambda: Image.fromarray(PHOTO), "colors"),
    "hidden.png": (lambda: Image.fromarray(with_alpha(colored((255,) * 3), HOLE * 0)), "transparent"),
    "nan.tif": (lambda: Image.fromarray(np.where(HOLE, np.nan, 0).astype(np.float32)), "not finite"),
    "negative.tif": (lambda: Image.fromarray(-classes.astype(np.int32)), "-2, -1, 0"),
}


@pytest.mark.parametrize("name", UNCLEAR)
def test_an_ambiguous_mask_is_rejected_with_what_it_holds(tmp_path, name):
    picture, held = UNCLEAR[name]
    picture().save(tmp_path / name)
    with pytest.raises(ImageFileError, match=held) as caught:
        read_mask(tmp_path / name)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_mask_without_a_hole_or_that_covers_everything_is_reported(tmp_path):
    for level, said in ((0, "no hole"), (255, "covers the whole picture")):
        Image.new("L", (9, 7), level).save(tmp_path / "m.png")
        assert said in " ".join(read_mask(tmp_path / "m.png").notes)
    Image.fromarray((np.random.default_rng(0).random((40, 40)) * 6).astype(np.uint8)).save(tmp_path / "black.jpg")
    assert "no hole" in " ".join(read_mask(tmp_path / "black.jpg").notes)


def test_a_hole_lost_in_resizing_is_reported(tmp_path):
    mask = np.zeros((300, 400), np.uint8)
    mask[100, 100] = 255
    Image.fromarray(mask).save(tmp_path / "m.png")
    Image.fromarray(PHOTO).save(tmp_path / "a.png")
    read = read_mask(tmp_path / "m.png", decode_image(tmp_path / "a.png"))
    assert not read.hole.any()
    assert "so small" in " ".join(read.notes)


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_a_mask_of_the_stored_size_is_rotated_like_the_picture(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(PHOTO).save(tmp_path / "a.png", exif=exif)
    Image.fromarray(HOLE).save(tmp_path / "m.png")
    read = read_mask(tmp_path / "m.png", decode_image(tmp_path / "a.png"))
    turned = {5: HOLE.T, 6: np.rot90(HOLE, -1), 7: np.rot90(HOLE, 2).T, 8: np.rot90(HOLE)}[orientation]
    assert np.array_equal(read.hole[0, 0].numpy() > 0.5, turned)
    assert "rotated" in " ".join(read.notes)


def test_another_aspect_ratio_is_reported_and_an_equal_one_is_not(tmp_path):
    Image.fromarray(PHOTO).save(tmp_path / "a.png")
    picture = decode_image(tmp_path / "a.png")
    for size, said in (((40, 40), True), ((30, 40), True), ((80, 60), False), ((39, 29), False)):
        Image.fromarray(HOLE).resize(size, Image.Resampling.NEAREST).save(tmp_path / "m.png")
        read = read_mask(tmp_path / "m.png", picture)
        assert read.hole.shape == (1, 1, HEIGHT, WIDTH)
        assert ("aspect ratio" in " ".join(read.notes)) == said


def test_further_pages_of_a_mask_are_reported(tmp_path):
    tifffile.imwrite(tmp_path / "m.tif", np.stack([HOLE * 255] * 3).astype(np.uint8), photometric="minisblack")
    assert "3 pages" in " ".join(read_mask(tmp_path / "m.tif").notes)


def test_the_command_fills_what_invert_leaves_and_says_what_the_mask_holds(tmp_path, capsys):
    Image.fromarray(PHOTO).save(tmp_path / "a.png")
    Image.fromarray(~HOLE).save(tmp_path / "m.png")
    arguments = ["inpaint", "--model", "smooth", "--image", str(tmp_path / "a.png"), "--out", str(tmp_path / "b.png")]
    assert main([*arguments, "--mask", str(tmp_path / "m.png"), "--invert"]) == 0
    changed = (np.asarray(Image.open(tmp_path / "b.png")) != PHOTO).any(-1)
    assert changed[HOLE].mean() > 0.5
    assert not changed[~HOLE].any()
    Image.new("L", (WIDTH, HEIGHT)).save(tmp_path / "m.png")
    capsys.readouterr()
    assert main([*arguments, "--mask", str(tmp_path / "m.png")]) == 0
    assert "m.png: it has no hole" in capsys.readouterr().err
    Image.fromarray(classes).save(tmp_path / "m.png")
    assert main([*arguments, "--mask", str(tmp_path / "m.png")]) == 2


def test_reimagine_reads_its_protecting_mask_the_same_way(tmp_path):
    Image.fromarray(PHOTO).save(tmp_path / "a.png")
    Image.fromarray(HOLE.astype(np.uint8)).save(tmp_path / "m.png")
    out = tmp_path / "b.png"
    arguments = ["reimagine", "--model", "smooth", "--image", str(tmp_path / "a.png"), "--out", str(out)]
    assert main([*arguments, "--rounds", "1", "--protect", str(tmp_path / "m.png")]) == 0
    assert torch.equal(*(decode_image(file).image[:, HOLE] for file in (tmp_path / "a.png", out)))


def test_a_mask_in_which_0_is_white_is_read_as_displayed_with_a_note(tmp_path):
    hole = np.zeros((40, 48), bool)
    hole[10:20, 12:30] = True
    tifffile.imwrite(tmp_path / "m.tif", hole, photometric="miniswhite")
    with Image.open(tmp_path / "m.tif") as seen:
        white = np.asarray(seen.convert("L")) > 127
    mask = read_mask(tmp_path / "m.tif")
    assert np.array_equal(mask.hole[0, 0].numpy() > 0.5, white)
    assert np.array_equal(white, ~hole)
    assert "0 means white" in " ".join(mask.notes)


def test_an_evaluation_inverts_its_folder_of_masks_when_asked(tmp_path):
    for folder in ("pictures", "masks"):
        (tmp_path / folder).mkdir()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(
        tmp_path / "pictures" / "a.png"
    )
    known = np.full((64, 64), 255, np.uint8)
    known[10:30, 20:40] = 0
    Image.fromarray(known).save(tmp_path / "masks" / "m.png")
    pairs = Pairs(tmp_path / "pictures", str(tmp_path / "masks"), size=64, invert=True)
    _, mask = pairs.load(pairs[0])
    assert np.array_equal(mask[0].numpy() > 0.5, known == 0)
