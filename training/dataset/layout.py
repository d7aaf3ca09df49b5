"""Layout of a training folder: plain pictures, or split into train, val and test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from inpaint_core.files.folders import Listing, list_pictures

TRAIN = ("train", "training")
VALIDATION = ("val", "valid", "validation")
TEST = ("test", "testing")


@dataclass(frozen=True)
class Layout:
    """Where the pictures of a folder are.

    Attributes
    ----------
    folder
        The given folder.
    train
        Pictures to train on; all of them if the folder is not split.
    validation
        Pictures for validation; None if they are drawn from `train`.
    test
        Pictures that are never used in training.
    """

    folder: Path
    train: Listing
    validation: Listing | None = None
    test: Listing | None = None

    @property
    def is_split(self) -> bool:
        """Whether the folder is already split into training and other pictures."""
        return self.train.folder != self.folder

    @property
    def listings(self) -> tuple[Listing, ...]:
        """The folders used in training."""
        return (self.train,) if self.validation is None else (self.train, self.validation)

    @property
    def ignored(self) -> dict[str, int]:
        """Number of other files, by suffix."""
        counts: dict[str, int] = {}
        for listing in self.listings:
            for suffix, count in listing.others.items():
                counts[suffix] = counts.get(suffix, 0) + count
        return counts

    def notes(self, option: str) -> list[str]:
        """Messages on what is used and what is not; `option` is the option that includes subfolders."""
        sentences = []
        if self.is_split:
            held = "" if self.validation is None else f", validation uses {self.validation.folder.name}/"
            never = "" if self.test is None else f"; {self.test.folder.name}/ is never used"
            sentences.append(f"{self.folder} is split: training uses {self.train.folder.name}/{held}{never}")
        for listing in self.listings:
            sentences += [f"{listing.folder}: {sentence}" for sentence in listing.notes(option)]
        return sentences


def find_layout(folder: Path, recursive: bool) -> Layout:
    """Search a folder, either plain or split as by `training.prepare` and in public datasets.

    A folder without pictures of its own but with a subfolder `train` counts as split, regardless of `recursive`.

    Raises
    ------
    ImageFileError
        The folder does not exist or cannot be listed.
    """
    flat = list_pictures(folder)
    train = None if flat.pictures else _subfolder(folder, TRAIN)
    if train is None:
        return Layout(folder, list_pictures(folder, True) if recursive else flat)
    return Layout(folder, list_pictures(train, True), _pictures_of(folder, VALIDATION), _pictures_of(folder, TEST))


def find_unseen(folder: Path) -> Listing:
    """The pictures for evaluation: test/ (or val/) of a split folder, otherwise all, including subfolders.

    Raises
    ------
    ImageFileError
        As `find_layout`.
    """
    layout = find_layout(folder, recursive=True)
    if not layout.is_split:
        return layout.train
    return layout.test or layout.validation or layout.train


def _pictures_of(folder: Path, names: Sequence[str]) -> Listing | None:
    found = _subfolder(folder, names)
    listing = None if found is None else list_pictures(found, True)
    return listing if listing is not None and listing.pictures else None


def _subfolder(folder: Path, names: Sequence[str]) -> Path | None:
    children = sorted(child for child in folder.iterdir() if child.name.casefold() in names and child.is_dir())
    return min(children, key=lambda child: names.index(child.name.casefold()), default=None)
