"""The output of a sweep: `results.json`, `report.md` and three pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from inpaint_core.files.atomic import atomic_path, write_text
from inpaint_core.inpainting.classical import ClassicalFill

from ..objectives.inpainting import composite
from ..runs.folder import RunFolder, write_json
from .config import Combination, Sweep
from .drawings import draw_bars, draw_curves, draw_pictures, read_curve
from .runs import Bench, Outcome, Runs, fill, load_filler
from .statistics import Axis, Estimate, analyze, answer

RESULTS_FORMAT = 1
RESULTS, REPORT, CURVES, BARS, PICTURES = "results.json", "report.md", "curves.png", "bars.png", "pictures.png"
SHOWN = 0  # index of the test crop shown in pictures
Done = Sequence[tuple[Combination, Outcome]]
Cell = tuple[str, ...]


def write_report(sweep: Sweep, out: Path, runs: Runs, bench: Bench) -> list[str]:
    """Write everything; all runs must be complete.

    Returns
    -------
    list of str
        One message on the best combination, and one for each axis.
    """
    done: list[tuple[Combination, Outcome]] = []
    for run in sweep.runs:
        outcome = runs.outcome(run)
        if outcome is None:
            raise ValueError(f"{runs.folder(run)}: not complete")
        done.append((run, outcome))
    levels = {axis: list(values) for axis, values in sweep.config.axes.items()}
    analyzed = analyze(levels, gather(done))
    baselines = bench.baselines()
    answers = [best_combination(done), *(answer(axis) for axis in analyzed)]
    write_json(out / RESULTS, _results(sweep, bench, done, analyzed, answers, baselines))
    with atomic_path(out / CURVES) as temporary:
        curves = [(run, read_curve(RunFolder(runs.folder(run)).metrics)) for run, _ in done]
        draw_curves(levels, curves).save(temporary)
    with atomic_path(out / BARS) as temporary:
        floor, lines = baselines["mean"]["hole_psnr"], {"Telea": baselines["telea"]["hole_psnr"]}
        draw_bars(levels, analyzed, floor, lines).save(temporary)
    with atomic_path(out / PICTURES) as temporary:
        given, filled = _fill(levels, sweep, done, runs, bench)
        draw_pictures(levels, given, filled).save(temporary)
    write_text(out / REPORT, _text(sweep, bench, done, analyzed, answers, baselines))
    return answers


def gather(done: Done, metric: str = "hole_psnr") -> dict[Cell, list[float | None]]:
    """A metric by one level of every axis, one value per seed; None for failed runs."""
    scores: dict[Cell, list[float | None]] = {}
    for run, outcome in done:
        scores.setdefault(tuple(run.levels.values()), []).append(outcome.metrics.get(metric))
    return scores


def best_combination(done: Done) -> str:
    """A sentence on which combination is best, averaged over its seeds."""
    means = {
        cell: fmean(score for score in scores if score is not None)
        for cell, scores in gather(done).items()
        if None not in scores
    }
    if not means:
        return "Best combination: no combination was completed with every seed."
    cell = max(means, key=means.__getitem__)
    return f"Best combination: {', '.join(cell)} ({means[cell]:.2f} dB)."


def _results(
    sweep: Sweep,
    bench: Bench,
    done: Done,
    axes: Sequence[Axis],
    answers: Sequence[str],
    baselines: Mapping[str, Mapping[str, float]],
) -> dict[str, Any]:
    return {
        "format": RESULTS_FORMAT,
        "name": sweep.config.name,
        "axes": {axis: list(levels) for axis, levels in sweep.config.axes.items()},
        "seeds": list(sweep.config.seeds),
        "pictures": {
            "training": bench.training_pictures,
            "validation": bench.validation_pictures,
            "test": bench.test_pictures,
            "test_crops": sweep.config.test.samples,
        },
        "baselines": baselines,
        "runs": [
            {"name": run.name, "levels": run.levels, "seed": run.seed, **asdict(outcome)} for run, outcome in done
        ],
        "analysis": [asdict(axis) for axis in axes],
        "answers": list(answers),
    }


def _fill(
    levels: Mapping[str, Sequence[str]], sweep: Sweep, done: Done, runs: Runs, bench: Bench
) -> tuple[list[tuple[str, Tensor]], dict[Cell, tuple[str, Tensor | None]]]:
    batch = bench.batches[0]
    image, mask = batch.image[SHOWN : SHOWN + 1], batch.mask[SHOWN : SHOWN + 1]
    one = type(batch)(image, mask, batch.files[:1])
    holes = torch.where(mask > 0.5, torch.full_like(image, 0.5), image)
    given = [("truth", image[0]), ("holes", holes[0])]
    for method, name in (("mean", "mean fill"), ("telea", "Telea")):
        given.append((name, composite(fill(ClassicalFill(method), one), image, mask)[0]))  # type: ignore[arg-type]
    first = sweep.config.seeds[0]
    outcomes = {tuple(run.levels.values()): (run, outcome) for run, outcome in done if run.seed == first}
    filled: dict[Cell, tuple[str, Tensor | None]] = {}
    for cell in product(*levels.values()):
        run, outcome = outcomes[cell]
        if outcome.outcome == "failed":
            filled[cell] = ("", None)
            continue
        output = fill(load_filler(RunFolder(runs.folder(run)).model), one)
        filled[cell] = (f"{outcome.metrics['hole_psnr']:.2f} dB", composite(output, image, mask)[0])
    return given, filled


def _text(
    sweep: Sweep,
    bench: Bench,
    done: Done,
    axes: Sequence[Axis],
    answers: Sequence[str],
    baselines: Mapping[str, Mapping[str, float]],
) -> str:
    config, seeds = sweep.config, sweep.config.seeds
    failed = [(run, outcome) for run, outcome in done if outcome.outcome == "failed"]
    lines = [f"# {config.name}", ""]
    sizes = " x ".join(f"{len(levels)} {axis}" for axis, levels in config.axes.items())
    steps = sorted({run.config.steps for run, _ in done})
    lines += [
        f"{len(done)} runs ({sizes} x {len(seeds)} seed{'s' * (len(seeds) != 1)}) of {' or '.join(map(str, steps))} "
        f"steps on {bench.training_pictures} pictures; the best step of each was chosen on "
        f"{bench.validation_pictures} others. However they were trained, all models are measured in the same way: in "
        f"the holes of {config.test.samples} fixed crops of {bench.test_pictures} further pictures, "
        f"{sweep.base.data.size} pixels square, as 8-bit pictures.",
        "",
        *(f"- {sentence}" for sentence in answers),
        "",
    ]
    if failed:
        lines += [f"{len(failed)} of {len(done)} runs failed; they are listed at the end.", ""]
    lines += [f"![Learning curves]({CURVES})", "", f"![Means and intervals]({BARS})", ""]
    lines += [f"![One picture, filled by every combination]({PICTURES})", ""]
    lines += [f"The same test crop filled with seed {seeds[0]}; below each, the mean over all test crops.", ""]
    for axis in axes:
        lines += _axis_table(axis)
    lines += _all_table(config.axes, done, baselines)
    if failed:
        lines += ["## Failed", "", *(f"- {run.name}: {outcome.reason}" for run, outcome in failed), ""]
        lines += ["To run one of them again, remove its folder under `runs/` and repeat the command.", ""]
    return "\n".join(lines)


def _axis_table(axis: Axis) -> list[str]:
    count = f"{axis.settings} {'seeds' if axis.seeds else 'settings of the other axes'}"
    if axis.paired:
        how = f"Means over {count}"
        how += "" if axis.seeds else ", each averaged over its seeds,"
        how += " at which no level failed. Gap to best: mean of the differences at the same settings. "
        how += "Both with 95% intervals, paired (Student; Morey 2008), not corrected for the number of comparisons."
    else:
        how = "There is no setting at which all levels were completed, so each mean is over the available runs."
    lines = [f"## By {axis.name}", "", how, ""]
    lines += [f"| {axis.name} | PSNR in the hole, dB | gap to best, dB | best combination, dB | failed |"]
    lines += ["| --- | --- | --- | --- | --- |"]
    for level in axis.levels:
        mean = "-" if level.mean is None else _plus_minus(level.mean)
        behind = "-" if level.behind is None else _plus_minus(level.behind)
        best = "-" if level.best is None else f"{level.best:.2f}"
        lines.append(f"| {level.name} | {mean} | {behind} | {best} | {level.failed} of {level.runs} |")
    return [*lines, ""]


def _plus_minus(value: Estimate) -> str:
    return f"{value.mean:.2f}" if value.half is None else f"{value.mean:.2f} ± {value.half:.2f}"


def _all_table(
    axes: Mapping[str, Mapping[str, Any]], done: Done, baselines: Mapping[str, Mapping[str, float]]
) -> list[str]:
    rows: dict[Cell, list[Outcome]] = {}
    for run, outcome in done:
        rows.setdefault(tuple(run.levels.values()), []).append(outcome)
    entries: list[tuple[float, str]] = []
    for cell, outcomes in rows.items():
        finished = [outcome for outcome in outcomes if outcome.outcome == "done"]
        names = " | ".join(cell)
        if not finished:
            entries.append((float("-inf"), f"| {names} | failed | | | | | |"))
            continue
        psnr, l1, mse = (
            fmean(outcome.metrics[metric] for outcome in finished) for metric in ("hole_psnr", "hole_l1", "hole_mse")
        )
        each = ", ".join(f"{outcome.metrics['hole_psnr']:.2f}" if outcome.metrics else "failed" for outcome in outcomes)
        below = " (below the mean fill)" if psnr < baselines["mean"]["hole_psnr"] else ""
        seconds = fmean(outcome.seconds for outcome in finished)
        entries.append(
            (
                psnr,
                f"| {names} | {psnr:.2f}{below} | {each} | {l1:.4f} | {mse:.5f} | {finished[0].parameters:,} | "
                f"{seconds:.0f} |",
            )
        )
    for name, values in baselines.items():
        title = {"mean": "mean fill", "telea": "Telea"}[name]
        blank = " | " * (len(axes) - 1)
        entries.append(
            (
                values["hole_psnr"],
                f"| *{title}*{blank} | {values['hole_psnr']:.2f} | | {values['hole_l1']:.4f} | "
                f"{values['hole_mse']:.5f} | | |",
            )
        )
    header = f"| {' | '.join(axes)} | PSNR in the hole, dB | by seed | L1 | MSE | weights | seconds |"
    lines = ["## All combinations", "", header, "| --- " * (len(axes) + 6) + "|"]
    return [*lines, *(text for _, text in sorted(entries, key=lambda entry: -entry[0])), ""]
