"""Fully transparent pixels are unknown: they are not used for fills, training or superpixels."""

import numpy as np
import pytest
import torch
from PIL import Image

from inpaint_core import inpaint
from inpaint_core.__main__ import main
from inpaint_core.files.images import decode_image
from inpaint_core.inpainting.classical import CLASSICAL_METHODS, ClassicalFill
from inpaint_core.masks import generate, posterize, segment_masks, select_segments, slic_labels, snap_to_labels
from training.config import DataConfig
from training.dataset.pairs import read_pair
from training.dataset.scan import load_dataset
from training.evaluation.pairs import Pairs
from training.prepare import main as prepare

GREEN = (40, 140, 60)
ROWS, COLUMNS = np.mgrid[0:64, 0:64]
DISC = (COLUMNS - 32) ** 2 + (ROWS - 32) ** 2 < 500


def sprite(path, hidden=(255, 0, 255), texture=0):
    noise = np.random.default_rng(1).integers(-texture, texture + 1, (64, 64, 3))
    colors = np.where(DISC[..., None], np.clip(np.array(GREEN) + noise, 0, 255), np.array(hidden)).astype(np.uint8)
    Image.fromarray(np.dstack([colors, DISC * np.uint8(255)])).save(path)
    return path


def mask_file(path):
    mask = np.zeros((64, 64), np.uint8)
    mask[24:40, 40:60] = 255
    Image.fromarray(mask).save(path)
    return mask > 0


@pytest.mark.parametrize("method", CLASSICAL_METHODS)
def test_hidden_colors_are_kept_and_never_used_for_a_fill(tmp_path, method):
    picture = decode_image(sprite(tmp_path / "a.png"))
    hole = mask_file(tmp_path / "m.png")
    filled = inpaint(ClassicalFill(method), picture.planes[None], torch.from_numpy(hole)[None, None].float())[0]
    seen = hole & DISC
    assert (filled[:3, seen] * 255.0 - torch.tensor(GREEN).float()[:, None]).abs().max() <= 4.0
    assert torch.equal(filled[:, ~hole], picture.planes[:, ~hole])
    assert torch.equal(filled[3], picture.planes[3])


@pytest.mark.parametrize("method", CLASSICAL_METHODS)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_known_pixel_that_is_not_finite_is_kept_and_does_not_spread(method, value):
    image = torch.full((1, 3, 24, 24), 0.25)
    mask = torch.zeros(1, 1, 24, 24)
    mask[..., 8:16, 8:16] = 1.0
    image[0, 1, 7, 9] = value
    for filled in (inpaint(ClassicalFill(method), image, mask), ClassicalFill(method).complete(image, mask)):
        assert torch.isfinite(filled[..., 8:16, 8:16]).all()
        known = mask[0, 0] < 0.5
        assert np.array_equal(filled[..., known].numpy(), image[..., known].numpy(), equal_nan=True)


def test_a_transparent_hole_is_reported_and_opaque_makes_it_visible(tmp_path, capsys):
    sprite(tmp_path / "a.png")
    hole = mask_file(tmp_path / "m.png")
    files = ["--image", str(tmp_path / "a.png"), "--mask", str(tmp_path / "m.png"), "--out", str(tmp_path / "b.png")]
    assert main(["inpaint", "--model", "smooth", *files]) == 0
    said = capsys.readouterr().err
    assert "a.png" in said
    assert "--opaque" in said
    assert main(["inpaint", "--model", "smooth", *files, "--opaque"]) == 0
    assert "--opaque" not in capsys.readouterr().err
    alpha = np.asarray(Image.open(tmp_path / "b.png"))[..., 3]
    assert (alpha[hole] == 255).all()
    assert np.array_equal(alpha[~hole], DISC[~hole] * np.uint8(255))


@pytest.mark.parametrize("options", [{}, {"max_side": 24}, {"max_side": 24, "refine": True}, {"n_segments": 500}])
def test_superpixels_cover_the_visible_part_without_gaps_in_their_labels(tmp_path, options):
    picture = decode_image(sprite(tmp_path / "a.png", texture=30))
    labels = slic_labels(picture.planes, **{"n_segments": 30, **options})
    assert torch.equal(labels >= 0, torch.from_numpy(DISC))
    assert labels[labels >= 0].unique().tolist() == list(range(int(labels.max()) + 1))
    assert 0.8 * options.get("n_segments", 30) <= int(labels.max()) + 1 <= 1.1 * options.get("n_segments", 30)
    from skimage.measure import label

    pieces = label(labels.numpy(), background=-1, connectivity=1)
    assert pieces.max() == int(labels.max()) + 1
    masks = segment_masks(labels).sum(0)[0]
    assert torch.equal(masks > 0, torch.from_numpy(DISC))
    for mask in (select_segments(labels), select_segments(labels, all_but=True, indices=[0])):
        assert not mask[0, 0][~torch.from_numpy(DISC)].any()
    assert not snap_to_labels(torch.ones(1, 1, 64, 64), labels)[0, 0][~torch.from_numpy(DISC)].any()
    assert posterize(picture.image, labels)[0][:, ~torch.from_numpy(DISC)].abs().max() == 0.0


