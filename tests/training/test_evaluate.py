"""`python -m training.evaluate`: the pairs, the numbers, the report, and recovery from kills."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from safetensors.torch import save_file
from scipy.stats import t as student_t

from inpaint_core import inpaint, load_model, save_model
from inpaint_core.checkpoints.card import ModelCard
from inpaint_core.checkpoints.inpainting_model import InpaintingModel
from inpaint_core.inpainting.classical import ClassicalFill
from inpaint_core.masks import generate
from inpaint_core.metrics import frechet_distance, l1_percent, psnr
from inpaint_core.models import build_model
from training import evaluate
from training.evaluation import comparison
from training.evaluation.methods import Method, method_names
from training.evaluation.pairs import BORDER, BUCKETS, Pairs, name_bucket, parse_bucket
from training.evaluation.report import differences, short_table, summarize
from training.evaluation.results import Results, ResultsError

from .conftest import draw_picture

SIZE = 48


def run(*arguments: str | Path | int) -> int:
    return evaluate.main([str(argument) for argument in arguments])


def rejected(capsys: pytest.CaptureFixture[str], *arguments: str | Path | int) -> str:
    """Run, expect exit code 2 and one line on standard error, return it."""
    code = run(*arguments)
    error = capsys.readouterr().err
    assert code == 2
    assert error.count("\n") == 1
    return error


@pytest.fixture
def masks(tmp_path: Path) -> Path:
    """Four masks in two subfolders: 4% and 16%, one of each away from the edge."""
    folder = tmp_path / "masks"
    for name, box in {
        "a/near.png": (0, 0, 19, 19),
        "a/far.png": (40, 40, 59, 59),
        "b/near.png": (0, 0, 39, 39),
        "b/far.png": (30, 30, 69, 69),
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        mask = Image.new("L", (100, 100))
        ImageDraw.Draw(mask).rectangle(box, fill=255)
        mask.save(folder / name)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tiny") / "model.safetensors"
    save_model(tiny_model(), path)
    return path


def tiny_model(task: str = "inpainting") -> InpaintingModel:
    arguments = {"width": 4, "depth": 2}
    card = ModelCard(architecture="unet", arguments=arguments, trained_size=32, task=task)
    return InpaintingModel(card, build_model("unet", **arguments))


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights in the layout of torchvision's VGG-16, random and much thinner."""
    generator = torch.Generator().manual_seed(0)
    widths = {0: (3, 64), 2: (64, 4), 5: (4, 4), 7: (4, 4), 10: (4, 4), 12: (4, 4), 14: (4, 3)}
    weights = {}
    for index, (before, after) in widths.items():
        weights[f"features.{index}.weight"] = torch.randn(after, before, 3, 3, generator=generator) / before**0.5
        weights[f"features.{index}.bias"] = torch.zeros(after)
    path = tmp_path_factory.mktemp("features") / "vgg.safetensors"
    save_file(weights, path)
    return path


def without_times(report: dict) -> dict:
    for method in report["methods"]:
        del method["seconds"]
    return report


def read(out: Path) -> dict:
    return json.loads((out / "report.json").read_text())


def test_the_whole_command(pictures, masks, model, features, tmp_path, capsys):
    out = tmp_path / "new" / "evaluation"
    arguments = ["--data", pictures, "--masks", masks, "--out", out, "--size", SIZE, "--count", 20]
    buckets = ["--buckets", "0.01-0.1", "0.1-0.2", "--border", "both"]
    assert run("--model", model, "telea", "mean", *arguments, *buckets, "--features", features) == 0
    printed = capsys.readouterr().out
    assert printed.splitlines()[0].split()[0] == "method"
    report = read(out)
    assert [method["name"] for method in report["methods"]] == [model.parent.name, "telea", "mean"]
    weights = load_model(model).network.parameters()
    assert [method["parameters"] for method in report["methods"]] == [sum(w.numel() for w in weights), 0, 0]
    assert all(method["seconds"] > 0 for method in report["methods"])
    assert report["columns"] == ["0.01-0.1 N", "0.01-0.1 B", "0.1-0.2 N", "0.1-0.2 B"]
    for method in report["methods"]:
        assert [cell["pairs"] for cell in method["cells"]] == [5, 5, 5, 5, 20]
    markdown = (out / "report.md").read_text()
    for title in (
        "L1 (%), whole",
        "PSNR (dB), hole",
        "SSIM, whole",
        "Perceptual distance, hole",
        "FID,",
        "KID x 1000,",
    ):
        assert f"## {title}" in markdown
    assert "VGG-16, pool1, pool2, pool3" in markdown
    with Image.open(out / "grid.png") as grid:
        assert grid.width > 5 * SIZE
        assert grid.height > 6 * SIZE
    with Image.open(out / "scatter.png") as scatter:
        assert scatter.size == (960, 600)


