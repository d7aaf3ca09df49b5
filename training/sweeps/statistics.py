"""Statistics of a sweep: for each axis the mean of every level, and which differences are significant."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from statistics import fmean

import numpy as np

from ..intervals import student_quantile

Cell = tuple[str, ...]
Scores = Mapping[Cell, Sequence[float | None]]
"""One score per seed, None for failed runs, by one level of every axis."""


@dataclass(frozen=True)
class Estimate:
    """A mean and half the width of its 95% interval, None if there are fewer than two values."""

    mean: float
    half: float | None
    count: int

    @property
    def excludes_zero(self) -> bool:
        """Whether 0 lies outside the interval."""
        return self.half is not None and abs(self.mean) > self.half


@dataclass(frozen=True)
class Level:
    """One level of an axis.

    Attributes
    ----------
    mean
        Mean over the settings of the other axes, each averaged over the seeds; None if all its runs failed. The
        interval is that of a paired comparison: the effect of each setting common to all levels is removed (Cousineau
        2005, with Morey's correction of 2008).
    behind
        Gap to the best level at the same settings; None for the best one.
    best
        Its best setting of the other axes, averaged over the seeds.
    runs, failed
        Number of runs, and of failed runs.
    """

    name: str
    mean: Estimate | None
    behind: Estimate | None
    best: float | None
    runs: int
    failed: int


@dataclass(frozen=True)
class Axis:
    """Results of an axis.

    Attributes
    ----------
    levels
        Best first; those with only failed runs last.
    paired
        Whether the means are over settings at which no level failed; otherwise they are over the available runs of each
        level, and not strictly comparable.
    settings
        Maximum number of pairs in a comparison.
    seeds
        Whether the pairs are seeds, because there is no other axis.
    """

    name: str
    levels: tuple[Level, ...]
    paired: bool
    settings: int
    seeds: bool


def analyze(axes: Mapping[str, Sequence[str]], scores: Scores) -> list[Axis]:
    """Compare the levels of each axis over the settings of all others.

    Parameters
    ----------
    axes
        Levels by axis.
    scores
        Scores, of which higher ones are better; with the same seeds everywhere.
    """
    return [_analyze(number, axes, scores) for number in range(len(axes))]


def estimate(values: Sequence[float]) -> Estimate:
    """Mean with Student's 95% interval."""
    half = _half_width(np.asarray(values, dtype=float)) if len(values) > 1 else None
    return Estimate(fmean(values), half, len(values))


def _half_width(values: np.ndarray, correction: float = 1.0) -> float:
    return student_quantile(len(values) - 1) * math.sqrt(correction * float(values.var(ddof=1)) / len(values))


def _analyze(number: int, axes: Mapping[str, Sequence[str]], scores: Scores) -> Axis:
    names, levels = list(axes), list(axes.values())[number]
    others = list(product(*(values for position, values in enumerate(axes.values()) if position != number)))

    def at(level: str, other: Cell) -> Sequence[float | None]:
        cell = (*other[:number], level, *other[number:])
        return scores[cell]

    own = {level: [score for other in others for score in at(level, other)] for level in levels}
    finished = [level for level in levels if any(score is not None for score in own[level])]
    # A seed counts at a setting if every level was completed with it.
    seeds = len(others) == 1
    rows = []
    for other in others:
        repeated = [list(scored) for scored in zip(*(at(level, other) for level in finished), strict=True)]
        whole = [[score for score in scored if score is not None] for scored in repeated if None not in scored]
        if seeds:
            rows += whole
        elif whole:
            rows.append([fmean(column) for column in zip(*whole, strict=True)])
    table = np.array(rows, dtype=float).reshape(len(rows), len(finished))
    means: dict[str, Estimate] = {}
    for column, level in enumerate(finished):
        if not rows:
            means[level] = estimate([score for score in own[level] if score is not None])
        elif len(rows) == 1 or len(finished) == 1:
            means[level] = estimate(table[:, column].tolist())
        else:
            own_part = table[:, column] - table.mean(1)
            half = _half_width(own_part, len(finished) / (len(finished) - 1))
            means[level] = Estimate(float(table[:, column].mean()), half, len(rows))
    order = sorted(finished, key=lambda level: -means[level].mean)
    described = []
    for level in (*order, *(level for level in levels if level not in finished)):
        behind = None
        if rows and level in finished and level != order[0]:
            behind = estimate((table[:, finished.index(order[0])] - table[:, finished.index(level)]).tolist())
        elif level in finished and level != order[0]:
            behind = Estimate(means[order[0]].mean - means[level].mean, None, 0)
        averages = [fmean(s for s in at(level, other) if s is not None) for other in others if _any(at(level, other))]
        failed = sum(score is None for score in own[level])
        best = max(averages, default=None)
        described.append(Level(level, means.get(level), behind, best, len(own[level]), failed))
    return Axis(names[number], tuple(described), bool(rows), len(rows), seeds)


def _any(values: Sequence[float | None]) -> bool:
    """Whether any run was completed."""
    return any(value is not None for value in values)


def answer(axis: Axis, unit: str = "dB") -> str:
    """A sentence on which level is best."""
    start = f"Best {axis.name}:"
    lost = [level.name for level in axis.levels if level.mean is None]
    end = f" All runs with {_listed(lost)} failed." if lost else ""
    finished = [(level.name, level.mean, level.behind) for level in axis.levels if level.mean is not None]
    if not finished:
        return f"{start} every run failed."
    first, mean, _ = finished[0]
    where = f"{mean.mean:.2f} {unit} on average"
    others = [(name, behind) for name, _, behind in finished[1:] if behind is not None]
    if not others:
        return f"{start} {first} is the only one that was completed ({where}).{end}"
    second, lead = others[0]
    if lead.half is None:
        return f"{start} {first} has the highest mean ({where}), but this may be due to chance (one pair).{end}"
    close = [name for name, behind in others if not behind.excludes_zero]
    if not close:
        interval = f"95% interval {lead.mean - lead.half:.2f} to {lead.mean + lead.half:.2f}"
        return f"{start} {first} ({where}), {lead.mean:.2f} {unit} above {second} ({interval}).{end}"
    worse = [name for name, behind in others if behind.excludes_zero]
    more = f"; clearly worse: {_listed(worse)}." if worse else "."
    alike = _listed([first, *close])
    return f"{start} no clear difference between {alike} ({first} has the highest mean, {where}){more}{end}"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
