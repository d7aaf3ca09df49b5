from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from inpaint_core.__main__ import main
from inpaint_core.masks import generate, slic_labels


@pytest.fixture
def pictures(photo: Tensor, tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    values = (photo.permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
    for index in range(3):
        Image.fromarray(values[index * 10 : index * 10 + 90, :120]).save(folder / f"room_{index}.png")
    return folder


def read(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        assert picture.mode == "L"
        values = np.array(picture)
    assert set(np.unique(values)) <= {0, 255}
    return values


def test_a_mask_for_a_size_is_that_of_the_library(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "mask.png"
    code = main(
        [
            "mask",
            "strokes",
            "--size",
            "60",
            "80",
            "--out",
            str(out),
            "--hole-ratio",
            "0.2",
            "0.3",
            "--brush",
            "thin",
            "--seed",
            "7",
        ]
    )
    assert code == 0
    assert capsys.readouterr().out.strip() == str(out)
    expected = generate("strokes", (60, 80), (0.2, 0.3), seed=7, brush="thin")[0, 0]
    assert np.array_equal(read(out) == 255, expected.numpy() == 1)


def test_a_folder_gets_masks_of_its_pictures_names(pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "masks"
    assert main(["mask", "slic", "--image", str(pictures), "--out", str(out), "--hole-ratio", "0.1", "0.4"]) == 0
    assert sorted(path.name for path in out.iterdir()) == [f"room_{index}.png" for index in range(3)]
    masks = [read(path) for path in sorted(out.iterdir())]
    assert all(mask.shape == (90, 120) and 0.1 < (mask == 255).mean() <= 0.4 for mask in masks)
    assert len({mask.tobytes() for mask in masks}) == 3


def test_several_masks_for_every_picture_are_numbered(pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "masks"
    command = ["mask", "rectangles", "--image", str(pictures), "--out", str(out), "--number", "2", "--count", "1", "4"]
    assert main(command) == 0
    names = sorted(path.name for path in out.iterdir())
    assert names == [f"room_{index}_{number:06d}.png" for index in range(3) for number in range(2)]
    assert len({read(out / name).tobytes() for name in names}) == 6


def test_every_superpixel_gets_its_own_mask(pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "masks"
    image = pictures / "room_0.png"
    command = ["mask", "slic", "--image", str(image), "--out", str(out), "--each-segment", "--n-segments", "10"]
    assert main(command) == 0
    masks = np.stack([read(path) for path in sorted(out.iterdir())]) == 255
    assert masks.shape == (10, 90, 120)
    picture = torch.from_numpy(np.array(Image.open(image))).permute(2, 0, 1) / 255.0
    assert np.array_equal(masks.argmax(0), slic_labels(picture, 10, max_side=160).numpy())
    assert (masks.sum(0) == 1).all()


def test_the_contact_sheet_shows_every_family(pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "sheet.png"
    assert main(["mask", "sheet", "--image", str(pictures / "room_1.png"), "--out", str(out), "--side", "64"]) == 0
    with Image.open(out) as sheet:
        assert sheet.mode == "RGB"
        assert sheet.width > 7 * 64
        assert sheet.height > 2 * 48


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["strokes", "--out", "OUT/a.png"], "either --image or --size"),
        (["strokes", "--out", "OUT/a.jpg", "--size", "8", "8"], "two values"),
        (["strokes", "--out", "OUT/no/a.png", "--size", "8", "8"], "does not exist"),
        (["strokes", "--out", "OUT/a.png", "--size", "8", "8", "--number", "3"], "need a folder"),
        (["strokes", "--out", "OUT/a.png", "--size", "8", "8", "--number", "0"], "at least 1"),
        (["strokes", "--out", "OUT/a.png", "--size", "8", "8", "--dilate", "7"], "dilate"),
        (["slic", "--out", "OUT/a.png", "--size", "8", "8"], "pass image"),
        (["slic", "--out", "OUT/a.png", "--image", "OUT/none.png"], "no such picture"),
        (["border", "--out", "OUT/a.png", "--size", "8", "8", "--hole-ratio", "0.9", "0.95"], "cover at most"),
    ],
)
def test_bad_requests_end_in_one_line(
    command: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["mask", *(part.replace("OUT", str(tmp_path)) for part in command)]) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.err.count("\n") == 1
    assert not list(tmp_path.glob("a.*"))
