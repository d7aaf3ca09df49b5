"""Uploads are decoded by the library, and refused in one sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from demo.pictures import SHOWN_SIDE, Limits, VisitorError, enlarge_mask, open_upload, read_upload, reduce, write_result


def test_no_picture_is_refused() -> None:
    for read in (open_upload, read_upload):
        with pytest.raises(VisitorError, match="upload one"):
            read(None, Limits())


def test_a_text_file_is_refused_in_one_sentence_without_the_servers_folders(tmp_path: Path) -> None:
    for name in ("notes.txt", "notes.png"):
        (tmp_path / name).write_text("not a picture")
        with pytest.raises(VisitorError) as caught:
            open_upload(tmp_path / name, Limits())
        assert str(caught.value).startswith(f"{name}: not a picture")
        assert str(caught.value).count(". ") == 0
        assert str(tmp_path) not in str(caught.value)


def test_too_many_pixels_and_too_many_bytes_are_refused(picture: Path) -> None:
    with pytest.raises(VisitorError, match=r"noise\.png has more than the 0\.001 megapixels"):
        open_upload(picture, Limits(megapixels=0.001))
    with pytest.raises(VisitorError, match=r"noise\.png has more than 0\.001 megabytes"):
        open_upload(picture, Limits(megabytes=0.001))


def test_a_picture_that_was_deleted_is_refused(picture: Path) -> None:
    upload = open_upload(picture, Limits())
    picture.unlink()
    with pytest.raises(VisitorError, match="upload it again"):
        read_upload(upload, Limits())


def test_the_exif_orientation_is_applied(tmp_path: Path) -> None:
    path = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 20)).save(path, exif=exif)
    upload = open_upload(path, Limits())
    assert (upload.height, upload.width) == (40, 20)
    assert upload.shown_size == (40, 20)


def test_large_pictures_are_shown_reduced_and_transparent_parts_gray() -> None:
    assert reduce(torch.zeros(3, 10, 3 * SHOWN_SIDE)).shape == (3, SHOWN_SIDE, 3)
    assert reduce(torch.zeros(3, 1, 9000)).shape == (1, SHOWN_SIDE, 3)
    planes = torch.ones(4, 2, 2)
    planes[3, 0] = 0.0
    shown = reduce(planes)
    assert (shown[0] == 204).all()
    assert (shown[1] == 255).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 200), st.integers(1, 200), st.integers(0, 99))
def test_an_enlarged_mask_is_binary_and_keeps_what_is_uniform(h: int, w: int, height: int, width: int, n: int) -> None:
    mask = (torch.rand(h, w, generator=torch.Generator().manual_seed(n)) > 0.5).float()
    whole = enlarge_mask(mask, (height, width))
    assert whole.shape == (1, 1, height, width)
    assert set(whole.unique().tolist()) <= {0.0, 1.0}
    assert bool(enlarge_mask(torch.ones(h, w), (height, width)).all())
    assert not bool(enlarge_mask(torch.zeros(h, w), (height, width)).any())


def test_an_enlarged_mask_stays_where_it_was() -> None:
    mask = torch.zeros(30, 40)
    mask[10:20, 5:15] = 1.0
    whole = enlarge_mask(mask, (300, 400))[0, 0]
    expected = torch.zeros(300, 400)
    expected[100:200, 50:150] = 1.0
    assert float((whole != expected).float().mean()) < 0.002


def test_a_result_keeps_sixteen_bits_and_gets_a_folder_of_its_own(tmp_path: Path) -> None:
    values = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64) * 13
    Image.fromarray(values).save(tmp_path / "deep.png")
    upload = open_upload(tmp_path / "deep.png", Limits())
    picture = read_upload(upload, Limits())
    results = tmp_path / "results"
    results.mkdir()
    first, second = (write_result(results, upload, "filled", picture.planes, picture) for _ in range(2))
    assert first.name == second.name == "deep_filled.png"
    assert first.parent != second.parent
    assert np.array_equal(np.asarray(Image.open(first)), values)
