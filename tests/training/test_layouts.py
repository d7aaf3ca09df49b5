"""How training and evaluation use folders, divided folders and clips, and where results must not be written."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from inpaint_core.masks import MaskMix
from training import evaluate
from training.config import ConfigError, DataConfig, read_recipe
from training.dataset.layout import find_unseen
from training.dataset.scan import DatasetError, load_dataset
from training.evaluation.pairs import Pairs
from training.preparation.settings import Settings
from training.prepare import prepare
from training.runs.folder import RunError, RunFolder, check_outside, choose_folder

from .conftest import draw_picture


def names(dataset) -> tuple[set[str], set[str]]:
    return {record.file for record in dataset.train}, {record.file for record in dataset.held_out}


def divided(folder: Path, parts: dict[str, int]) -> Path:
    number = 0
    for part, count in parts.items():
        for _ in range(count):
            (folder / part).mkdir(parents=True, exist_ok=True)
            draw_picture(number).save(folder / part / f"{number}.png")
            number += 1
    return folder


@pytest.mark.parametrize("recursive", [False, True])
def test_a_prepared_folder_is_trained_on_without_its_test_pictures(tmp_path, recursive):
    (tmp_path / "raw").mkdir()
    for number in range(24):
        noise = np.random.default_rng(number).integers(0, 256, (6, 6, 3), dtype=np.uint8)
        Image.fromarray(noise).resize((96, 96), Image.Resampling.NEAREST).save(tmp_path / "raw" / f"{number}.png")
    prepare(Settings(tmp_path / "raw", tmp_path / "D", 64, split=(50.0, 25.0, 25.0)))
    dataset = load_dataset(DataConfig(folder=str(tmp_path / "D"), size=32, recursive=recursive))
    train, held_out = names(dataset)
    assert train == {f"train/{path.name}" for path in (tmp_path / "D" / "train").iterdir()}
    assert held_out == {f"val/{path.name}" for path in (tmp_path / "D" / "val").iterdir()}
    assert any("test/ is never used" in sentence for sentence in dataset.messages())
    assert {path.parent.name for path in find_unseen(tmp_path / "D").pictures} == {"test"}


def test_public_layouts_are_recognized_and_missing_splits_are_drawn(tmp_path):
    train, held = names(
        load_dataset(DataConfig(folder=str(divided(tmp_path / "a", {"Train": 4, "valid": 2, "testing": 2}))))
    )
    assert {name.split("/")[0] for name in train} == {"Train"}
    assert {name.split("/")[0] for name in held} == {"valid"}
    train, held = names(
        load_dataset(DataConfig(folder=str(divided(tmp_path / "b", {"train": 6, "test": 2})), held_out=0.3))
    )
    assert {name.split("/")[0] for name in train | held} == {"train"}
    assert held
    train, held = names(
        load_dataset(DataConfig(folder=str(divided(tmp_path / "c", {"train": 3, "val": 2})), held_out=0.0))
    )
    assert not held
    assert {name.split("/")[0] for name in train} == {"train"}


def test_a_folder_with_pictures_of_its_own_is_not_split(tmp_path):
    folder = divided(tmp_path / "a", {"train": 2, "": 3})
    train, held = names(load_dataset(DataConfig(folder=str(folder))))
    assert all("/" not in name for name in train | held)


def test_masks_next_to_pictures_are_not_trained_on_and_skipped_suffixes_are_reported(tmp_path):
    for number in range(4):
        draw_picture(number).save(tmp_path / f"{number}.png")
        Image.new("L", (64, 56), 255).save(tmp_path / f"{number}_mask001.png")
    (tmp_path / "x.heic").write_bytes(b"")
    dataset = load_dataset(DataConfig(folder=str(tmp_path)))
    assert len(dataset.train) + len(dataset.held_out) == 4
    said = " ".join(dataset.messages())
    assert "4 files" in said
    assert "pillow-heif" in said


def test_a_damaged_mask_is_named_before_the_first_step_and_skipped(tmp_path):
    (tmp_path / "__MACOSX").mkdir()
    (tmp_path / "__MACOSX" / "._1.png").write_bytes(b"\0\5\x16\7")
    mask = np.zeros((32, 32), np.uint8)
    mask[8:20, 8:20] = 255
    Image.fromarray(mask).save(tmp_path / "1.png")
    Image.fromarray(mask * 0).save(tmp_path / "empty.png")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nxx")
    mix = MaskMix(sources=({"name": "folder", "options": {"folder": str(tmp_path)}},), hole_ratio=(0.05, 0.5))
    said = mix.check_files()
    assert len(said) == 2
    assert any("broken.png" in sentence for sentence in said)
    assert any("empty.png: the mask has no hole" in sentence for sentence in said)
    drawn = torch.cat([mix.draw((32, 32), seed) for seed in range(20)])
    assert bool((drawn.flatten(1).mean(1) > 0.05).all())
    (tmp_path / "1.png").unlink()
    (tmp_path / "empty.png").unlink()
    with pytest.raises(ValueError, match=r"none of 1 masks can be read .*broken\.png"):
        mix.check_files()


def test_an_evaluation_uses_the_columns_with_masks(tmp_path):
    for number in range(2):
        (tmp_path / "in").mkdir(exist_ok=True)
        draw_picture(number).save(tmp_path / "in" / f"{number}.png")
    (tmp_path / "masks").mkdir()
    for number in range(3):
        mask = np.zeros((64, 64), np.uint8)
        mask[number : number + 32, 10:30] = 255  # 0.156 of the picture
        Image.fromarray(mask).save(tmp_path / "masks" / f"{number}.png")
    said: list[str] = []
    pairs = Pairs(tmp_path / "in", str(tmp_path / "masks"), size=64, borders=(True, False), say=said.append)
    assert [(cell.bucket, cell.border) for cell in pairs.cells] == [((0.1, 0.2), True), ((0.1, 0.2), False)][
        -len(pairs.cells) :
    ]
    assert len(pairs) == 2 * len(pairs.cells)
    assert all(0.1 < float(pairs.load(pairs[number])[1].mean()) <= 0.2 for number in range(len(pairs)))
    assert "0.01-0.1" in said[-1]
    assert "skipped" in said[-1]
    arguments = ["--model", "mean", "--data", tmp_path / "in", "--masks", tmp_path / "masks", "--out", tmp_path / "o"]
    assert evaluate.main([str(argument) for argument in [*arguments, "--size", 64]]) == 0
    assert len(json.loads((tmp_path / "o" / "report.json").read_text())["columns"]) == 1


def write_clip(path: Path, frames: list[np.ndarray]) -> Path:
    height, width = frames[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (width, height))
    for frame in frames:
        writer.write(frame)
    writer.release()
    return path


def test_a_clip_is_a_dataset_of_different_frames_drawn_by_the_seed(tmp_path):
    scenes = [np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8) for seed in range(12)]
    large = [cv2.resize(scene, (80, 60), interpolation=cv2.INTER_NEAREST) for scene in scenes]
    clip = write_clip(tmp_path / "clip.avi", [scene for scene in large for _ in range(4)])
    config = DataConfig(folder=str(clip), size=32, held_out=0.25)
    dataset = load_dataset(config)
    assert len(dataset.train) + len(dataset.held_out) == 12  # of 48 frames, four of each scene
    assert len(dataset.left_out) == 36
    numbers = [int(record.file.split("#")[1]) for record in (*dataset.train, *dataset.held_out)]
    assert numbers == sorted(numbers)
    assert len({number // 4 for number in numbers}) == 12
    few = config.model_copy(update={"frames": 6})
    drawn = [load_dataset(few, seed=seed) for seed in (0, 0, 1, 2)]
    chosen = [[record.file for record in (*each.train, *each.held_out)] for each in drawn]
    assert chosen[0] == chosen[1]
    assert len({tuple(each) for each in chosen}) > 1
    assert all(len(each) <= 6 for each in chosen)


def test_a_clip_of_one_scene_or_with_pairs_is_rejected(tmp_path):
    clip = write_clip(tmp_path / "clip.avi", [np.full((48, 64, 3), 90, np.uint8)] * 5)
    with pytest.raises(DatasetError, match="only 1 of 5 frames drawn from 5 differ"):
        load_dataset(DataConfig(folder=str(clip), size=32))
    with pytest.raises(DatasetError, match="pairs need"):
        load_dataset(DataConfig(folder=str(clip), size=32, input_side="left"))


def test_inputs_are_found_like_masks_and_unpaired_ones_are_named(tmp_path):
    for number, name in enumerate(("a.png", "B.JPG", "c.png")):
        (tmp_path / "truth").mkdir(exist_ok=True)
        draw_picture(number).save(tmp_path / "truth" / name)
    for number, name in enumerate(("A.png", "b.png", "stranger.png", ".hidden.png")):
        (tmp_path / "inputs").mkdir(exist_ok=True)
        draw_picture(10 + number).save(tmp_path / "inputs" / name)
    config = DataConfig(folder=str(tmp_path / "truth"), input_folder=str(tmp_path / "inputs"), size=32)
    dataset = load_dataset(config)
    train, held_out = names(dataset)
    assert train | held_out == {"a.png", "B.JPG"}
    left_out = {Path(item.file).name: item.reason for item in dataset.left_out}
    assert set(left_out) == {"c.png", "stranger.png"}
    assert "no inputs named c" in left_out["c.png"]


@pytest.mark.parametrize(("out", "recursive"), [("", False), ("", True), ("runs/x", True), ("../link", False)])
def test_results_are_not_written_among_the_pictures(tmp_path, out, recursive):
    (tmp_path / "data").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "data")
    with pytest.raises(RunError, match="among the pictures"):
        check_outside(tmp_path / "data" / out, tmp_path / "data", recursive)
    check_outside(tmp_path / "data" / "runs", tmp_path / "data", recursive=False)


def test_an_evaluation_is_not_written_into_its_pictures_or_masks(tmp_path, capsys):
    for folder in ("in", "masks"):
        (tmp_path / folder).mkdir()
        draw_picture(1).save(tmp_path / folder / "a.png")
        arguments = ["--model", "mean", "--data", tmp_path / "in", "--masks", tmp_path / "masks"]
        assert evaluate.main([str(argument) for argument in [*arguments, "--out", tmp_path / folder / "o"]]) == 2
        assert "among the pictures" in capsys.readouterr().err


def test_a_sibling_that_is_a_link_is_skipped(tmp_path, tiny):
    (tmp_path / "outside").mkdir()
    (tmp_path / "runs").mkdir()
    out = tmp_path / "runs" / "x"
    (tmp_path / "runs" / "x-2").symlink_to(tmp_path / "outside")
    out.mkdir()
    first = choose_folder(out, "none", tiny, {}, "")
    assert first.path == out  # empty: nothing has to be kept
    from training.runs.state import save_state

    save_state(RunFolder(out).states, 1, {"identity": {}, "fingerprint": "", "run": "r"}, "r")
    assert choose_folder(out, "none", tiny, {}, "").path == tmp_path / "runs" / "x-3"


@pytest.mark.parametrize("name", ["samples", "state", "metrics.jsonl", "model.safetensors", "summary.json"])
def test_links_in_a_run_that_point_outside_it_are_rejected(tmp_path, name):
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RunError, match="points outside the run folder"):
        RunFolder(tmp_path / "x").make()
    assert not (tmp_path / "elsewhere").exists()


BAD_RECIPES = {
    "aliases": "a: &a [1, 2]\nb: *a\n",
    "billion laughs": "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n",
    "nested flow": "a: " + "[" * 3000 + "]" * 3000,
    "nested mappings": "".join(" " * depth + "a:\n" for depth in range(200)),
    "number as a key": "data: {1: 2}\n",
    "list as a key": "? [a, b]\n: 1\n",
    "null as a key": "~: 1\n",
    "number of 6000 digits": "steps: " + "9" * 6000,
    "text for a section": "data: everything\n",
    "list for a section": "optimizer: [1, 2]\n",
    "date": "name: 2026-01-01\n",
    "set": "model: !!set {a, b}\n",
    "object": "a: !!python/object/apply:os.system [true]\n",
    "too large": "name: " + "x" * 2**20 + "\n",
    "control characters": 'name: "a\\e[2J\\nb"\n',
    "a name of 60000 characters": "x" * 60000 + ": 1\n",
    "not UTF-8": b"name: \xff\n",
    "empty": "",
}


@pytest.mark.parametrize("kind", BAD_RECIPES)
def test_a_bad_recipe_is_rejected_in_one_clean_short_line(tmp_path, kind):
    from training.config import load_recipe

    content = BAD_RECIPES[kind]
    path = tmp_path / "r.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ConfigError) as caught:
        load_recipe(path)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) <= 4000


def test_a_recipe_that_is_a_folder_is_rejected(tmp_path):
    (tmp_path / "r.yaml").mkdir()
    with pytest.raises(ConfigError, match="is not a file"):
        read_recipe(tmp_path / "r.yaml")


def test_pictures_that_are_only_black_and_white_among_others_are_named_as_likely_masks(tmp_path):
    for number in range(3):
        draw_picture(number).save(tmp_path / f"{number}.png")
        hole = np.zeros((56, 64), np.uint8)
        hole[10:30, 12 + number : 40] = 255
        Image.fromarray(hole).save(tmp_path / f"{number}_m.png")
    config = DataConfig(folder=str(tmp_path), size=32)
    said = " ".join(load_dataset(config).messages())
    assert "3 of 6 pictures are purely black and white" in said
    assert "0_m.png, 1_m.png, 2_m.png" in said
    report = prepare(Settings(tmp_path, tmp_path.parent / f"{tmp_path.name} out", 32))
    assert "purely black and white" in " ".join(report["remarks"])
    for number in range(3):
        (tmp_path / f"{number}.png").unlink()
    assert "black and white" not in " ".join(load_dataset(config).messages())
