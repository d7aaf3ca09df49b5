"""Folders and names: one search for every command, results replace nothing, masks match their pictures."""

from __future__ import annotations

import os
import sys
import unicodedata
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from inpaint_core.__main__ import main
from inpaint_core.files.atomic import UNFINISHED, atomic_path, remove_unfinished
from inpaint_core.files.folders import find_partner, fold, list_pictures
from inpaint_core.files.naming import MAX_NAME_BYTES, Wanted, distinct_names, fit_name
from inpaint_core.files.opening import ImageFileError
from training.evaluate import main as evaluate
from training.prepare import main as prepare
from training.run import main as train


def photo(seed: int, height: int = 40, width: int = 48) -> np.ndarray:
    return np.random.default_rng(seed).integers(60, 190, (height, width, 3), dtype=np.uint8)


def save(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(photo(seed)).save(path, **({"format": "JPEG"} if path.suffix.lower() in (".jfif", ".jpe") else {}))
    return path


def save_mask(path: Path, top: int = 10) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    mask = np.zeros((40, 48), np.uint8)
    mask[top : top + 12, 12:30] = 255
    Image.fromarray(mask).save(path)
    return path


def fill(image: Path, mask: Path, out: Path, *more: str) -> int:
    return main(["inpaint", "--model", "mean", "--image", str(image), "--mask", str(mask), "--out", str(out), *more])


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def changed(before: Path, after: Path) -> np.ndarray:
    with Image.open(before) as one, Image.open(after) as other:
        return (np.asarray(one.convert("RGB")) != np.asarray(other.convert("RGB"))).any(-1)


def test_a_search_finds_pictures_of_every_suffix_and_case_and_names_the_rest(tmp_path):
    for name in ("a.JPG", "b.jfif", "c.jpe", "d.PNG", "e.TIFF"):
        (tmp_path / name).write_bytes(b"")
    for name in ("f.heic", "g.HEIC", "h.txt", "no suffix", ".hidden.png", "Thumbs.db", "._a.jpg"):
        (tmp_path / name).write_bytes(b"")
    for name in ("__MACOSX/._a.jpg", ".trash/x.png", "sub/deep/y.png", "folder.png/z.webp"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_bytes(b"")
    flat, deep = list_pictures(tmp_path), list_pictures(tmp_path, recursive=True)
    assert [path.name for path in flat.pictures] == ["a.JPG", "b.jfif", "c.jpe", "d.PNG", "e.TIFF"]
    assert flat.others == {"(no suffix)": 1, ".heic": 2, ".txt": 1}
    assert flat.in_subfolders == 2
    said = " ".join(flat.notes())
    assert "pillow-heif" in said
    assert "2 pictures in subfolders" in said
    assert "--recursive" in said
    assert [path.relative_to(tmp_path).as_posix() for path in deep.pictures][-2:] == [
        "folder.png/z.webp",
        "sub/deep/y.png",
    ]
    assert deep.in_subfolders == 0


def test_linked_folders_are_not_followed_but_counted(tmp_path):
    save(tmp_path / "in" / "a.png")
    save(tmp_path / "elsewhere" / "b.png")
    (tmp_path / "in" / "round").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "out").symlink_to(tmp_path / "elsewhere")
    listing = list_pictures(tmp_path / "in", recursive=True)
    assert [path.name for path in listing.pictures] == ["a.png"]
    assert listing.others == {"(link to a folder)": 2}


@pytest.mark.parametrize("name", ["cat_mask.png", "cat_mask001.png", "Cat_Mask.PNG", "cat-mask.gif", "cat_mask_2.png"])
def test_a_file_named_as_a_mask_next_to_its_picture_is_not_a_picture(tmp_path, name):
    for file in ("cat.jpg", "dog.jpg", "face_mask.jpg", name):
        (tmp_path / file).write_bytes(b"")
    listing = list_pictures(tmp_path)
    assert [path.name for path in listing.pictures] == ["cat.jpg", "dog.jpg", "face_mask.jpg"]
    assert listing.masks == {tmp_path / "cat.jpg": (tmp_path / name,)}


PAIRINGS = {
    "the same name": ("cat.jpg", ["cat.png", "dog.png"], "cat.png"),
    "another case": ("Cat.JPG", ["cat.png"], "cat.png"),
    "the name of a mask": ("cat.jpg", ["cat_mask.png", "cat2_mask.png"], "cat_mask.png"),
    "a mask beside a copy of the picture": ("cat.jpg", ["cat.jpg", "cat_mask.png"], "cat_mask.png"),
    "accents in another encoding": (
        unicodedata.normalize("NFC", "\xe9t\xe9.jpg"),
        [unicodedata.normalize("NFD", "\xe9t\xe9.png")],
        unicodedata.normalize("NFD", "\xe9t\xe9.png"),
    ),
    "in a subfolder": ("a/cat.jpg", ["a/cat.png", "b/cat.png"], "a/cat.png"),
    "masks in a subfolder of their own": ("cat.jpg", ["all/cat.png"], "all/cat.png"),
}


@pytest.mark.parametrize("case", PAIRINGS)
def test_a_mask_is_found_by_the_name_of_its_picture(tmp_path, case):
    picture, masks, expected = PAIRINGS[case]
    for name in masks:
        (tmp_path / "masks" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "masks" / name).write_bytes(b"")
    listing = list_pictures(tmp_path / "masks", recursive=True)
    found = find_partner(tmp_path / "in" / picture, tmp_path / "in", listing)
    assert found == tmp_path / "masks" / expected


@pytest.mark.parametrize(
    ("masks", "said"),
    [
        (["dog.png"], "there are dog.png"),
        (["a/cat.png", "a/cat.gif"], "2 masks"),
        (["b/cat.png"], "no masks named cat"),
    ],
)
def test_a_missing_or_ambiguous_mask_is_rejected_with_what_was_found(tmp_path, masks, said):
    for name in masks:
        (tmp_path / "masks" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "masks" / name).write_bytes(b"")
    listing = list_pictures(tmp_path / "masks", recursive=True)
    with pytest.raises(ImageFileError, match=said):
        find_partner(tmp_path / "in" / "a" / "cat.jpg", tmp_path / "in", listing)


def test_pictures_and_masks_in_one_folder_are_distinguished(tmp_path):
    for number, name in enumerate(("cat", "dog")):
        save(tmp_path / "both" / f"{name}.png", number)
        save_mask(tmp_path / "both" / f"{name}_mask.png", 4 + 10 * number)
    assert fill(tmp_path / "both", tmp_path / "both", tmp_path / "out") == 0
    assert files(tmp_path / "out") == ["cat.png", "dog.png"]
    for number, name in enumerate(("cat", "dog")):
        hole = np.asarray(Image.open(tmp_path / "both" / f"{name}_mask.png")) > 0
        difference = changed(tmp_path / "both" / f"{name}.png", tmp_path / "out" / f"{name}.png")
        assert difference[hole].mean() > 0.9, number
        assert not difference[~hole].any()


def test_no_picture_is_its_own_mask(tmp_path, capsys):
    save(tmp_path / "in" / "a.png")
    assert fill(tmp_path / "in", tmp_path / "in", tmp_path / "out") == 2
    assert "no masks named a" in capsys.readouterr().err
    assert fill(tmp_path / "in" / "a.png", tmp_path / "in" / "a.png", tmp_path / "b.png") == 2
    assert "its own mask" in capsys.readouterr().err
    assert not (tmp_path / "b.png").exists()


def test_subfolders_are_mentioned_or_kept(tmp_path, capsys):
    for name in ("top.png", "a/1.png", "b/1.png"):
        save(tmp_path / "in" / name)
    mask = save_mask(tmp_path / "mask.png")
    assert fill(tmp_path / "in", mask, tmp_path / "flat") == 0
    assert files(tmp_path / "flat") == ["top.png"]
    assert "2 pictures in subfolders" in capsys.readouterr().err
    assert fill(tmp_path / "in", mask, tmp_path / "deep", "--recursive") == 0
    assert files(tmp_path / "deep") == ["a/1.png", "b/1.png", "top.png"]


COMMANDS = {
    "inpaint": ["inpaint", "--model", "mean", "--mask", "{mask}", "--image", "{image}", "--out", "{out}"],
    "mask": ["mask", "strokes", "--image", "{image}", "--out", "{out}"],
    "reimagine": ["reimagine", "--model", "mean", "--rounds", "1", "--image", "{image}", "--out", "{out}"],
    "translate": ["translate", "--model", "see-flowers", "--size", "64", "--input", "{image}", "--out", "{out}"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_overwrites_its_inputs(tmp_path, command, capsys):
    save(tmp_path / "in" / "a.png")
    mask = save_mask(tmp_path / "mask.png")
    (tmp_path / "link").symlink_to(tmp_path / "in")
    before = (tmp_path / "in" / "a.png").read_bytes()
    for image, out in (
        ("in", "in"),
        ("in", "link"),
        ("in/a.png", "in"),
        ("in/a.png", "in/a.png"),
        ("in/a.png", "link"),
    ):
        arguments = [part.format(mask=mask, image=tmp_path / image, out=tmp_path / out) for part in COMMANDS[command]]
        assert main(arguments) == 2, (image, out)
        assert "--out" in capsys.readouterr().err
        assert (tmp_path / "in" / "a.png").read_bytes() == before
        assert files(tmp_path / "in") == ["a.png"]


@pytest.mark.parametrize("command", COMMANDS)
def test_no_two_results_have_one_name_in_any_command(tmp_path, command):
    for number, name in enumerate(("a.jpg", "a.png", "a_jpg.png", "A.webp")):
        save(tmp_path / "in" / name, number)
    mask = save_mask(tmp_path / "mask.png")
    parts = {"mask": mask, "image": tmp_path / "in", "out": tmp_path / "out"}
    assert main([part.format(**parts) for part in COMMANDS[command]]) == 0
    names = files(tmp_path / "out")
    assert len({name.casefold() for name in names}) == len(names) == 4
    assert "a_jpg.png" in names


def test_a_mask_is_not_overwritten(tmp_path):
    save(tmp_path / "in" / "1.png")
    mask = save_mask(tmp_path / "masks" / "1.png")
    before = mask.read_bytes()
    assert fill(tmp_path / "in", tmp_path / "masks", tmp_path / "masks") == 2
    assert fill(tmp_path / "in" / "1.png", mask, tmp_path / "masks") == 2
    assert mask.read_bytes() == before


def test_another_picture_next_to_the_source_is_not_replaced(tmp_path, capsys):
    save(tmp_path / "a.jpg")
    other = save(tmp_path / "a.png", 1)
    before = other.read_bytes()
    assert fill(tmp_path / "a.jpg", save_mask(tmp_path / "m" / "mask.png"), tmp_path) == 2
    assert "already exists" in capsys.readouterr().err
    assert other.read_bytes() == before


@pytest.mark.parametrize("out", ["o.png", "o.mp4", "o.JPG"])
def test_a_folder_is_not_written_to_a_file(tmp_path, out, capsys):
    save(tmp_path / "in" / "a.png")
    assert fill(tmp_path / "in", save_mask(tmp_path / "mask.png"), tmp_path / out) == 2
    assert "--out must also be a folder" in capsys.readouterr().err
    assert not (tmp_path / out).exists()


def test_frames_of_a_folder_become_a_clip(tmp_path, capsys):
    for number in range(5):
        save(tmp_path / "in" / f"{number}.png", number)
    command = ["translate", "--model", "see-flowers", "--size", "64", "--input", str(tmp_path / "in")]
    assert main([*command, "--out", str(tmp_path / "clip.avi"), "--rate", "12"]) == 0
    clip = cv2.VideoCapture(str(tmp_path / "clip.avi"))
    assert clip.get(cv2.CAP_PROP_FPS) == 12.0
    assert sum(1 for _ in iter(lambda: clip.read()[0], False)) == 5
    Image.fromarray(photo(9, 20, 20)).save(tmp_path / "in" / "9.png")
    assert main([*command, "--out", str(tmp_path / "other.avi")]) == 2
    assert "9.png: 20x20 pixels, but the first frame" in capsys.readouterr().err


LONG = ("x" * 251 + ".png", "\u6f22" * 83 + ".png", "y" * 250 + ".webp")


def test_the_longest_names_can_be_written(tmp_path):
    for name in LONG:
        save(tmp_path / "in" / name)
    assert fill(tmp_path / "in", save_mask(tmp_path / "mask.png"), tmp_path / "out") == 0
    assert len(files(tmp_path / "out")) == len(LONG)
    assert {LONG[0], LONG[1]} <= set(files(tmp_path / "out"))


@settings(max_examples=200, deadline=None)
@given(
    st.text(min_size=1, max_size=300).filter(lambda s: "/" not in s and "\0" not in s),
    st.sampled_from([".png", ".strip.png"]),
)
def test_a_name_is_cut_to_what_a_file_system_accepts_and_stays_text(stem, ending):
    try:
        os.fsencode(stem)
    except UnicodeEncodeError:
        return
    name = fit_name(stem, ending)
    assert len(os.fsencode(name)) <= MAX_NAME_BYTES
    assert name.endswith(ending)
    assert name == stem + ending or len(os.fsencode(stem + ending)) > MAX_NAME_BYTES
    name.encode("utf-8")


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["", "s"]), st.sampled_from(["a", "A", "a_x", "a_x_2", "a.strip"]), st.sampled_from("xy")
        )
    )
)
def test_names_are_distinct_whatever_is_requested(wanted):
    asked = [Wanted(Path(place), stem, apart, (".png", ".strip.png")) for place, stem, apart in wanted]
    names = distinct_names(asked)
    written = [fold(name.as_posix()) for name in names]
    written += [fold(name.with_name(name.name[: -len(".png")] + ".strip.png").as_posix()) for name in names]
    assert len(set(written)) == len(written)
    assert [name.parent for name in names] == [one.place for one in asked]