def test_without_features_the_report_says_what_was_not_measured(pictures, masks, tmp_path):
    bucket = ["--buckets", "0.01-0.1"]
    assert run("--model", "mean", "--data", pictures, "--masks", masks, "--out", tmp_path / "o", *bucket) == 0
    markdown = (tmp_path / "o" / "report.md").read_text()
    assert "not measured, because --features FILE is missing" in markdown
    assert "## Perceptual" not in markdown
    assert "## FID" not in markdown


def test_the_numbers_are_those_of_every_pair_measured_by_hand(pictures, model, tmp_path):
    out = tmp_path / "o"
    arguments = ["--data", pictures, "--masks", "rectangles", "--out", out, "--size", SIZE, "--count", 21]
    assert run("--model", model, "telea", *arguments, "--buckets", "0.1-0.2", "0.2-0.3", "--seed", 3) == 0
    manifest = json.loads((out / "manifest.json").read_text())
    assert len(manifest["pairs"]) == 21
    completers = {model.parent.name: load_model(model), "telea": ClassicalFill("telea")}
    values: dict[str, list[tuple[float, float]]] = {name: [] for name in completers}
    for pair in manifest["pairs"][:16]:  # the first crop of a picture is its center
        assert pair["crop"] == 0
        picture = Image.open(pictures / pair["image"])
        left, top = (picture.width - 56) // 2, (picture.height - 56) // 2
        pixels = torch.from_numpy(np.array(picture.crop((left, top, left + 56, top + 56)))).permute(2, 0, 1)[None]
        image = torch.nn.functional.interpolate(pixels.float(), (SIZE, SIZE), mode="bilinear", antialias=True)
        image = image.round() / 255
        mask = generate(pair["mask"], (SIZE, SIZE), tuple(pair["bucket"]), None, pair["mask_seed"])
        for name, completer in completers.items():
            output = inpaint(completer, image, mask, "whole", feather=0, detail="network")
            values[name].append((l1_percent(output, image).item(), psnr(output, image, mask).item()))
    for name, expected in values.items():
        lines = (out / "results" / f"{name}.jsonl").read_text().splitlines()[1:]
        stored = [json.loads(line) for line in lines]
        assert [line["pair"] for line in stored] == list(range(21))
        for line, (l1, hole_psnr) in zip(stored, expected, strict=False):
            assert line["l1"] == pytest.approx(l1, abs=1e-4)
            assert line["hole_psnr"] == pytest.approx(hole_psnr, abs=1e-3)
    (telea,) = [method for method in read(out)["methods"] if method["name"] == "telea"]
    second = [json.loads(line)["ssim"] for line in lines][1::2]
    summary = telea["cells"][1]["metrics"]["ssim"]
    assert summary["mean"] == pytest.approx(statistics.mean(second))
    deviations: dict[str, float] = {}  # of each picture, summed
    for pair, value in zip(manifest["pairs"][1::2], second, strict=True):
        deviations[pair["image"]] = deviations.get(pair["image"], 0.0) + value - summary["mean"]
    squares = sum(value**2 for value in deviations.values())
    assert len(deviations) == 8
    assert summary["ci95"] == pytest.approx(student_t.ppf(0.975, 7) * (squares * 8 / 7) ** 0.5 / len(second))


def test_further_crops_differ_and_repeat_for_a_seed(pictures):
    arguments = {"size": 32, "count": 40, "buckets": BUCKETS[1:3]}
    first, again = (Pairs(pictures, "center", seed=1, **arguments) for _ in range(2))
    other = Pairs(pictures, "center", seed=2, **arguments)
    crops = [first.load(first[number])[0] for number in (0, 16, 32)]
    assert first[0].image == first[16].image == first[32].image
    assert not torch.equal(crops[0], crops[1])
    assert not torch.equal(crops[1], crops[2])
    assert torch.equal(again.load(again[32])[0], crops[2])
    assert not torch.equal(other.load(other[32])[0], crops[2])
    assert first.manifest() == again.manifest() != other.manifest()


