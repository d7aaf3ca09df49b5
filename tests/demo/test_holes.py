"""Holes: as drawn, as clicked, and those that cannot be filled."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from demo.holes import Superpixels, check_hole, drawn_hole, marked_hole
from demo.pictures import Limits, VisitorError, open_upload


def layer(height: int, width: int, alpha: int = 255) -> np.ndarray:
    """What the editor sends for a square drawn in the left upper quarter."""
    values = np.zeros((height, width, 4), np.uint8)
    values[: height // 2, : width // 2] = (230, 0, 122, alpha)
    return values


def test_the_hole_is_where_the_brush_was() -> None:
    hole = drawn_hole({"layers": [layer(20, 30)]}, (20, 30))
    expected = torch.zeros(20, 30)
    expected[:10, :15] = 1.0
    assert torch.equal(hole, expected)


def test_the_brushs_soft_edge_is_no_hole_and_its_translucent_color_is() -> None:
    assert not bool(drawn_hole({"layers": [layer(20, 30, alpha=100)]}, (20, 30)).any())
    assert bool(drawn_hole({"layers": [layer(20, 30, alpha=178)]}, (20, 30)).any())


def test_layers_of_another_size_are_fitted_and_missing_ones_are_no_hole() -> None:
    hole = drawn_hole({"layers": [layer(40, 60), np.zeros((5, 7, 4), np.uint8)]}, (20, 30))
    assert torch.equal(hole, drawn_hole({"layers": [layer(20, 30)]}, (20, 30)))
    for empty in (None, {}, {"layers": []}, {"layers": None}):
        assert not bool(drawn_hole(empty, (20, 30)).any())


def test_a_click_chooses_a_superpixel_and_a_second_click_takes_it_back(picture: Path) -> None:
    upload = open_upload(picture, Limits())
    superpixels = Superpixels.of(upload, 12)
    assert not bool(superpixels.hole().any())
    once = superpixels.toggle(50.4, 20.9)
    assert torch.equal(once.hole(), (superpixels.labels == superpixels.labels[20, 50]).float())
    assert len(once.toggle(95, 71).chosen) == 2
    assert once.toggle(50, 20).chosen == frozenset()
    assert superpixels.toggle(1e6, -5.0).chosen == {int(superpixels.labels[0, -1])}
    assert once.summary().startswith("1 of 12 superpixels")


def test_the_chosen_superpixels_are_red_and_all_others_as_before(picture: Path) -> None:
    upload = open_upload(picture, Limits())
    superpixels = Superpixels.of(upload, 12)
    before, after = superpixels.drawn_over(upload), superpixels.toggle(50, 20).drawn_over(upload)
    changed = (before != after).any(2)
    hole = superpixels.toggle(50, 20).hole().numpy() > 0.5
    assert not changed[~hole].any()
    assert after[hole].astype(int)[:, 0].mean() > before[hole].astype(int)[:, 0].mean()
    assert changed[hole].mean() > 0.5


def test_only_the_chosen_way_of_marking_counts(picture: Path) -> None:
    upload = open_upload(picture, Limits())
    superpixels = Superpixels.of(upload, 12).toggle(50, 20)
    drawing = {"layers": [layer(*upload.shown_size)]}
    size = upload.shown_size
    assert torch.equal(marked_hole(size, False, drawing, superpixels), drawn_hole(drawing, size))
    assert torch.equal(marked_hole(size, True, drawing, superpixels), superpixels.hole())
    assert not bool(marked_hole(size, True, drawing, None).any())
    assert not bool(marked_hole((5, 5), True, drawing, superpixels).any())


def test_no_hole_and_a_hole_over_everything_that_is_known_are_refused() -> None:
    with pytest.raises(VisitorError, match="no hole yet: draw over what"):
        check_hole(torch.zeros(1, 1, 4, 4), None, "draw over")
    with pytest.raises(VisitorError, match="covers the whole picture"):
        check_hole(torch.ones(1, 1, 4, 4), None, "draw over")
    half = torch.zeros(1, 1, 4, 4)
    half[..., :2] = 1.0
    check_hole(half, None, "draw over")
    with pytest.raises(VisitorError, match="covers the whole picture"):
        check_hole(half, half[0] < 0.5, "draw over")
