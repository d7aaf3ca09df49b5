"""An evaluation in a folder: the pairs, the scores of every method on them, and the report."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from inpaint_core.files.atomic import atomic_path, write_text
from inpaint_core.files.opening import pixel_limit
from inpaint_core.inpainting.inpaint import Strategy
from inpaint_core.losses.features import FeatureExtractor, load_features
from inpaint_core.metrics import MAX_PSNR, frechet_distance, kernel_distance

from ..placement import Placement
from ..runs.lock import hold_lock
from . import report as reports
from .drawings import draw_grid, draw_scatter, with_hole
from .judge import NAME as JUDGE_NAME
from .judge import Judge, judged_distance
from .methods import Method, Scores, name_features, pooled, score, seconds_per_picture
from .pairs import BORDER, BUCKETS, Bucket, Cell, Pairs, name_bucket
from .results import Results, ResultsError

BATCH = 8  # pairs per batch
TIMED_PAIRS = 6
GRID_ROWS = 6
TRUTH = "(truth)"  # no method has parentheses at both ends of its name


@dataclass(frozen=True)
class EvaluationSettings:
    """What to measure, and how; for the other fields see `Pairs`.

    Attributes
    ----------
    strategy
        What a model sees of a picture (see `inpaint_core.inpaint`).
    features
        VGG weights for the perceptual distance and for distances of sets; None skips these.
    device
        Where metrics are computed.
    invert, max_megapixels
        See `Pairs`, and `inpaint_core.files.opening.pixel_limit`.
    judge
        Also measure the independent perceptual distance (see `Judge`).
    """

    data: Path
    masks: str
    size: int = 256
    count: int | None = None
    buckets: tuple[Bucket, ...] = BUCKETS
    borders: tuple[bool, ...] = (False,)
    seed: int = 0
    strategy: Strategy = "whole"
    features: Path | None = None
    device: str = "cpu"
    invert: bool = False
    max_megapixels: float | None = None
    judge: bool = False


def compare(
    methods: Sequence[Method],
    settings: EvaluationSettings,
    out: Path,
    *,
    resume: bool = True,
    against: Sequence[str] = (),
    say: Callable[[str], None] = lambda sentence: None,
    placement: Placement | None = None,
) -> dict[str, Any]:
    """Measure methods on the same pairs and write everything to a folder.

    Parameters
    ----------
    methods
        One or more methods with distinct names.
    out
        Created if it does not exist. Receives `manifest.json`, `results/`, `report.json`, `report.md`, `grid.png` and
        `scatter.png`.
    resume
        Continue an existing evaluation; otherwise it is removed.
    against
        Names of methods: the report includes every other method's paired difference from these.
    say
        Called with a message for each unusable file.
    placement
        With several processes, they share the batches, and the first one writes everything.

    Returns
    -------
    dict
        The content of `report.json`; empty in all but the first process. On a CPU, it is the same apart from the times,
        no matter how often the evaluation was killed and resumed, and by how many processes.

    Raises
    ------
    ValueError
        Unusable pictures, masks or features; existing results with other settings, or of another model with the same
        name; another process is using the folder.
    OSError
        The folder cannot be written.
    """
    extract = None if settings.features is None else load_features(settings.features).to(settings.device)
    judge = Judge(settings.device) if settings.judge else None
    pairs = Pairs(
        settings.data,
        settings.masks,
        size=settings.size,
        count=settings.count,
        buckets=settings.buckets,
        borders=settings.borders,
        seed=settings.seed,
        progress=partial(tqdm, desc="scanning", unit="file", disable=None, leave=False),
        invert=settings.invert,
        max_pixels=pixel_limit(settings.max_megapixels),
        say=say,
    )
    placement = placement or Placement(torch.device(settings.device))

    def begin() -> None:
        out.mkdir(parents=True, exist_ok=True)
        stack.enter_context(hold_lock(out / ".lock", "evaluation"))
        if not resume:
            _remove(out)
        _write_manifest(out / "manifest.json", settings, pairs)
        (out / "results").mkdir(exist_ok=True)

    with ExitStack() as stack:
        placement.agree(begin)
        measured = _measure(methods, pairs, settings, extract, judge, out / "results", against, placement)
        if measured is None:
            return {}
        columns, distances = measured
        seconds = _time(methods, pairs, settings)
        report = {
            "settings": _explain(settings, pairs, extract),
            "columns": [_name_column(cell, settings.borders) for cell in pairs.cells],
            "methods": [
                {
                    "name": method.name,
                    "parameters": method.parameters,
                    "seconds": seconds[method.name],
                    "cells": columns[method.name],
                }
                for method in methods
            ],
            "differences": distances,
        }
        write_text(out / "report.json", json.dumps(report, indent=1) + "\n")
        write_text(out / "report.md", reports.markdown(report))
        _draw(report, methods, pairs, settings, out)
    return report


def _remove(out: Path) -> None:
    shutil.rmtree(out / "results", ignore_errors=True)
    for name in ("manifest.json", "report.json", "report.md", "grid.png", "scatter.png"):
        (out / name).unlink(missing_ok=True)


def _write_manifest(path: Path, settings: EvaluationSettings, pairs: Pairs) -> None:
    values = asdict(settings) | {
        "data": str(settings.data.resolve()),
        "masks": settings.masks if not Path(settings.masks).is_dir() else str(Path(settings.masks).resolve()),
        "count": len(pairs),
        "features": None if settings.features is None else hashlib.sha256(settings.features.read_bytes()).hexdigest(),
    }
    del values["device"], values["max_megapixels"]
    if not settings.invert:
        del values["invert"]
    if not settings.judge:
        del values["judge"]
    # One pair per line, to keep it readable.
    rows = ",\n  ".join(json.dumps(pair) for pair in pairs.manifest())
    text = f'{{\n "settings": {json.dumps(values)},\n "pairs": [\n  {rows}\n ]\n}}\n'
    if not path.exists():
        write_text(path, text)
    elif path.read_text(encoding="utf-8") != text:
        raise ResultsError(
            f"{path.parent}: the evaluation in this folder used other pictures, masks or settings; choose another "
            f"`out`, or set `resume` to none to start over"
        )


@torch.no_grad()
def _measure(
    methods: Sequence[Method],
    pairs: Pairs,
    settings: EvaluationSettings,
    extract: FeatureExtractor | None,
    judge: Judge | None,
    folder: Path,
    against: Sequence[str],
    placement: Placement,
) -> tuple[dict[str, list[dict[str, Any]]], list[dict[str, Any]]] | None:
    """Measure every method on its missing pairs; returns the report's cells for each, and differences.

    Batches are dealt out to the processes in turn and appended in order by the first one, so that the files do not
    depend on the number of processes. None in all others.
    """
    count = len(pairs)
    size = 0 if extract is None else pooled(extract(_blank(settings))).shape[1]
    results: dict[str, Results] = {}
    with ExitStack() as stack:

        def plan() -> list[_Batch]:
            for method in methods:
                identity = {"name": method.name, "model": method.fingerprint()}
                results[method.name] = stack.enter_context(Results(folder, method.name, identity, count, BATCH, size))
            if extract is not None:
                identity = {"name": TRUTH, "model": TRUTH}
                results[TRUTH] = stack.enter_context(Results(folder, TRUTH, identity, count, BATCH, size))
            batches = (
                _Batch(start, tuple(name for name, result in results.items() if result.done <= start))
                for start in range(0, count, BATCH)
            )
            return [batch for batch in batches if batch.missing]

        batches = placement.agree(plan)
        waiting = sum(min(BATCH, count - batch.start) * len(set(batch.missing) - {TRUTH}) for batch in batches)
        total = count * len(methods)
        hidden = None if placement.first else True
        with tqdm(total=total, initial=total - waiting, unit="picture", disable=hidden) as bar:
            for first in range(0, len(batches), placement.processes):
                together = batches[first : first + placement.processes]
                mine = together[placement.rank] if placement.rank < len(together) else None
                found = None if mine is None else _measure_batch(mine, methods, pairs, settings, extract, judge)
                for batch, part in zip(together, placement.gather_to_first(found), strict=False):
                    if part is not None:
                        for name in batch.missing:
                            results[name].append(*part[name])
                    bar.update(min(BATCH, count - batch.start) * len(set(batch.missing) - {TRUTH}))
    if not placement.first:
        return None
    wanted = results.pop(TRUTH).features(size) if extract is not None else None
    cells = {name: _cells(result, wanted, pairs) for name, result in results.items()}
    return cells, [_differences(results, name, pairs) for name in against]


@dataclass(frozen=True)
class _Batch:
    """Pairs from `start` on, and the names of the results that lack them."""

    start: int
    missing: tuple[str, ...]


_Measured = dict[str, tuple[list[Scores], Tensor | None]]


def _measure_batch(
    batch: _Batch,
    methods: Sequence[Method],
    pairs: Pairs,
    settings: EvaluationSettings,
    extract: FeatureExtractor | None,
    judge: Judge | None,
) -> _Measured:
    """Scores and feature rows of each missing method, and of the ground truth if there are features."""
    image, mask = _load(pairs, range(batch.start, min(batch.start + BATCH, len(pairs))), settings)
    waiting = [method for method in methods if method.name in batch.missing]
    fills = [method.fill(image, mask, settings.strategy) for method in waiting]
    truth, measured = _score(image, mask, fills, extract)
    if judge is not None:
        _add_judged(measured, judge, image, mask, fills)
    found: _Measured = {TRUTH: ([{} for _ in image], None if truth is None else truth.cpu())}
    for method, (scores, rows) in zip(waiting, measured, strict=True):
        found[method.name] = scores, None if rows is None else rows.cpu()
    return found


def _score(
    image: Tensor, mask: Tensor, fills: Sequence[Tensor], extract: FeatureExtractor | None
) -> tuple[Tensor | None, list[tuple[list[Scores], Tensor | None]]]:
    """Feature rows of the ground truth, and scores and feature rows of every fill of a batch."""
    if extract is None:
        return None, [(score(fill, image, mask), None) for fill in fills]
    truths: list[Tensor] = []
    scores: list[list[Scores]] = [[] for _ in fills]
    rows: list[list[Tensor]] = [[] for _ in fills]
    for number in range(len(image)):  # one picture at a time, because feature maps take 30 MB at 256x256
        one = slice(number, number + 1)
        truth = extract(image[one])
        truths.append(pooled(truth))
        for fill, of_fill, rows_of_fill in zip(fills, scores, rows, strict=True):
            features = extract(fill[one])
            of_fill += score(fill[one], image[one], mask[one], features, truth)
            rows_of_fill.append(pooled(features))
    return torch.cat(truths), [(a, torch.cat(b)) for a, b in zip(scores, rows, strict=True)]


def _add_judged(
    measured: list[tuple[list[Scores], Tensor | None]], judge: Judge, image: Tensor, mask: Tensor, fills: list[Tensor]
) -> None:
    """Add the independent perceptual distance in the hole to the scores of a batch."""
    for number in range(len(image)):
        one = slice(number, number + 1)
        if not bool(mask[one].any()):
            continue
        truth = judge.maps(image[one])
        for fill, (scores, _) in zip(fills, measured, strict=True):
            scores[number]["hole_judged"] = float(judged_distance(judge.maps(fill[one]), truth, mask[one]))


def _cells(results: Results, truth: Tensor | None, pairs: Pairs) -> list[dict[str, Any]]:
    """Pairs and metrics of each cell and finally of all pairs."""
    count = len(pairs.cells)
    counts, summaries = reports.summarize(results.scores(), count, pairs.pictures)
    if truth is not None:
        rows = results.features(truth.shape[1])
        for cell, summary in enumerate(summaries):
            of_cell = slice(None) if cell == count else slice(cell, None, count)
            summary |= _set_distances(rows[of_cell], truth[of_cell])
    return [{"pairs": number, "metrics": summary} for number, summary in zip(counts, summaries, strict=True)]


def _differences(results: Mapping[str, Results], reference: str, pairs: Pairs) -> dict[str, Any]:
    rows = [
        {
            "name": name,
            "cells": reports.differences(
                result.scores(), results[reference].scores(), len(pairs.cells), pairs.pictures
            ),
        }
        for name, result in results.items()
        if name != reference
    ]
    return {"from": reference, "methods": rows}


def _set_distances(rows: Tensor, truth: Tensor) -> reports.Summary:
    if len(rows) <= rows.shape[1]:  # with fewer pictures than features, distances between sets would be meaningless
        return {}
    return {
        "fid": {"mean": frechet_distance(rows, truth), "ci95": None},
        "kid": {"mean": kernel_distance(rows, truth), "ci95": None},
    }


def _time(methods: Sequence[Method], pairs: Pairs, settings: EvaluationSettings) -> dict[str, float]:
    numbers = range(min(TIMED_PAIRS, len(pairs)))
    images, masks = _load(pairs, numbers, settings)
    timed = list(zip(images, masks, strict=True))
    return {method.name: seconds_per_picture(method, timed, settings.strategy) for method in methods}


def _draw(
    report: dict[str, Any], methods: Sequence[Method], pairs: Pairs, settings: EvaluationSettings, out: Path
) -> None:
    cells, rows = len(pairs.cells), []
    for turn in range(min(GRID_ROWS, len(pairs))):
        cell = turn * max(1, cells // GRID_ROWS) % cells
        number = turn * cells + cell
        number = number if number < len(pairs) else turn
        image, mask = _load(pairs, [number], settings)
        fills = [method.fill(image, mask, settings.strategy)[0] for method in methods]
        name = f"{name_bucket(pairs.cells[number % cells].bucket)}\n({100 * float(mask.mean()):.0f}%)"
        rows.append((name, [with_hole(image[0], mask[0]), *fills, image[0]]))
    with atomic_path(out / "grid.png") as temporary:
        draw_grid(["input", *(method.name for method in methods), "truth"], rows).save(temporary)
    points = [
        (method["name"], method["seconds"], method["cells"][-1]["metrics"]["hole_psnr"]["mean"])
        for method in report["methods"]
    ]
    with atomic_path(out / "scatter.png") as temporary:
        draw_scatter(points, "PSNR in the hole (dB), mean of all pairs").save(temporary)


def _load(pairs: Pairs, numbers: Iterable[int], settings: EvaluationSettings) -> tuple[Tensor, Tensor]:
    loaded = [pairs.load(pairs[number]) for number in numbers]
    images, masks = (torch.stack(items).to(settings.device) for items in zip(*loaded, strict=True))
    return images, masks


def _blank(settings: EvaluationSettings) -> Tensor:
    return torch.zeros(1, 3, settings.size, settings.size, device=settings.device)


def _name_column(cell: Cell, borders: Sequence[bool]) -> str:
    name = name_bucket(cell.bucket)
    return name if len(borders) == 1 else f"{name} {'N' if cell.border else 'B'}"


def _explain(settings: EvaluationSettings, pairs: Pairs, extract: FeatureExtractor | None) -> dict[str, str]:
    """The protocol as text, for comparison with other publications."""
    share = f"{BORDER:g}/512 of the side"
    kept = f"N: holes stay {share} away from the edge; B: they may touch it"
    if len(settings.borders) == 1:
        kept = f"holes stay {share} away from the edge" if settings.borders[0] else "holes may touch the edge"
    side = f"{settings.size}x{settings.size}"
    crops = "largest central square, further ones at random"
    of_folder = Path(settings.masks).is_dir()
    each, more = divmod(len(pairs), len(pairs.cells))
    explained = {
        "pairs": f"{len(pairs)} ({each}{' or one more' * bool(more)} in each column), the same for every method, from "
        f"{min(pairs.pictures, each + bool(more))} pictures; see manifest.json",
        "pictures": f"{settings.data.name}: {crops}; {side} pixels, 8 bits",
        "masks": (
            f"{Path(settings.masks).name}, resized to {side} by nearest-exact"
            if of_folder
            else f"{settings.masks}, drawn"
        )
        + f"; {kept}",
        "columns": "fraction of the picture that is hole, lower end excluded",
        "seed": str(settings.seed),
        "fill": f"strategy {settings.strategy}, known pixels put back, no feather, not rounded to 8 bits",
        "values": "mean over pairs ± half the 95% interval over pictures: all pairs of a picture count as one "
        "observation; masks are treated as fixed, and tiles of one photograph count as different pictures",
        "L1": "mean absolute difference on 0..1, times 100",
        "PSNR": f"of each picture, range 1, at most {MAX_PSNR:g} dB; then the mean",
        "SSIM": "RGB mean; Gaussian window 11x11, sigma 1.5, K1 0.01, K2 0.03, population variances, mirrored edges; "
        "in the hole: mean of the SSIM map there",
    }
    if extract is None:
        explained["perceptual distance, FID, KID"] = "not measured, because --features FILE is missing"
    else:
        name = name_features(extract)
        explained["Perceptual distance"] = (
            f"{name}; channels divided by their length, squared difference, mean over space, sum over stages; not LPIPS"
        )
        explained["FID, KID"] = (
            f"on the last of these stages, averaged over the picture, not Inception: compare only within this table; "
            f"reported if there are more pairs than features ({_feature_count(extract, settings)})"
        )
    if settings.judge:
        explained["Independent perceptual distance"] = (
            f"{JUDGE_NAME}; vectors divided by their length, squared difference in the hole, mean of the maps"
        )
    explained["seconds"] = (
        f"one picture at a time, median of at most {TIMED_PAIRS}, on {settings.device}"
        + f", {torch.get_num_threads()} threads" * (settings.device == "cpu")
    )
    return explained


def _feature_count(extract: FeatureExtractor, settings: EvaluationSettings) -> int:
    return pooled(extract(_blank(settings))).shape[1]