def test_every_column_sees_the_same_pictures(pictures):
    pairs = Pairs(pictures, "strokes", size=32, borders=(True, False), buckets=BUCKETS[:2])
    assert len(pairs) == 8 * 4
    shown = [[pairs[n].image for n in range(len(pairs)) if pairs[n].cell == cell] for cell in range(4)]
    assert shown[0] == shown[1] == shown[2] == shown[3]
    assert len(set(shown[0])) == 8


@pytest.mark.parametrize("source", ["rectangles", "folder"])
def test_masks_lie_in_their_bucket_and_keep_the_border(pictures, masks, source):
    buckets = ((0.01, 0.1), (0.1, 0.2))
    where = str(masks) if source == "folder" else source
    pairs = Pairs(pictures, where, size=SIZE, count=24, buckets=buckets, borders=(True, False))
    margin = int(np.ceil(BORDER / 512 * SIZE))
    touching = 0
    for number in range(len(pairs)):
        mask = pairs.load(pairs[number])[1][0]
        cell = pairs.cells[pairs[number].cell]
        assert cell.bucket[0] < mask.mean() <= cell.bucket[1]
        edge = mask.clone()
        edge[margin:-margin, margin:-margin] = 0
        if cell.border:
            assert not edge.any()
        touching += bool(edge.any())
    assert touching > 0


def test_bucket_names_are_read_as_they_are_printed():
    assert tuple(parse_bucket(name_bucket(bucket)) for bucket in BUCKETS) == BUCKETS
    for wrong in ("0.2", "0.2-0.1", "a-b", "0.5-1.5", "-0.1-0.2", "nan-1"):
        with pytest.raises(ValueError, match="range of hole ratios"):
            parse_bucket(wrong)


def test_names_of_methods_are_short_and_unique(tmp_path):
    files = ["runs/one/model.safetensors", "runs/two/model.safetensors", "x/one.safetensors", "telea", "a/big-lama.pt"]
    assert method_names(files) == ["one", "two", "one (2)", "telea", "big-lama"]
    with pytest.raises(ValueError, match="given twice"):
        method_names(["telea", "telea"])


def test_set_distances_are_measured_where_pictures_outnumber_features(pictures, features, tmp_path):
    out = tmp_path / "o"
    arguments = ["--data", pictures, "--masks", "center", "--out", out, "--size", 32, "--count", 5]
    assert run("--model", "mean", *arguments, "--buckets", "0.1-0.2", "0.2-0.3", "--features", features) == 0
    cells = read(out)["methods"][0]["cells"]
    assert ["fid" in cell["metrics"] for cell in cells] == [False, False, True]  # 3, 2 and 5 pairs, 3 features
    rows = [
        torch.from_numpy(np.fromfile(out / "results" / f"{name}.features", np.float32).reshape(5, 3))
        for name in ("mean", comparison.TRUTH)
    ]
    assert cells[2]["metrics"]["fid"]["mean"] == pytest.approx(frechet_distance(*rows))


def test_models_are_added_to_what_is_there(pictures, model, tmp_path):
    out = tmp_path / "o"
    arguments = ["--data", pictures, "--masks", "center", "--out", out, "--size", 32, "--count", 9]
    assert run("--model", "mean", *arguments, "--buckets", "0.1-0.2") == 0
    before = (out / "results" / "mean.jsonl").stat().st_mtime_ns
    assert run("--model", "mean", model, *arguments, "--buckets", "0.1-0.2") == 0
    assert (out / "results" / "mean.jsonl").stat().st_mtime_ns == before
    assert [method["cells"][-1]["pairs"] for method in read(out)["methods"]] == [9, 9]