def test_a_temporary_name_is_short_and_what_a_kill_leaves_is_removed(tmp_path):
    left = tmp_path / ".0123abcd.part.png"
    left.write_bytes(b"half")
    mine = tmp_path / ".0123.part.png"
    mine.write_bytes(b"mine")
    if sys.platform == "win32":  # files cannot be locked there
        os.utime(left, (0, 0))
    with atomic_path(tmp_path / ("z" * 251 + ".png")) as temporary:
        assert UNFINISHED.fullmatch(temporary.name)
        assert len(temporary.name) < 32
        temporary.write_bytes(b"done")
        remove_unfinished(tmp_path)
        assert temporary.exists(), "it is being written"
    assert not left.exists()
    assert mine.exists()


def test_a_writer_that_writes_nothing_is_an_error_but_an_empty_file_is_not(tmp_path):
    target = tmp_path / "a.txt"
    with pytest.raises(FileNotFoundError), atomic_path(target):
        pass
    assert list(tmp_path.iterdir()) == []
    with atomic_path(target) as temporary:
        temporary.write_bytes(b"")
    assert target.read_bytes() == b""


def test_a_mask_that_cannot_be_read_is_rejected_before_the_first_picture(tmp_path, capsys):
    for number in range(3):
        save(tmp_path / "in" / f"{number}.png")
    (tmp_path / "mask.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    assert fill(tmp_path / "in", tmp_path / "mask.png", tmp_path / "out") == 2
    assert capsys.readouterr().err.count("mask.png") == 1
    assert not (tmp_path / "out").exists()


def test_bad_pictures_and_masks_of_a_folder_are_reported_before_the_first_picture_is_filled(
    tmp_path, capsys, monkeypatch
):
    for number in range(5):
        save(tmp_path / "in" / f"{number}.png", number)
        save_mask(tmp_path / "masks" / f"{number}.png")
    whole = (tmp_path / "masks" / "3.png").read_bytes()
    (tmp_path / "masks" / "3.png").write_bytes(whole[: len(whole) // 2])
    Image.fromarray(photo(0)).save(tmp_path / "masks" / "2.png")
    (tmp_path / "in" / "1.png").write_bytes(b"no picture")
    (tmp_path / "masks" / "4.png").unlink()
    said: list[str] = []

    def remember(*arguments, **options):
        said.append(capsys.readouterr().err)
        return arguments[1]

    monkeypatch.setattr("inpaint_core.commands.inpaint.inpaint", remember)
    assert fill(tmp_path / "in", tmp_path / "masks", tmp_path / "out") == 2
    assert files(tmp_path / "out") == ["0.png"]
    (before,) = said
    assert len([line for line in before.splitlines() if line.startswith("failed: ")]) == 4
    for sentence in ("in/1.png: not a picture", "masks/2.png: the mask contains", "masks/3.png: ", "no masks named 4"):
        assert sentence in before
    assert "wrote 1 of 5 pictures" in capsys.readouterr().out


def test_a_protecting_mask_is_read_before_the_first_picture(tmp_path, capsys):
    save(tmp_path / "in" / "0.png")
    Image.fromarray(photo(0)).save(tmp_path / "colors.png")
    command = ["reimagine", "--model", "mean", "--image", str(tmp_path / "in"), "--out", str(tmp_path / "out")]
    assert main([*command, "--protect", str(tmp_path / "colors.png")]) == 2
    assert "colors.png: the mask contains" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_frames_of_a_clip_are_looked_at_before_it_is_begun(tmp_path, capsys):
    for number in range(3):
        save(tmp_path / "in" / f"{number}.png", number)
    (tmp_path / "in" / "2.png").write_bytes(b"no picture")
    command = ["translate", "--model", "see-flowers", "--size", "64", "--input", str(tmp_path / "in")]
    assert main([*command, "--out", str(tmp_path / "clip.avi")]) == 2
    assert "2.png: not a picture" in capsys.readouterr().err
    assert files(tmp_path) == ["in/0.png", "in/1.png", "in/2.png"]


@pytest.mark.parametrize(
    ("name", "word"), [("clip.mp4", "a video"), ("clip.MOV", "a video"), ("photo.png", "the folder that contains it")]
)
def test_a_file_where_a_folder_is_needed_is_called_what_it_is(tmp_path, capsys, name, word):
    (tmp_path / name).write_bytes(b"x")
    path, out = str(tmp_path / name), str(tmp_path / "out")
    jobs = [
        (evaluate, ["--model", "mean", "--data", path, "--masks", "rectangles", "--out", out]),
        (prepare, ["--data", path, "--out", out]),
    ]
    if word != "a video":  # a training reads those
        jobs.append((train, ["--config", "demo", "--steps", "1", "--data", path, "--out", out]))
    for command, arguments in jobs:
        assert command(arguments) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert path in line
        assert word in line
        assert not Path(out).exists()


@pytest.mark.parametrize(
    ("name", "word"), [("a.heic", "pillow-heif"), ("a.NEF", "rawpy"), ("a.mp4", "a video"), ("a.txt", "PNG, JPEG")]
)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_single_file_that_is_no_picture_is_called_what_it_is(tmp_path, capsys, command, name, word):
    if command == "translate" and name in ("a.mp4", "a.txt"):
        pytest.skip("a video can be translated, and other suffixes are told from cameras")
    (tmp_path / name).write_bytes(b"x" * 100)
    parts = {"mask": save_mask(tmp_path / "mask.png"), "image": tmp_path / name, "out": tmp_path / "o.png"}
    assert main([part.format(**parts) for part in COMMANDS[command]]) == 2
    assert word in capsys.readouterr().err


NAMES_OF_MASKS = (
    *("{}_mask", "{}-mask", "{} mask", "{}.mask", "{}_Masks", "{}_mask001", "{}_MASK_2", "mask_{}", "Mask-{}"),
    *("{}_maske", "{}_Masken", "{}_masker", "{}_maska", "{}_masque", "{}_mascara", "{}_m\u00e1scara", "{}.jpg_mask"),
    *("{}_ma\u0301scara", "{}_maschera", "{}_\u043c\u0430\u0441\u043a\u0430", "{}_\u30de\u30b9\u30af"),
    *("{}_\u8499\u7248", "{}_\u906e\u7f69", "{}_\ub9c8\uc2a4\ud06c"),
)


@pytest.mark.parametrize("name", NAMES_OF_MASKS)
def test_masks_are_known_by_their_names_in_many_languages(tmp_path, name):
    for stem in ("cat", "\u5199\u771f"):
        save(tmp_path / "both" / f"{stem}.jpg")
        save_mask(tmp_path / "both" / f"{name.format(stem)}.png")
    listing = list_pictures(tmp_path / "both")
    assert sorted(path.name for path in listing.pictures) == ["cat.jpg", "\u5199\u771f.jpg"]
    for picture in listing.pictures:
        found = find_partner(picture, tmp_path / "both", listing)
        assert unicodedata.normalize("NFC", found.stem) == unicodedata.normalize("NFC", name.format(picture.stem))


@pytest.mark.parametrize("name", ["masked_{}", "unmask_{}", "{}mask", "{}_masked", "{}_maskara"])
def test_words_that_only_begin_or_end_like_mask_make_no_mask(tmp_path, name):
    save(tmp_path / "cat.png")
    save(tmp_path / f"{name.format('cat')}.png", 1)
    assert len(list_pictures(tmp_path).pictures) == 2


def test_a_mask_called_after_the_whole_file_is_found_when_no_other_is(tmp_path):
    picture = save(tmp_path / "in" / "cat.jpg")
    save_mask(tmp_path / "masks" / "cat.jpg.png")
    masks = list_pictures(tmp_path / "masks")
    assert find_partner(picture, tmp_path / "in", masks).name == "cat.jpg.png"
    save_mask(tmp_path / "masks" / "cat.png")
    masks = list_pictures(tmp_path / "masks")
    assert find_partner(picture, tmp_path / "in", masks).name == "cat.png"


def test_a_mask_that_does_not_exist_is_reported_with_the_possible_values(tmp_path, capsys):
    picture = save(tmp_path / "a.png")
    assert fill(picture, Path("rectangels"), tmp_path / "o.png") == 2
    said = capsys.readouterr().err
    assert "rectangels: no such picture or folder" in said
    assert "rectangles" in said


@pytest.mark.parametrize("command", COMMANDS)
def test_a_folder_of_results_that_is_a_file_is_rejected(tmp_path, capsys, command):
    save(tmp_path / "in" / "a.png")
    (tmp_path / "file").write_bytes(b"mine")
    parts = {"mask": save_mask(tmp_path / "mask.png"), "image": tmp_path / "in", "out": tmp_path / "file"}
    assert main([part.format(**parts) for part in COMMANDS[command]]) == 2
    assert "folder" in capsys.readouterr().err
    assert (tmp_path / "file").read_bytes() == b"mine"


def test_a_full_disk_is_reported_with_the_name_of_the_file_and_without_an_error_number(tmp_path, capsys, monkeypatch):
    save(tmp_path / "in" / "a.png")

    def full(path, *_, **__):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("inpaint_core.commands.inpaint.write_image", full)
    assert fill(tmp_path / "in", save_mask(tmp_path / "mask.png"), tmp_path / "out") == 2
    said = capsys.readouterr().err
    assert f"{tmp_path / 'out' / 'a.png'}: No space left on device" in said
    assert "Errno" not in said


def test_a_clip_is_not_translated_onto_itself(tmp_path, capsys):
    clip = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(clip), cv2.VideoWriter.fourcc(*"MJPG"), 10, (48, 40))
    for number in range(3):
        writer.write(photo(number))
    writer.release()
    before = clip.read_bytes()
    (tmp_path / "link.avi").symlink_to(clip)
    for out in ("clip.avi", "link.avi"):
        command = ["translate", "--model", "see-flowers", "--size", "64", "--input", str(clip)]
        assert main([*command, "--out", str(tmp_path / out)]) == 2
        assert "--out" in capsys.readouterr().err
        assert clip.read_bytes() == before
