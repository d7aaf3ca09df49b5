"""Folders of pictures: the search that all commands use, and matching of masks and inputs to pictures.

Hidden files and files left behind by archives and operating systems are ignored. A file called `cat_mask.png`,
`cat_mask001.png` (LaMa's layout) or `mask_cat.png` next to `cat.png` is that picture's mask, not a picture.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from .opening import ImageFileError
from .suffixes import READABLE_CLIPS, READABLE_SUFFIXES, list_others

LITTER = frozenset({"__macosx", "thumbs.db", "desktop.ini", "@eadir", "$recycle.bin"})
# The word for mask in file names, in several languages.
MASK_WORDS = (
    *("masks?", "masken?", "masker", "maska", "masques?", "m[a\u00e1]scaras?", "maschera", "maschere"),
    "\u043c\u0430\u0441\u043a[\u0430\u0438]",
    *("\u30de\u30b9\u30af", "\u8499\u7248", "\u906e\u7f69", "\u63a9\u819c", "\u63a9\u7801", "\ub9c8\uc2a4\ud06c"),
)
MASK_STEM = re.compile(rf"(.+)[ _.-](?:{'|'.join(MASK_WORDS)})[ _-]?\d*", re.IGNORECASE | re.DOTALL)
MASK_PREFIX = re.compile(rf"(?:{'|'.join(MASK_WORDS)})[ _.-](.+)", re.IGNORECASE | re.DOTALL)
MAX_COUNTED = 20_000  # entries of subfolders that are counted but not searched
MAX_NAMED = 3

Index = dict[str, dict[tuple[str, ...], list[Path]]]
"""Files by folded name and by their folder relative to the top."""


@dataclass(frozen=True)
class Listing:
    """The contents of a folder.

    Attributes
    ----------
    folder
        The folder as given.
    recursive
        Whether subfolders were also searched.
    pictures
        Files with a picture's suffix, without masks, sorted.
    masks
        Masks next to their pictures, by picture.
    others
        Number of other files, by lower-case suffix.
    in_subfolders
        Number of pictures in subfolders that were not searched.
    """

    folder: Path
    recursive: bool
    pictures: tuple[Path, ...]
    masks: Mapping[Path, tuple[Path, ...]] = field(default_factory=dict)
    others: Mapping[str, int] = field(default_factory=dict)
    in_subfolders: int = 0

    def notes(self, option: str = "--recursive") -> list[str]:
        """Messages on what was skipped, without the folder's name; `option` is the option that includes subfolders."""
        sentences = []
        if self.masks:
            sentences.append(f"{_count_masks(self.masks)} next to the pictures, used as masks, not as pictures")
        if self.others:
            sentences.append(f"skipped files that cannot be read as pictures: {list_others(self.others)}")
        if self.in_subfolders:
            sentences.append(f"{_plural(self.in_subfolders, 'picture')} in subfolders skipped; {option} includes them")
        return sentences

    @cached_property
    def by_name(self) -> tuple[Index, Index, Index]:
        """Masks by the name of their picture, pictures by their name, and pictures named after a whole file
        (`cat.jpg.png`) by the name of that file: see `fold`."""
        marked: Index = {}
        named: Index = {}
        suffixed: Index = {}
        for path in self.pictures:
            self._add(named, path.stem, path)
            if Path(path.stem).suffix.lower() in READABLE_SUFFIXES:
                self._add(suffixed, Path(path.stem).stem, path)
            owner = mask_owner(path.stem)
            if owner is not None:
                self._add(marked, owner, path)
        for owner_path, masks in self.masks.items():
            for mask in masks:
                self._add(marked, owner_path.stem, mask)
        return marked, named, suffixed

    def _add(self, index: Index, stem: str, path: Path) -> None:
        position = path.parent.relative_to(self.folder).parts
        index.setdefault(fold(stem), {}).setdefault(position, []).append(path)

    def found(self) -> str:
        """The end of a message that no picture was found: what was found instead, if anything."""
        return "".join(f"; {sentence}" for sentence in self.notes())


def list_pictures(folder: str | os.PathLike[str], recursive: bool = False) -> Listing:
    """Search a folder for pictures.

    Parameters
    ----------
    folder
        Where to look. Links to folders inside it are not followed.
    recursive
        Also search subfolders.

    Raises
    ------
    ImageFileError
        The folder does not exist or cannot be listed.
    """
    top = Path(folder)
    if not top.is_dir():
        raise ImageFileError(f"{top}: {_not_a_folder(top)}")
    others = Counter[str]()
    files, subfolders = _split_entries(top, others, top=True)
    in_subfolders = 0
    if recursive:
        waiting = subfolders
        while waiting:
            more, below = _split_entries(waiting.pop(), others)
            files += more
            waiting += below
    else:
        in_subfolders = _count_deeper(subfolders)
    pictures = []
    for path in files:
        if path.suffix.lower() in READABLE_SUFFIXES:
            pictures.append(path)
        else:
            others[path.suffix.lower() or "(no suffix)"] += 1
    masks = _masks_beside(pictures)
    apart = {mask for found in masks.values() for mask in found}
    kept = tuple(sorted((path for path in pictures if path not in apart), key=os.fspath))
    return Listing(top, recursive, kept, masks, dict(sorted(others.items())), in_subfolders)