def evaluation(arguments: list[str]) -> None:
    """At module level, so that another process can call it."""
    evaluate.main(arguments)


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL and a fork server")
def test_a_killed_evaluation_resumes_and_its_report_equals_that_of_one_never_killed(
    pictures, masks, model, features, tmp_path, monkeypatch
):
    count = 160
    common = ["--data", str(pictures), "--masks", str(masks), "--size", "64", "--count", str(count)]
    common += ["--buckets", "0.01-0.1", "0.1-0.2", "--features", str(features), "--model", str(model), "telea"]
    killed, quiet = tmp_path / "killed", tmp_path / "quiet"
    lines = killed / "results" / "telea.jsonl"
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["training.evaluate"])
    process = context.Process(target=evaluation, args=([*common, "--out", str(killed)],))
    process.start()
    while process.is_alive() and not (lines.exists() and lines.read_bytes().count(b"\n") > count / 4):
        time.sleep(0.002)
    process.kill()
    process.join()
    assert process.exitcode == -9
    assert not (killed / "report.json").exists()
    half = lines.read_bytes()
    assert count / 4 < half.count(b"\n") < count
    done = min(path.read_bytes().count(b"\n") - 1 for path in lines.parent.glob("*.jsonl"))  # by the slower method
    with lines.open("ab") as file:
        file.write(b'{"pair": 99, "l1"')  # as left by a power cut
    started = []
    load = Pairs.load
    with monkeypatch.context() as patch:
        patch.setattr(Pairs, "load", lambda pairs, pair: started.append(pair.number) or load(pairs, pair))
        assert run(*common, "--out", killed) == 0
    assert started[0] == done // comparison.BATCH * comparison.BATCH
    assert run(*common, "--out", quiet) == 0
    assert without_times(read(killed)) == without_times(read(quiet))
    for name in ("manifest.json", "grid.png", *(f"results/{file.name}" for file in (quiet / "results").iterdir())):
        assert (killed / name).read_bytes() == (quiet / name).read_bytes(), name


TOGETHER = """
import json, sys
from training import evaluate
from training.placement import process_group

with process_group():
    sys.exit(max(evaluate.main(line) for line in json.loads(sys.argv[1])))
"""


