"""Folders of pictures: what is used, what is skipped and why."""

from __future__ import annotations

import json
import multiprocessing
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from inpaint_core.masks import MaskMix, MaskSource
from training.config import DEFAULT_HOLES, DataConfig, TrainConfig
from training.dataset.pixels import Pixels, stack
from training.dataset.samples import Samples, prefetch
from training.dataset.scan import DatasetError, load_dataset, read_pixels, split_by_content
from training.dataset.windows import Crop, Recolor, Windows, cut, cut_planes
from training.engine.session import run_training

from .conftest import draw_picture


def make_zoo(folder: Path) -> dict[str, str]:
    """Fill a folder with one file of every unusual kind; returns the files that must be skipped, by name."""
    folder.mkdir()
    for number in range(3):
        draw_picture(number).save(folder / f"good {number} \u00e9.png")
    (folder / "zcopy.png").write_bytes((folder / "good 0 \u00e9.png").read_bytes())
    jpeg = folder / "whole.jpg"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (80, 80, 3), dtype=np.uint8)).save(jpeg)
    (folder / "truncated.jpg").write_bytes(jpeg.read_bytes()[:2000])
    jpeg.unlink()
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.png").write_text("not a picture")
    draw_picture(10, 1, 1).save(folder / "one.png")
    draw_picture(11, 2000, 8).save(folder / "long.png")
    # A header that promises 20000 x 20000 pixels.
    bomb = Image.new("1", (20000, 20000))
    bomb.save(folder / "bomb.png")
    outside = folder.parent / "outside.png"
    draw_picture(12).save(outside)
    (folder / "link.png").symlink_to(outside)
    draw_picture(13).convert("CMYK").save(folder / "cmyk.jpg")
    Image.fromarray((np.arange(64 * 56).reshape(56, 64) * 18).astype(np.uint16)).save(folder / "deep.png")
    draw_picture(14).convert("P").save(folder / "palette.png")
    draw_picture(15).save(folder / "animated.gif", save_all=True, append_images=[draw_picture(16)])
    exif = Image.Exif()
    exif[0x0112] = 6
    draw_picture(17).save(folder / "rotated.jpg", exif=exif)
    draw_picture(18).convert("L").save(folder / "gray.png")
    transparent = draw_picture(19).convert("RGBA")
    transparent.putalpha(100)
    transparent.save(folder / "transparent.png")
    (folder / "notes.txt").write_text("ignored")
    return {
        "zcopy.png": "duplicate",
        "truncated.jpg": "broken",
        "empty.png": "broken",
        "text.png": "broken",
        "one.png": "tiny",
        "long.png": "tiny",
        "bomb.png": "bomb",
        "link.png": "link",
    }


def test_every_broken_kind_is_reported_by_name_and_the_rest_trained_on(tiny: TrainConfig, tmp_path: Path) -> None:
    left_out = make_zoo(tmp_path / "zoo")
    data = tiny.data.model_copy(update={"folder": str(tmp_path / "zoo")})
    run_training(tiny.model_copy(update={"data": data}), out=tmp_path / "run")
    report = json.loads((tmp_path / "run" / "dataset_report.json").read_text())
    assert {item["file"]: item["kind"] for item in report["left_out"]} == left_out
    assert all(item["reason"] for item in report["left_out"])
    assert sorted(report["training"] + report["held_out"]) == sorted(
        [f"good {number} \u00e9.png" for number in range(3)]
        + ["cmyk.jpg", "deep.png", "palette.png", "animated.gif", "rotated.jpg", "gray.png", "transparent.png"]
    )
    assert {item["file"]: item["kinds"] for item in report["converted"]} == {
        "cmyk.jpg": ["CMYK"],
        "deep.png": ["16-bit", "gray"],
        "palette.png": ["palette"],
        "animated.gif": ["palette", "animated"],
        "rotated.jpg": ["rotated"],
        "gray.png": ["gray"],
        "transparent.png": ["transparent"],
    }
    assert report["ignored_by_suffix"] == {".txt": 1}


