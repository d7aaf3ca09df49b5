"""Selecting pictures to keep, and splitting them into training, validation and test."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Literal

from .near_duplicates import Appearance, Groups, find_repeats

SPLITS = ("train", "val", "test")


@dataclass
class Source:
    """A usable picture, and the decision about it.

    Attributes
    ----------
    file
        Path relative to its folder, with forward slashes.
    pixels
        SHA-256 of the decoded pixels.
    notes
        What is unusual about the file.
    outcome, of, distance
        `kept`, or a `duplicate` or `near duplicate`; the picture it duplicates; the number of differing bits of their
        hashes.
    split
        One of `SPLITS`.
    written
        Files written from it.
    partial
        Whether part of it is unknown (transparent).
    frames
        Pictures in the file, of which the first is used.
    """

    file: str
    path: Path
    width: int
    height: int
    pixels: str
    seen: Appearance
    notes: tuple[str, ...] = ()
    outcome: Literal["kept", "duplicate", "near duplicate"] = "kept"
    of: str | None = None
    distance: int | None = None
    split: str = ""
    written: list[str] = field(default_factory=list)
    partial: bool = False
    frames: int = 1


def choose(
    sources: Sequence[Source], threshold: int, shares: Sequence[float], seed: int, earlier: Mapping[str, str]
) -> None:
    """Decide which pictures to keep and their splits; stores the result in the sources.

    Of duplicates and near duplicates, the one that was kept before is kept, or else the largest. The split depends only
    on the pixels: it does not change when other files are added, renamed or removed. Two pictures with a common near
    duplicate go to the same split.

    Parameters
    ----------
    sources
        The usable pictures, in any order.
    threshold
        See `find_repeats`.
    shares
        Relative sizes of the `SPLITS`.
    seed
        Seed of the split.
    earlier
        Pictures kept before, as splits by digest of the pixels. They keep their splits.
    """
    order = sorted(sources, key=lambda s: (s.pixels not in earlier, -s.width * s.height, s.pixels, s.file))
    first_with: dict[str, Source] = {}
    for source in order:
        first = first_with.setdefault(source.pixels, source)
        if first is not source:
            source.outcome, source.of = "duplicate", first.file
    distinct = list(first_with.values())
    repeats = find_repeats([source.seen for source in distinct], threshold)
    groups = Groups(len(distinct))
    for number, (source, kept) in enumerate(zip(distinct, repeats, strict=True)):
        for other, _ in kept:
            groups.join(number, other)
        if kept:
            source.outcome, source.of, source.distance = "near duplicate", distinct[kept[0][0]].file, kept[0][1]
    members: dict[int, list[Source]] = {}
    for number, source in enumerate(distinct):
        members.setdefault(groups.of(number), []).append(source)
    for group in members.values():
        decided = sorted(source.pixels for source in group if source.pixels in earlier)
        smallest = min(source.pixels for source in group)
        split = earlier[decided[0]] if decided else draw_split(smallest, shares, seed)
        for source in group:
            # Two pictures that were already split when a near duplicate of both was added keep their splits: the new
            # picture is dropped, and they are not near duplicates of each other.
            source.split = earlier.get(source.pixels, split)


def draw_split(digest: str, shares: Sequence[float], seed: int) -> str:
    """The split of a picture, a function of the digest of its pixels and the seed."""
    chance = int(hashlib.sha256(f"{seed} {digest}".encode()).hexdigest()[:13], 16) / 16**13 * sum(shares)
    return next((name for name, end in zip(SPLITS, accumulate(shares), strict=True) if chance < end), SPLITS[0])