@pytest.mark.skipif(
    not torch.distributed.is_available() or sys.platform == "win32", reason="needs torch.distributed with gloo"
)
def test_processes_of_torchrun_share_the_pictures_and_give_the_scores_of_one(
    pictures, masks, model, features, tmp_path, monkeypatch
):
    common = ["--data", str(pictures), "--masks", str(masks), "--size", "48", "--count", "44", "--border", "both"]
    common += ["--buckets", "0.01-0.1", "0.1-0.2", "--features", str(features), "--model", str(model), "telea"]
    outs = {name: tmp_path / name for name in ("one", "two", "resumed")}
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)  # as reported by torchrun's processes
    assert run(*common, "--out", outs["one"]) == 0
    shutil.copytree(outs["one"], outs["resumed"])  # as if one process had been killed
    for pattern, count in (("tiny*.jsonl", 9), ("telea.jsonl", 20)):
        (path,) = (outs["resumed"] / "results").glob(pattern)
        path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:count]))
    (outs["resumed"] / "report.json").unlink()
    program = tmp_path / "program.py"
    program.write_text(TOGETHER)
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--rdzv-backend", "c10d"]
    lines = [[*common, "--out", str(outs[name])] for name in ("two", "resumed")]
    command += ["--rdzv-endpoint", "localhost:0", str(program), json.dumps(lines)]
    path = os.pathsep.join([str(Path(__file__).resolve().parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    expected = without_times(read(outs["one"]))
    for name in ("two", "resumed"):
        assert without_times(read(outs[name])) == expected
        for file in (outs["one"] / "results").iterdir():
            assert (outs[name] / "results" / file.name).read_bytes() == file.read_bytes(), (name, file.name)


def test_a_cut_file_of_results_loses_whole_batches(tmp_path):
    with Results(tmp_path, "m", {"model": "a"}, 20, 8, 2) as results:
        results.append([{"l1": float(n)} for n in range(20)], torch.arange(40.0).view(20, 2))
    with Results(tmp_path, "m", {"model": "a"}, 20, 8, 2) as results:
        assert results.done == 20
    with (tmp_path / "m.features").open("ab") as file:
        file.truncate(17 * 8 + 3)
    with Results(tmp_path, "m", {"model": "a"}, 20, 8, 2) as results:
        assert results.done == 16
        assert [line["l1"] for line in results.scores()] == list(range(16))
        assert torch.equal(results.features(2), torch.arange(32.0).view(16, 2))
    with pytest.raises(ResultsError, match="another model or other settings"):
        Results(tmp_path, "m", {"model": "the name of quite another one"}, 20, 8, 2)


def test_results_of_other_settings_or_models_are_not_mixed(pictures, tmp_path, capsys):
    out, file = tmp_path / "o", tmp_path / "m.safetensors"
    save_model(tiny_model(), file)
    arguments = ["--model", file, "--data", pictures, "--masks", "center", "--out", out, "--size", 32, "--count", 2]
    assert run(*arguments, "--buckets", "0.1-0.2") == 0
    assert "other pictures, masks or settings" in rejected(capsys, *arguments, "--buckets", "0.1-0.2", "--seed", 1)
    changed = tiny_model()
    with torch.no_grad():
        next(changed.network.parameters()).add_(1.0)
    save_model(changed, file)
    assert "another model" in rejected(capsys, *arguments, "--buckets", "0.1-0.2")
    assert run(*arguments, "--buckets", "0.1-0.2", "--seed", 1, "--resume", "none") == 0


BAD = {
    "no such folder": {"--data": "{tmp}/nowhere"},
    "no readable pictures in this folder": {"--data": "{tmp}/empty"},
    "neither a folder of masks nor one of": {"--masks": "{tmp}/nowhere"},
    "use the folder itself": {"--masks": "folder"},
    "no masks with a hole ratio of 0.3-0.4, 0.4-0.5; use other --buckets": {
        "--masks": "{tmp}/masks",
        "--buckets": "0.3-0.4 0.4-0.5",
    },
    "'half' is not a range of hole ratios": {"--buckets": "half"},
    "is not a folder": {"--out": "{tmp}/file/below"},
    "no such": {"--model": "unheard-of"},
    "given twice": {"--model": "mean mean"},
    "no such VGG weights file": {"--features": "{tmp}/vgg.safetensors"},
    "must be 32 to 4096": {"--size": "8"},
    "must be 1 or more": {"--count": "0"},
    "--against telea: not one of the models to measure: mean": {"--against": "telea"},
    "unrecognized arguments": {"--color": "red"},
}


@pytest.mark.parametrize("sentence", BAD)
def test_bad_input_is_rejected_in_one_line_and_nothing_is_written(sentence, pictures, masks, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    options = {"--model": "mean", "--data": str(pictures), "--masks": "center", "--out": "{tmp}/out", "--size": "32"}
    options |= {"--count": "2", "--buckets": "0.1-0.2"} | BAD[sentence]
    arguments = [part for name, value in options.items() for part in (name, *value.format(tmp=tmp_path).split())]
    assert sentence in rejected(capsys, *arguments)
    assert not (tmp_path / "out").exists()


def test_a_damaged_picture_is_skipped_by_name(pictures, tmp_path, capsys):
    (pictures / "5.png").write_bytes((pictures / "4.png").read_bytes()[:-200])
    arguments = ["--model", "mean", "--data", pictures, "--masks", "center", "--out", tmp_path / "o", "--size", 32]
    assert run(*arguments, "--buckets", "0.1-0.2") == 0
    assert "5.png: the picture is damaged" in capsys.readouterr().err
    assert "5.png" not in {
        pair["image"] for pair in json.loads((tmp_path / "o" / "manifest.json").read_text())["pairs"]
    }


def test_summaries_of_cells_dealt_in_turn():
    scores = [{"pair": n, "l1": float(n * n)} for n in range(5)]
    counts, summaries = summarize(scores, 2, 5)
    assert counts == [3, 2, 5]
    assert [summary["l1"]["mean"] for summary in summaries] == [20 / 3, 5.0, 6.0]
    assert "pair" not in summaries[0]


def test_intervals_take_the_pairs_of_a_picture_together():
    """Two cells, three pictures; one metric of one pair of the first picture could not be measured."""
    generator = np.random.default_rng(0)
    ours, theirs = generator.normal(size=10), generator.normal(size=10)
    rows = [[{"pair": n, "hole_psnr": value} for n, value in enumerate(values)] for values in (ours, theirs)]
    del rows[0][1]["hole_psnr"]
    plain, apart = summarize(rows[0], 2, 3)[1], differences(*rows, 2, 3)
    for cell, numbers in enumerate(([0, 2, 4, 6, 8], [3, 5, 7, 9], [0, *range(2, 10)])):
        for values, found in ((ours, plain[cell]), (ours - theirs, apart[cell])):
            mean = statistics.fmean(values[n] for n in numbers)
            squares = sum(sum(values[n] - mean for n in numbers if n // 2 % 3 == p) ** 2 for p in range(3))
            half = student_t.ppf(0.975, 2) * (squares * 3 / 2) ** 0.5 / len(numbers)
            assert found["hole_psnr"] == {"mean": pytest.approx(mean), "ci95": pytest.approx(half)}
            assert found.keys() == {"hole_psnr"}


@pytest.mark.parametrize("pictures", [4, 40])
def test_an_interval_over_pictures_covers_the_true_mean_where_one_over_pairs_does_not(pictures):
    """Four pairs of each picture, which share nine tenths of their variance."""
    generator, hits = np.random.default_rng(0), {pictures: 0, 4 * pictures: 0}
    for _ in range(500):
        shared = np.tile(generator.normal(size=pictures) * 0.9**0.5, 4)
        rows = [{"l1": value} for value in shared + generator.normal(size=4 * pictures) * 0.1**0.5]
        for count in hits:
            found = summarize(rows, 1, count)[1][0]["l1"]
            hits[count] += abs(found["mean"]) < found["ci95"]
    assert 0.92 < hits[pictures] / 500 < 0.98
    assert hits[4 * pictures] / 500 < 0.8


def test_a_count_below_the_number_of_pictures_is_drawn_from_all_of_them(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        for number in range(20):
            draw_picture(number).save(tmp_path / folder / f"{number:02}.png")
    arguments = {"size": 32, "buckets": BUCKETS[1:2]}
    pairs = Pairs(tmp_path, "center", count=20, **arguments)
    shown = [pairs[number].image for number in range(20)]
    assert len(set(shown)) == 20
    assert 4 <= sum(name.startswith("b/") for name in shown) <= 16
    every = Pairs(tmp_path, "center", **arguments)
    assert len({every[number].image for number in range(len(every))}) == 40


def test_differences_from_a_method_are_reported_and_bold_where_they_are_sure(pictures, tmp_path):
    masks = ["--masks", "rectangles", "--buckets", "0.1-0.2", "--size", SIZE]
    arguments = ["--model", "telea", "mean", "--data", pictures, *masks, "--out", tmp_path / "o"]
    assert run(*arguments, "--against", "mean") == 0
    report = read(tmp_path / "o")
    (compared,) = report["differences"]
    assert (compared["from"], [method["name"] for method in compared["methods"]]) == ("mean", ["telea"])
    telea, mean = (method["cells"][0]["metrics"]["hole_psnr"]["mean"] for method in report["methods"])
    found = compared["methods"][0]["cells"][0]["hole_psnr"]
    assert found["mean"] == pytest.approx(telea - mean)
    section = (tmp_path / "o" / "report.md").read_text().split("## PSNR (dB), hole only, difference from mean")[1]
    row = next(line for line in section.splitlines() if line.startswith("| telea"))
    assert ("**" in row) == (found["mean"] > found["ci95"])
    assert f"{found['mean']:+.2f} ± {found['ci95']:.2f}" in row


def test_a_fill_that_is_not_finite_is_not_scored():
    class Broken:
        def complete(self, image, mask):
            return image / 0.0

    with pytest.raises(ValueError, match="broken: the model's fill is not finite"):
        Method("broken", Broken()).fill(torch.zeros(1, 3, 16, 16), torch.ones(1, 1, 16, 16))


def test_a_fill_that_is_the_truth_has_a_finite_score(pictures):
    class Oracle:
        def complete(self, image, mask):
            return truth

    truth = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    mask = torch.zeros(1, 1, 16, 16)
    mask[..., 4:8, 4:8] = 1
    method = Method("oracle", Oracle())
    (scores,) = comparison.score(method.fill(truth, mask), truth, mask)
    assert scores["psnr"] == scores["hole_psnr"] == 100.0
    assert scores["l1"] == 0.0
    summary = {name: {"mean": value, "ci95": None} for name, value in scores.items()}
    table = short_table([{"name": "oracle", "seconds": 0.5, "summary": summary}])
    assert table.splitlines()[1].split() == ["oracle", "0.00", "100.00", "1.000", "0.00", "100.00", "1.000", "0.5"]
