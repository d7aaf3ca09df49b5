"""Results of an evaluation: means with intervals, as data, as tables in the format of papers, and as a short text."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..intervals import student_quantile

Summary = dict[str, dict[str, float | None]]
"""For each metric, `mean` and `ci95`: half the width of the interval, None if there is none."""


@dataclass(frozen=True)
class Metric:
    """Display settings of a metric."""

    key: str
    title: str
    digits: int
    higher_is_better: bool = False
    scale: float = 1.0

    def text(self, value: float, interval: float | None = None) -> str:
        """`1.25` or `1.25 ± 0.03`."""
        shown = f"{value * self.scale:.{self.digits}f}"
        return shown if interval is None else f"{shown} ± {interval * self.scale:.{self.digits}f}"


PAIR_METRICS = (
    Metric("l1", "L1 (%)", 2),
    Metric("psnr", "PSNR (dB)", 2, higher_is_better=True),
    Metric("ssim", "SSIM", 3, higher_is_better=True),
    Metric("perceptual", "Perceptual distance", 3),
    Metric("judged", "Independent perceptual distance", 3),
)
SET_METRICS = (Metric("fid", "FID", 2), Metric("kid", "KID x 1000", 2, scale=1000.0))
PLACES = {"": "whole picture", "hole_": "hole only"}


def summarize(scores: Iterable[Mapping[str, float]], cells: int, pictures: int) -> tuple[list[int], list[Summary]]:
    """Means over pairs with their 95% intervals over pictures.

    Parameters
    ----------
    scores
        Scores of every pair, in order; pairs cycle through the cells, and in each cell through the pictures.
    cells, pictures
        Numbers of cells and pictures.

    Returns
    -------
    tuple
        Counts of pairs and summaries, for each cell and finally for all pairs.

    Notes
    -----
    Holes and crops of one picture are not independent. The standard error is cluster-robust, from the sum of each
    picture's deviations, with Student's quantile for one degree of freedom less than the number of pictures (Cameron
    and Miller 2015, doi:10.3368/jhr.50.2.317). If no picture occurs twice, this is Student's interval of the values.
    Repeated masks are not taken into account.
    """
    columns: list[dict[str, tuple[array[float], array[int]]]] = [{} for _ in range(cells + 1)]
    counts = [0] * (cells + 1)
    for number, row in enumerate(scores):
        for cell in (number % cells, cells):
            counts[cell] += 1
            for name, value in row.items():
                if name != "pair":
                    values, of_picture = columns[cell].setdefault(name, (array("d"), array("l")))
                    values.append(value)
                    of_picture.append(number // cells % pictures)
    return counts, [{name: _mean(*found) for name, found in column.items()} for column in columns]


def differences(
    scores: Iterable[Mapping[str, float]], reference: Iterable[Mapping[str, float]], cells: int, pictures: int
) -> list[Summary]:
    """Paired difference of two methods on the same pairs, which can separate them even if plain means overlap.

    Parameters and result are as for `summarize`, but for the differences and without counts.
    """
    rows = (
        {name: ours[name] - theirs[name] for name in ours.keys() & theirs.keys() - {"pair", "hole_ratio"}}
        for ours, theirs in zip(scores, reference, strict=True)
    )
    return summarize(rows, cells, pictures)[1]


def _mean(values: Sequence[float], of_picture: Sequence[int]) -> dict[str, float | None]:
    mean = float(np.mean(values))
    sums = np.bincount(np.unique(of_picture, return_inverse=True)[1], np.asarray(values) - mean)
    if len(sums) < 2:
        return {"mean": mean, "ci95": None}
    error = math.sqrt(len(sums) / (len(sums) - 1) * float(sums @ sums)) / len(values)
    return {"mean": mean, "ci95": student_quantile(len(sums) - 1) * error}


def markdown(report: Mapping[str, Any]) -> str:
    """The whole report in the format used in papers: one table per metric, with methods as rows and hole ratios as
    columns."""
    methods = report["methods"]
    parts = ["# Evaluation", "\n".join(f"- {name}: {text}" for name, text in report["settings"].items())]
    for place, where in PLACES.items():
        for metric in PAIR_METRICS:
            parts += _section(report, metric, f"{metric.title}, {where}", place + metric.key)
    for metric in SET_METRICS:
        parts += _section(report, metric, f"{metric.title}, whole picture", metric.key)
    for compared in report["differences"]:
        for metric in PAIR_METRICS:
            parts += _difference_section(report["columns"], metric, compared)
    rows = [
        [method["name"], f"{method['parameters']:,}" if method["parameters"] else "none", _seconds(method["seconds"])]
        for method in methods
    ]
    parts += ["## Size and speed", _table(["method", "parameters", "seconds per picture"], rows)]
    return "\n\n".join(parts) + "\n"


def _section(report: Mapping[str, Any], metric: Metric, title: str, key: str) -> list[str]:
    """Heading and table of a metric; empty if it was not measured."""
    columns = [*report["columns"], "all"]
    found = [[cell["metrics"].get(key) for cell in method["cells"]] for method in report["methods"]]
    if not any(any(row) for row in found):
        return []
    shown = [[metric.text(**_arguments(value)) if value else "-" for value in row] for row in found]
    for column in range(len(columns)):
        _embolden_best(metric, [row[column] for row in found], shown, column)
    rows = [[method["name"], *texts] for method, texts in zip(report["methods"], shown, strict=True)]
    better = "higher" if metric.higher_is_better else "lower"
    return [f"## {title}", f"{better.capitalize()} is better.", _table(["method", *columns], rows)]


def _difference_section(columns: Sequence[str], metric: Metric, compared: Mapping[str, Any]) -> list[str]:
    """Heading and table of the differences from one method in the hole; bold where the interval excludes 0."""
    rows = []
    for method in compared["methods"]:
        found = [cell.get(f"hole_{metric.key}") for cell in method["cells"]]
        if any(found):
            rows.append([method["name"], *(_difference(metric, value) if value else "-" for value in found)])
    if not rows:
        return []
    better = "above" if metric.higher_is_better else "below"
    return [
        f"## {metric.title}, hole only, difference from {compared['from']}",
        f"On the same pairs; better is {better} 0, in bold where the whole interval is.",
        _table(["method", *columns, "all"], rows),
    ]


def _difference(metric: Metric, value: Mapping[str, float | None]) -> str:
    mean, interval = value["mean"] or 0.0, value["ci95"]
    shown = f"{mean * metric.scale:+.{metric.digits}f}"
    if interval is None:
        return shown
    shown = f"{shown} ± {interval * metric.scale:.{metric.digits}f}"
    return f"**{shown}**" if (mean if metric.higher_is_better else -mean) > interval else shown


def _arguments(value: Mapping[str, float | None]) -> dict[str, Any]:
    return {"value": value["mean"], "interval": value["ci95"]}


def _embolden_best(
    metric: Metric, values: Sequence[Mapping[str, Any] | None], shown: list[list[str]], column: int
) -> None:
    """Mark the best value as printed, if there is more than one."""
    printed = {row: float(metric.text(value["mean"])) for row, value in enumerate(values) if value}
    if len(set(printed.values())) < 2:
        return
    best = (max if metric.higher_is_better else min)(printed.values())
    for row, value in printed.items():
        if value == best:
            shown[row][column] = f"**{shown[row][column]}**"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose columns also line up as plain text; all but the first are right-aligned."""
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    lines = [_line(header, widths)]
    lines.append(f"| {'-' * widths[0]} | " + " | ".join(f"{'-' * (width - 1)}:" for width in widths[1:]) + " |")
    return "\n".join(lines + [_line(row, widths) for row in rows])


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *rest = cells
    aligned = [first.ljust(widths[0]), *(text.rjust(width) for text, width in zip(rest, widths[1:], strict=True))]
    return f"| {' | '.join(aligned)} |"


def _seconds(value: float) -> str:
    return f"{value:.3g}"


def short_table(methods: Sequence[Mapping[str, Any]]) -> str:
    """Means over all pairs as plain text: one line per method, with its time.

    Parameters
    ----------
    methods
        Each with `name`, `seconds` and `summary` (means over all pairs).
    """
    shown = [
        (metric, place) for place in PLACES for metric in PAIR_METRICS if place + metric.key in methods[0]["summary"]
    ]
    short = {"": "", "hole_": "hole "}
    header = ["method", *(f"{short[place]}{metric.title}" for metric, place in shown), "seconds"]
    rows = [
        [
            method["name"],
            *(metric.text(method["summary"][place + metric.key]["mean"]) for metric, place in shown),
            _seconds(method["seconds"]),
        ]
        for method in methods
    ]
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    return "\n".join(_line(row, widths).strip("| ").replace(" | ", "  ") for row in (header, *rows))
