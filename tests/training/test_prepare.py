"""`python -m training.prepare`: a dataset without duplicates, split so that no scene is on both sides."""

from __future__ import annotations

import hashlib
import io
import json
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from itertools import combinations
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance

from training import prepare as command
from training.dataset.near_duplicates import SAME_COLORS, Appearance, appearance, find_repeats
from training.dataset.selection import SPLITS, Source, choose, draw_split
from training.preparation.cutting import tile_places
from training.preparation.settings import PrepareError, Settings
from training.prepare import prepare

from .test_data import make_zoo

SIZE = 64


@cache
def draw_scene(seed: int, width: int = 200, height: int = 160) -> Image.Image:
    """Something like a photograph: detail at every scale, falling off as one over the frequency (Field 1987)."""
    rng = np.random.default_rng(seed)
    noise = np.fft.rfft2(rng.standard_normal((3, height, width)) + rng.standard_normal((1, height, width)))
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    values = np.fft.irfft2(noise / np.maximum(frequency, 1 / width), (height, width))
    values = 128.0 + 45.0 * (values - values.mean()) / values.std() + rng.uniform(-40, 40, (3, 1, 1))
    return Image.fromarray(values.clip(0, 255).astype(np.uint8).transpose(1, 2, 0))


def disguises(scene: Image.Image) -> dict[str, Image.Image]:
    """The same picture in disguise."""
    width, height = scene.size
    buffer = io.BytesIO()
    scene.save(buffer, "JPEG", quality=50)
    return {
        "resized": scene.resize((width * 3 // 5, height * 3 // 5), Image.Resampling.BICUBIC),
        "jpeg50": Image.open(io.BytesIO(buffer.getvalue())).copy(),
        "brighter": ImageEnhance.Brightness(scene).enhance(1.1),
        "shifted": scene.crop((2, 3, width, height)),
        "cropped": scene.crop((3, 3, width - 3, height - 2)),
    }


@pytest.fixture
def albums(tmp_path: Path) -> Path:
    """Twelve scenes; six of them in five disguises each, one copied, one saved in another format."""
    folder = tmp_path / "albums"
    (folder / "sub").mkdir(parents=True)
    for number in range(12):
        scene = draw_scene(number)
        scene.save(folder / f"scene{number:02}.png")
        for name, picture in disguises(scene).items() if number < 6 else ():
            picture.save(folder / "sub" / f"scene{number:02} {name}.png")
    (folder / "sub" / "copy.png").write_bytes((folder / "scene07.png").read_bytes())
    draw_scene(8).save(folder / "sub" / "other format.bmp")
    return folder


def everything(folder: Path) -> dict[str, str]:
    """Every file of a folder, with its content."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != ".prepare.lock")
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def split_of(report: dict[str, Any]) -> dict[str, str]:
    """Where each kept picture is, by the digest of its pixels."""
    return {line["pixels"]: line["split"] for line in report["files"] if line["outcome"] == "kept"}


@pytest.mark.parametrize("tiles", [False, True])
def test_every_near_duplicate_is_removed_and_no_scene_is_in_two_splits(
    albums: Path, tmp_path: Path, tiles: bool
) -> None:
    asked = Settings(albums, tmp_path / "out", SIZE, tiles, recursive=True, split=(50.0, 25.0, 25.0), format="png")
    report = prepare(asked)
    lines = {line["file"]: line for line in report["files"]}
    assert len(lines) == 12 + 6 * 5 + 2
    kept = [file for file, line in lines.items() if line["outcome"] == "kept"]
    assert len(kept) == 12
    assert Counter(line["outcome"] for line in lines.values()) == {"kept": 12, "near duplicate": 30, "duplicate": 2}
    for file, line in lines.items():
        if line["outcome"] == "near duplicate":
            kept_one = lines[line["reason"].removeprefix("looks the same as ").rsplit(" (", 1)[0]]
            assert Path(kept_one["file"]).name[:7] == Path(file).name[:7]
            assert kept_one["outcome"] == "kept"
            assert (kept_one["width"], kept_one["height"]) == (200, 160)  # the largest one
    squares = 1 if not tiles else (200 // SIZE) * (160 // SIZE)
    for file in kept:
        assert len(lines[file]["written"]) == squares
        assert all(name.startswith(lines[file]["split"] + "/") for name in lines[file]["written"])
    # Independently: each written square is looked for in all scenes; those of one scene lie in one split.
    found: dict[int, set[str]] = {}
    for path in (tmp_path / "out").rglob("*.png"):
        found.setdefault(scene_of(path, tiles), set()).add(path.parent.name)
    assert sorted(found) == list(range(12))
    assert all(len(splits) == 1 for splits in found.values())


def scene_of(path: Path, tiles: bool) -> int:
    """The scene in which a square fits best, brute force."""
    square = np.asarray(Image.open(path), dtype=np.float32)
    assert square.shape == (SIZE, SIZE, 3)
    errors = []
    for number in range(12):
        scene = draw_scene(number)
        if tiles:
            values = np.asarray(scene, dtype=np.float32)
            places = [(y, x) for y in range(16, 160 - SIZE, SIZE) for x in range(4, 200 - SIZE, SIZE)]
            errors.append(min(np.abs(values[y : y + SIZE, x : x + SIZE] - square).mean() for y, x in places))
        else:
            reduced = scene.resize((SIZE * 200 // 160, SIZE), Image.Resampling.BILINEAR)
            values = np.asarray(reduced, dtype=np.float32)[:, 8 : 8 + SIZE]
            errors.append(np.abs(values - square).mean())
    best, second = sorted(errors)[:2]
    assert best < 0.6 * second
    return int(np.argmin(errors))


def test_tiles_are_the_pictures_own_pixels(albums: Path, tmp_path: Path) -> None:
    report = prepare(Settings(albums, tmp_path / "out", SIZE, tiles=True, format="png"))
    line = next(line for line in report["files"] if line["file"] == "scene03.png")
    whole = np.asarray(draw_scene(3))
    for name in line["written"]:
        row, column = (int(part) for part in Path(name).stem.split("_")[-2:])
        tile = np.asarray(Image.open(tmp_path / "out" / name))
        top, left = 16 + row * SIZE, 4 + column * SIZE  # half of 160 - 2 * 64 and of 200 - 3 * 64
        assert np.array_equal(tile, whole[top : top + SIZE, left : left + SIZE])
    reduced = prepare(Settings(albums, tmp_path / "reduced", SIZE, tiles=True, shorter_side=SIZE))
    assert {len(line["written"]) for line in reduced["files"]} == {1}


@given(st.integers(1, 600), st.integers(1, 600), st.integers(16, 300))
def test_tiles_fit_do_not_overlap_and_are_as_many_as_possible(height: int, width: int, size: int) -> None:
    covered = np.zeros((height, width), dtype=int)
    places = tile_places(height, width, size)
    for top, left in places:
        assert 0 <= top <= height - size
        assert 0 <= left <= width - size
        covered[top : top + size, left : left + size] += 1
    assert covered.max(initial=0) <= 1
    assert len(places) == (height // size) * (width // size)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32), st.integers(0, 20), st.integers(1, 90), st.integers(0, 2))
def test_kept_pictures_differ_and_linked_ones_share_a_split(seed: int, threshold: int, count: int, before: int) -> None:
    """Against a loop over all pairs; hashes are made to crowd together."""
    rng = np.random.default_rng(seed)
    centers = rng.random((5, 64)) < 0.5
    sources = []
    for number in range(count):
        bits = centers[rng.integers(5)] ^ (rng.random(64) < rng.choice([0.0, 0.1, 0.3]))
        colors = np.full(192, rng.choice([0.2, 0.2, 0.7]), dtype=np.float32)
        digest = hashlib.sha256(bytes([int(rng.integers(200))])).hexdigest()
        sources.append(Source(f"{number}.png", Path(), 64, 64, digest, Appearance(bits, colors)))
    same = {s.pixels: s.seen for s in sources}
    for source in sources:
        source.seen = same[source.pixels]
    shares = (2.0, 1.0, 1.0)
    earlier = {digest: draw_split(digest, shares, 0) for digest in sorted(same)[: before * 3]}
    choose(sources, threshold, shares, 1, earlier)

    def near(a: Source, b: Source) -> bool:
        close = int((a.seen.bits != b.seen.bits).sum()) <= threshold
        return close and float(np.abs(a.seen.colors - b.seen.colors).mean()) <= SAME_COLORS

    kept = [source for source in sources if source.outcome == "kept"]
    by_file = {source.file: source for source in sources}
    for a, b in combinations(kept, 2):
        assert not near(a, b)
    for source in sources:
        if source.outcome != "kept":
            assert source.of is not None
            other = by_file[source.of]
            if source.outcome == "duplicate":
                assert other.pixels == source.pixels
            else:
                assert other.outcome == "kept"
                assert near(source, other)
    if not earlier:
        for source in sources:
            for other in kept:
                if source.outcome == "near duplicate" and near(source, other):
                    assert source.split == other.split
    for source in kept:
        assert source.split == earlier.get(source.pixels, source.split)


def test_repeats_are_found_across_blocks() -> None:
    rng = np.random.default_rng(0)
    colors = np.zeros(192, dtype=np.float32)
    bits = rng.random((1500, 64)) < 0.5
    bits[1400] = bits[3]
    bits[1400, :7] ^= True
    repeats = find_repeats([Appearance(row, colors) for row in bits], 7)
    assert repeats[1400] == [(3, 7)]
    assert sum(map(bool, repeats)) == 1


def test_hash_follows_the_cosine_transform() -> None:
    from scipy.fft import dctn

    scene = draw_scene(5)
    gray = np.asarray(scene.convert("L").resize((32, 32), Image.Resampling.BOX), dtype=float)
    block = dctn(gray, norm="ortho")[1:9, 1:9].ravel()
    seen = appearance(torch.from_numpy(np.asarray(scene).copy()).permute(2, 0, 1))
    assert np.array_equal(seen.bits, block > np.median(block))
    assert seen.bits.sum() == 32
    assert int(seen.hexadecimal, 16) == int("".join(str(int(bit)) for bit in seen.bits), 2)


def test_flat_pictures_are_distinguished_by_color(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("black", "white", "red"):
        Image.new("RGB", (SIZE, SIZE), name).save(tmp_path / "in" / f"{name}.png")
    Image.new("RGB", (SIZE + 9, SIZE), (250, 250, 250)).save(tmp_path / "in" / "nearly white.png")
    report = prepare(Settings(tmp_path / "in", tmp_path / "out", SIZE))
    assert report["counts"]["outcomes"] == {"kept": 3, "near duplicate": 1}


def test_added_files_move_nothing(albums: Path, tmp_path: Path) -> None:
    asked = Settings(albums, tmp_path / "out", SIZE, split=(40.0, 30.0, 30.0))
    report = prepare(asked)
    before = split_of(report)
    assert set(before.values()) == set(SPLITS)
    for number in range(20, 30):
        draw_scene(number).save(albums / f"a{number}.png")
    # A larger version of a picture that is there already takes neither its place nor its split where these are known.
    draw_scene(6).resize((400, 320), Image.Resampling.BICUBIC).save(albums / "a scene06 larger.png")
    (albums / "scene09.png").rename(albums / "a scene09 renamed.png")
    after = split_of(prepare(asked))
    assert len(after) == 22
    assert before.items() <= after.items()
    # Without an earlier run, only what became a group of two can be divided otherwise.
    unknown = split_of(prepare(replace(asked, out=tmp_path / "fresh")))
    sixth = next(line["pixels"] for line in report["files"] if line["file"] == "scene06.png")
    assert sixth not in unknown
    assert {pixels: split for pixels, split in before.items() if pixels != sixth}.items() <= unknown.items()


def test_a_rerun_changes_nothing_and_keeps_foreign_files(albums: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "train").mkdir(parents=True)
    (out / "train" / "mine.jpg").write_bytes(b"mine")
    (out / "notes.txt").write_text("mine")
    asked = Settings(albums, out, SIZE, recursive=True)
    prepare(asked)
    before = everything(out)
    times = {path: path.stat().st_mtime_ns for path in out.glob("*/*.jpg")}
    prepare(asked)
    assert everything(out) == before
    assert {path: path.stat().st_mtime_ns for path in out.glob("*/*.jpg")} == times
    # Other settings replace what was written, and nothing else.
    prepare(replace(asked, tiles=True, seed=5))
    assert (out / "train" / "mine.jpg").read_bytes() == b"mine"
    prepare(asked)
    assert {file: content for file, content in everything(out).items() if file != "report.json"} == {
        file: content for file, content in before.items() if file != "report.json"
    }


def test_a_file_that_was_changed_by_hand_is_not_replaced(albums: Path, tmp_path: Path) -> None:
    asked = Settings(albums, tmp_path / "out", SIZE)
    prepare(asked)
    touched = next((tmp_path / "out").glob("train/*.jpg"))
    touched.write_bytes(b"retouched")
    with pytest.raises(PrepareError, match=touched.name):
        prepare(replace(asked, quality=40))
    assert touched.read_bytes() == b"retouched"
    # What is not wanted any more is removed only where it is ours.
    prepare(replace(asked, tiles=True))
    assert [path.name for path in (tmp_path / "out").glob("*/*.jpg") if "_0_0" not in path.name][:1] != []
    assert touched.read_bytes() == b"retouched"


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_killed_run_leaves_whole_files_and_the_next_one_completes_it(
    albums: Path, tmp_path: Path, start: Callable[..., BaseProcess]
) -> None:
    out = tmp_path / "out"
    line = ["--data", albums, "--out", out, "--recursive", "--size", 16, "--tiles", "--format", "png"]
    process = start("training.prepare", line)
    while process.is_alive() and len(list(out.glob("train/*.png"))) < 100:
        time.sleep(0.002)
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert not (out / "report.json").exists()
    for path in out.glob("*/[!.]*.png"):
        Image.open(path).load()
    # Other settings: what the killed run has written is ours all the same.
    asked = Settings(albums, out, SIZE, recursive=True)
    prepare(asked)
    prepare(replace(asked, out=tmp_path / "quiet"))
    assert everything(out) == everything(tmp_path / "quiet")


def test_every_broken_kind_is_reported(tmp_path: Path) -> None:
    left_out = make_zoo(tmp_path / "zoo")
    report = prepare(Settings(tmp_path / "zoo", tmp_path / "out", 32))
    lines = {line["file"]: line for line in report["files"]}
    assert {file: lines[file]["outcome"] for file in left_out} == left_out
    assert all(lines[file]["reason"] for file in left_out)
    assert lines["cmyk.jpg"]["converted"] == ["CMYK"]
    assert report["counts"]["ignored_by_suffix"] == {".txt": 1}
    assert sum(report["counts"]["outcomes"].values()) == len(lines) == len(list((tmp_path / "zoo").iterdir())) - 1


def test_bad_input_gives_one_line_and_leaves_nothing(
    albums: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, file = tmp_path / "out", tmp_path / "file"
    file.write_text("mine")
    assert "inside" in rejected(capsys, "--data", albums, "--out", albums / "cut")
    assert "inside" in rejected(capsys, "--data", albums, "--out", albums)
    assert "would write" in rejected(capsys, "--data", tmp_path / "x" / "train", "--out", tmp_path / "x")
    assert "no such folder" in rejected(capsys, "--data", tmp_path / "none", "--out", out)
    assert "of the form 80/10/10" in rejected(capsys, "--data", albums, "--out", out, "--split", "80/20")
    assert "first number above 0" in rejected(capsys, "--data", albums, "--out", out, "--split", "0/50/50")
    assert "16 to 8192" in rejected(capsys, "--data", albums, "--out", out, "--size", "8")
    assert "--out DIR is missing" in rejected(capsys, "--data", albums)
    assert "--tiles" in rejected(capsys, "--data", albums, "--out", out, "--shorter-side", "300")
    assert "44 tiny" in rejected(capsys, "--data", albums, "--out", out, "--size", "512", "--recursive")
    assert "not a folder" in rejected(capsys, "--data", albums, "--out", file / "x")
    assert not out.exists()
    out.mkdir()
    (out / "report.json").write_text("{}")
    assert "not a report of this command" in rejected(capsys, "--data", albums, "--out", out)
    assert list(out.iterdir()) == [out / "report.json"]


def rejected(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert command.main([str(argument) for argument in arguments]) == 2
    output = capsys.readouterr().err.splitlines()
    assert len(output) == 1
    return output[0]


def test_the_report_shows_what_was_done_with_every_picture(
    albums: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--data", str(albums), "--out", str(tmp_path / "out"), "--size", "32", "--recursive"]
    assert command.main([*arguments, "--split", "1/0/0"]) == 0
    output = capsys.readouterr().out
    assert "12 of 44 pictures kept" in output
    assert "30 near duplicates" in output
    assert json.loads((tmp_path / "out" / "report.json").read_text())["counts"]["splits"]["train"]["pictures"] == 12
    assert command.main([*arguments, "--split", "1e-6/0/1"]) == 0
    assert "no pictures in train" in capsys.readouterr().out