def test_an_empty_folder_is_rejected_with_its_path_and_what_is_in_it(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.txt").write_text("")
    with pytest.raises(DatasetError, match=r"0 usable pictures.*1 \.txt.*recursive") as caught:
        load_dataset(DataConfig(folder=str(tmp_path)))
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_subfolders_are_read_on_request_only(pictures: Path) -> None:
    (pictures / "sub").mkdir()
    draw_picture(100).save(pictures / "sub" / "deep.png")
    flat, deep = (load_dataset(DataConfig(folder=str(pictures), recursive=recursive)) for recursive in (False, True))
    assert len(flat.train) + len(flat.held_out) == 8
    assert "sub/deep.png" in {record.file for record in (*deep.train, *deep.held_out)}


def test_split_never_moves_a_picture_when_others_are_added(tmp_path: Path) -> None:
    config = DataConfig(folder=str(tmp_path), held_out=0.3)
    for number in range(20):
        draw_picture(number).save(tmp_path / f"{number}.png")
    before = {record.file for record in load_dataset(config).held_out}
    for number in range(20, 40):
        draw_picture(number).save(tmp_path / f"{number}.png")
    after = {record.file for record in load_dataset(config).held_out}
    assert before == {name for name in after if int(name.split(".")[0]) < 20}
    assert 4 <= len(after) <= 20


def test_a_split_leaves_something_on_both_sides(pictures: Path) -> None:
    records = load_dataset(DataConfig(folder=str(pictures), held_out=0.0)).train
    for share in (0.001, 0.9):
        for count in (2, 3):
            train, held_out = split_by_content(records[:count], share)
            assert train
            assert held_out
    assert split_by_content(records[:1], 0.9) == (records[:1], [])


def test_pictures_that_do_not_fit_in_memory_are_read_when_needed_and_give_the_same_samples(pictures: Path) -> None:
    batches = []
    for megabytes in (0, 100):
        data = DataConfig(folder=str(pictures), size=32, cache_megabytes=megabytes)
        records = load_dataset(data).train
        assert (records[0].pixels is None) == (megabytes == 0)
        samples = Samples(
            records, data, MaskMix(sources=(MaskSource(name="rectangles"),)), seed=3, device=torch.device("cpu")
        )
        batches.append(samples.batch(5, 9))
    assert torch.equal(batches[0].image, batches[1].image)
    assert torch.equal(batches[0].mask, batches[1].mask)


def test_workers_read_the_same_samples_leave_random_states_alone_and_end(pictures: Path) -> None:
    data = DataConfig(folder=str(pictures), size=32, cache_megabytes=0, workers=2, held_out=0.0)
    records = load_dataset(data).train
    cpu = torch.device("cpu")
    pickle.dumps(Windows(records, data, seed=3, device=cpu, augment=True))
    (pictures / "5.png").unlink()
    samples = Samples(records, data, DEFAULT_HOLES, seed=3, device=cpu)
    state = torch.get_rng_state()
    with prefetch(samples, 4, 6, 2, 4) as batches:
        found = [next(batches) for _ in range(3)]
    assert torch.equal(torch.get_rng_state(), state)
    assert multiprocessing.active_children() == []
    assert set(samples.failures) == {"5.png"}
    here = Samples(records, data.model_copy(update={"workers": 0}), DEFAULT_HOLES, seed=3, device=cpu)
    for step, batch in enumerate(found):
        wanted = here.batch(4 + 2 + 6 * step, 4)
        assert torch.equal(batch.image, wanted.image)
        assert torch.equal(batch.mask, wanted.mask)
        assert batch.files == wanted.files


def test_samples_depend_on_their_number_alone(pictures: Path) -> None:
    data = DataConfig(folder=str(pictures), size=32, rotate=True, flip_vertical=True, recolor=True)
    dataset = load_dataset(data)

    def make() -> Samples:
        return Samples(dataset.train, data, DEFAULT_HOLES, seed=3, device=torch.device("cpu"))

    whole = make().batch(0, 20)
    later = make().batch(13, 7)
    assert torch.equal(whole.image[13:], later.image)
    assert torch.equal(whole.mask[13:], later.mask)
    assert whole.files[13:] == later.files
    assert len(set(whole.files[: len(dataset.train)])) == len(dataset.train)


def test_a_picture_that_disappears_is_replaced_and_noted(pictures: Path) -> None:
    data = DataConfig(folder=str(pictures), size=32, cache_megabytes=0, held_out=0.0)
    samples = Samples(load_dataset(data).train, data, DEFAULT_HOLES, seed=0, device=torch.device("cpu"))
    (pictures / "3.png").unlink()
    assert "3.png" not in samples.batch(0, 8).files
    assert set(samples.failures) == {"3.png"}


def test_crop_equals_slicing_and_flipping(pictures: Path) -> None:
    pixels = read_pixels(pictures / "0.png", DataConfig(size=16, shorter_side=1000))
    crop = Crop(5, 7, 32, flip_horizontal=True, quarter_turns=1)
    expected = np.rot90(pixels.picture.numpy()[:, 5:37, 7:39][:, :, ::-1], 1, (1, 2))
    assert np.array_equal(cut(pixels, crop, 32).picture.numpy(), expected)
    assert np.array_equal(cut_planes(pixels.picture, crop, 32).numpy(), expected)


def test_every_part_of_a_picture_is_cut_alike_and_only_the_picture_is_recolored() -> None:
    generator = torch.Generator().manual_seed(0)
    planes = torch.randint(0, 256, (3, 40, 50), dtype=torch.uint8, generator=generator)
    unknown = (planes[:1] > 200).to(torch.uint8) * 255
    change = Recolor((2, 0, 1), (0.5, 1.0, 1.2), (0.1, 0.0, -0.2))
    crop = Crop(3, 4, 24, flip_vertical=True, quarter_turns=3, recolor=change)
    window = cut(Pixels(planes, planes, unknown), crop, 16)
    plain = cut_planes(planes, crop, 16)
    assert torch.equal(window.given, plain)
    assert torch.equal(window.unknown, cut_planes(unknown, crop, 16))
    values = plain[[2, 0, 1]].double() / 255.0
    values = (values - 0.5) * values.new_tensor(change.contrast).view(3, 1, 1) + 0.5
    values = (values + values.new_tensor(change.brightness).view(3, 1, 1)).clamp(0.0, 1.0) * 255.0
    assert (window.picture.double() - values).abs().max() <= 0.51


def test_a_batch_of_partly_known_pictures_keeps_each_unknown_part() -> None:
    whole, partly = Pixels(torch.ones(3, 2, 2)), Pixels(torch.zeros(3, 2, 2), unknown=torch.full((1, 2, 2), 255.0))
    batch = stack([whole, partly])
    assert batch.given is None
    assert batch.unknown.flatten(1).tolist() == [[0.0] * 4, [255.0] * 4]
    with pytest.raises(ValueError, match="1 of 2 pictures are pairs"):
        stack([whole, Pixels(torch.ones(3, 2, 2), given=torch.ones(3, 2, 2))])


def test_pixels_are_reduced_to_the_stored_side_and_enlarged_to_the_crop(tmp_path: Path) -> None:
    draw_picture(0, 200, 100).save(tmp_path / "a.png")
    assert read_pixels(tmp_path / "a.png", DataConfig(size=16, shorter_side=50)).picture.shape == (3, 50, 100)
    assert read_pixels(tmp_path / "a.png", DataConfig(size=150, shorter_side=400)).picture.shape == (3, 150, 300)
    assert read_pixels(tmp_path / "a.png", DataConfig(size=16, shorter_side=400)).picture.shape == (3, 100, 200)