def find_partner(picture: Path, root: Path, partners: Listing, what: str = "mask") -> Path:
    """The mask or input that belongs to a picture: the file of the same name at the same relative path.

    Names are compared without suffix, ignoring case and how accents are encoded; `cat_mask`, `cat_mask001`, `mask_cat`
    and the like (see `MASK_WORDS`) belong to `cat` and take precedence over a file called `cat`, and that over
    `cat.jpg.png`. A picture is never its own partner.

    Parameters
    ----------
    picture
        A file in or below `root`.
    root
        The folder of pictures.
    partners
        A listing of the other folder.
    what
        The kind of partner, such as "mask", for the error message.

    Raises
    ------
    ImageFileError
        There is none, or more than one.
    """
    matches = find_partners(picture, root, partners)
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise ImageFileError(
            f"{picture}: {len(matches)} {what}s named {picture.stem} in {partners.folder}, one is needed: "
            + ", ".join(path.name for path in matches[:MAX_NAMED])
        )
    there = [path.name for path in [*partners.pictures, *_all_masks(partners)] if not _same_file(path, picture)]
    named = f" (there are {', '.join(there[:MAX_NAMED])}{' and others' * (len(there) > MAX_NAMED)})" if there else ""
    raise ImageFileError(
        f"{picture}: no {what}s named {picture.stem} in {partners.folder}{named}, one is needed: call it "
        f"{picture.stem}.png or {picture.stem}_mask.png"
    )


def find_partners(picture: Path, root: Path, partners: Listing) -> list[Path]:
    """All candidates for `find_partner`."""
    place = picture.parent.relative_to(root).parts
    # In the picture's own folder, a file of the same name is another picture.
    indices = partners.by_name[:1] if _same_file(root, partners.folder) else partners.by_name
    for found in (index.get(fold(picture.stem), {}) for index in indices):
        apart = {where: [path for path in paths if not _same_file(path, picture)] for where, paths in found.items()}
        if apart.get(place):
            return sorted(apart[place])
        if not place and any(apart.values()):  # pictures in one folder, masks in subfolders
            return sorted(path for paths in apart.values() for path in paths)
    return []


def mask_owner(stem: str) -> str | None:
    """The stem of the picture that a mask with this stem belongs to; None if the name is not a mask's."""
    composed = unicodedata.normalize("NFC", stem)
    match = MASK_STEM.fullmatch(composed) or MASK_PREFIX.fullmatch(composed)
    if match is None:
        return None
    owner = Path(match[1])
    return owner.stem if owner.suffix.lower() in READABLE_SUFFIXES else match[1]


def fold(name: str) -> str:
    """A name as compared by file systems that ignore case and the encoding of accents."""
    return unicodedata.normalize("NFC", name).casefold()


def is_hidden(name: str) -> bool:
    """Whether a file or folder is ignored by its name: hidden, or left behind by an archive or operating system."""
    return name.startswith(".") or name.casefold() in LITTER


def _not_a_folder(path: Path) -> str:
    """Describe a path that is not a folder of pictures."""
    if not path.is_file():
        return "no such folder"
    if path.suffix.lower() in READABLE_CLIPS:
        return (
            "this is a video, not a folder of pictures; save its frames as pictures first (training.run reads videos)"
        )
    return "this is a file, not a folder; use the folder that contains it"


def _split_entries(folder: Path, others: Counter[str], top: bool = False) -> tuple[list[Path], list[Path]]:
    """Files and subfolders of a folder; a subfolder that cannot be listed counts among the other files."""
    files, folders = [], []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if is_hidden(entry.name):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    folders.append(Path(entry.path))
                elif entry.is_symlink() and os.path.isdir(entry.path):
                    others["(link to a folder)"] += 1
                else:
                    files.append(Path(entry.path))
    except OSError as error:
        if top:
            raise ImageFileError(f"{folder}: cannot be listed ({error.strerror})") from None
        others["(folder that cannot be listed)"] += 1
    return files, folders


def _count_deeper(folders: Sequence[Path]) -> int:
    found, looked_at = 0, 0
    waiting = list(folders)
    while waiting and looked_at < MAX_COUNTED:
        files, below = _split_entries(waiting.pop(), Counter())
        found += sum(path.suffix.lower() in READABLE_SUFFIXES for path in files)
        looked_at += 1 + len(files)
        waiting += below
    return found


def _masks_beside(pictures: Sequence[Path]) -> dict[Path, tuple[Path, ...]]:
    owners: dict[tuple[Path, str], Path] = {}
    for path in sorted(pictures, key=os.fspath):
        owners.setdefault((path.parent, fold(path.stem)), path)
    found: dict[Path, list[Path]] = {}
    for path in sorted(pictures, key=os.fspath):
        stem = mask_owner(path.stem)
        owner = None if stem is None else owners.get((path.parent, fold(stem)))
        if owner is not None:
            found.setdefault(owner, []).append(path)
    return {owner: tuple(masks) for owner, masks in found.items()}


def _all_masks(listing: Listing) -> list[Path]:
    return [mask for masks in listing.masks.values() for mask in masks]


def _count_masks(masks: Mapping[Path, tuple[Path, ...]]) -> str:
    files = [mask for found in masks.values() for mask in found]
    named = ", ".join(path.name for path in files[:MAX_NAMED]) + ", ..." * (len(files) > MAX_NAMED)
    return f"{_plural(len(files), 'file')} ({named})"


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"


def _same_file(one: Path, other: Path) -> bool:
    try:
        return os.path.samefile(one, other)
    except OSError:
        return one == other