def test_a_mask_leaves_a_part_out_of_superpixels():
    image = torch.rand(3, 40, 40, generator=torch.Generator().manual_seed(0))
    left_out = torch.zeros(40, 40)
    left_out[:, 20:] = 1.0
    labels = slic_labels(image, 20, mask=left_out)
    assert torch.equal(labels < 0, left_out > 0)
    assert int(labels.max()) + 1 == 20
    assert bool((slic_labels(image, 20, mask=torch.ones(40, 40)) == -1).all())


def test_labels_of_stable_superpixels_have_no_gaps_over_the_clip():
    frames = torch.rand(3, 3, 30, 30, generator=torch.Generator().manual_seed(0))
    labels = slic_labels(frames, 300, compactness=0.5, stable=True)
    assert labels.unique().tolist() == list(range(int(labels.max()) + 1))


def test_random_superpixel_holes_lie_in_the_visible_part(tmp_path):
    picture = decode_image(sprite(tmp_path / "a.png", texture=30))
    hole = generate("slic", (64, 64), (0.05, 0.15), seed=3, image=picture.cut_out)
    assert hole.any()
    assert not hole[0, 0][~torch.from_numpy(DISC)].any()
    assert main(["mask", "slic", "--image", str(tmp_path / "a.png"), "--out", str(tmp_path / "m.png")]) == 0
    assert not (np.asarray(Image.open(tmp_path / "m.png"))[~DISC] > 0).any()


def test_hidden_colors_are_not_trained_on(tmp_path):
    (tmp_path / "d").mkdir()
    sprite(tmp_path / "d" / "a.png")
    record = load_dataset(DataConfig(folder=str(tmp_path / "d"), size=64)).train[0]
    assert record.pixels.picture.shape == (3, 64, 64)
    assert torch.equal(record.pixels.unknown[0] == 255, ~torch.from_numpy(DISC))
    assert (record.pixels.picture.float() - torch.tensor(GREEN).float().view(3, 1, 1)).abs().max() <= 1.0


def test_prepare_keeps_what_is_unknown_unknown(tmp_path):
    (tmp_path / "d").mkdir()
    sprite(tmp_path / "d" / "a.png")
    command = ["--data", str(tmp_path / "d"), "--out", str(tmp_path / "p"), "--size", "64", "--split", "1/0/0"]
    assert prepare(command) == 0
    (square,) = (tmp_path / "p" / "train").iterdir()
    assert torch.equal(decode_image(square).unknown[0], ~torch.from_numpy(DISC))


def test_a_fully_hidden_picture_is_skipped_in_training(tmp_path):
    Image.new("RGBA", (64, 64), (9, 9, 9, 0)).save(tmp_path / "clear.png")
    sprite(tmp_path / "a.png")
    dataset = load_dataset(DataConfig(folder=str(tmp_path), size=32))
    assert [item.file for item in dataset.left_out] == ["clear.png"]


@pytest.mark.parametrize("hidden", [(255, 0, 255), (0, 0, 0)])
def test_a_translation_sees_the_colors_around_transparent_parts_and_says_that_they_become_opaque(
    tmp_path, capsys, hidden
):
    sprite(tmp_path / "a.png", hidden)
    Image.new("RGB", (64, 64), GREEN).save(tmp_path / "plain.png")
    command = ["translate", "--model", "see-flowers", "--size", "64", "--input"]
    for name in ("a", "plain"):
        assert main([*command, str(tmp_path / f"{name}.png"), "--out", str(tmp_path / f"{name}.out.png")]) == 0
    assert (
        "a.png: its transparent parts are filled with the colors around them and become opaque"
        in capsys.readouterr().err
    )
    with Image.open(tmp_path / "a.out.png") as one, Image.open(tmp_path / "plain.out.png") as other:
        assert one.mode == "RGB"
        assert np.array_equal(np.asarray(one), np.asarray(other))


def test_an_evaluation_and_pairs_see_the_colors_around_transparent_parts(tmp_path):
    sprite(tmp_path / "a.png")
    pairs = Pairs(tmp_path, "rectangles", size=64, count=1)
    image, _ = pairs.load(pairs[0])
    assert (image * 255 - torch.tensor(GREEN).view(3, 1, 1)).abs().max() <= 1.0
    (tmp_path / "inputs").mkdir()
    sprite(tmp_path / "inputs" / "a.png", (0, 0, 255))
    pair = read_pair(tmp_path / "a.png", DataConfig(folder=str(tmp_path), input_folder=str(tmp_path / "inputs")))
    for part in (pair.picture, pair.given):
        assert (part * 255 - torch.tensor(GREEN).view(3, 1, 1)).abs().max() <= 1.0


@pytest.mark.parametrize("hidden", [(255, 0, 255), (0, 0, 0)])
def test_reimagine_takes_nothing_from_transparent_parts_and_leaves_them(tmp_path, hidden):
    sprite(tmp_path / "a.png", hidden)
    command = ["reimagine", "--model", "smooth", "--rounds", "2", "--image", str(tmp_path / "a.png")]
    assert main([*command, "--out", str(tmp_path / "b.png")]) == 0
    with Image.open(tmp_path / "a.png") as one, Image.open(tmp_path / "b.png") as other:
        before, after = np.asarray(one), np.asarray(other)
    assert np.array_equal(before[..., 3], after[..., 3])
    assert np.array_equal(before[~DISC], after[~DISC])
    assert np.abs(after[DISC][:, :3].astype(int) - GREEN).max() <= 2
