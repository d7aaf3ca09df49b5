"""Numbers of superpixels and grids of coordinates drawn over pictures."""

from __future__ import annotations

import numpy as np
import torch

from inpaint_core.masks import boundary_overlay, coordinate_grid, numbered_overlay
from inpaint_core.masks.superpixels.annotation import widest_places


def quarters(side: int) -> torch.Tensor:
    return torch.arange(4).view(2, 2).repeat_interleave(side, 0).repeat_interleave(side, 1)


def test_every_number_stands_where_its_superpixel_is_widest():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, (5, 6)).repeat(7, 0).repeat(7, 1)
    places = widest_places(labels)
    assert sorted(places) == [0, 1, 2]
    for number, (x, y) in places.items():
        inside = np.argwhere(labels == number)
        outside = np.argwhere(np.pad(labels, 1, constant_values=-1) != number) - 1
        # Brute force: distance of every pixel to the nearest of another superpixel or beyond the edge.
        reach = np.sqrt(((inside[:, None] - outside[None]) ** 2).sum(2)).min(1)
        here = np.sqrt(((np.array([y, x]) - outside) ** 2).sum(1)).min()
        assert labels[y, x] == number
        assert here >= reach.max() - 1.0


def test_places_without_a_superpixel_get_no_number():
    labels = np.full((8, 8), -1)
    labels[2:6, 2:6] = 4
    assert list(widest_places(labels)) == [4]


def test_numbers_are_written_near_the_middle_and_nowhere_else():
    labels, image = quarters(60), torch.full((3, 120, 120), 0.5)
    drawn = numbered_overlay(image, labels)[0]
    written = ((drawn - boundary_overlay(image, labels)[0]).abs() > 0.01).any(0)
    for number in range(4):
        part = written & (labels == number)
        rows, columns = torch.nonzero(part, as_tuple=True)
        top, left = number // 2 * 60, number % 2 * 60
        assert rows.min() - top > 20
        assert rows.max() - top < 40
        assert columns.min() - left > 20
        assert columns.max() - left < 40


def test_small_superpixels_are_enlarged_until_numbers_fit():
    assert numbered_overlay(torch.zeros(3, 20, 20), quarters(10)).shape == (1, 3, 60, 60)
    assert numbered_overlay(torch.zeros(3, 120, 120), quarters(60)).shape == (1, 3, 120, 120)


def test_lines_stand_at_round_coordinates_also_in_an_enlarged_picture():
    drawn = coordinate_grid(torch.zeros(1, 3, 300, 400), (150, 200))[0]
    bright = drawn.amax(0) > 0.3
    columns = [x for x in range(400) if bright[60:, x].float().mean() > 0.9]
    rows = [y for y in range(300) if bright[y, 40:].float().mean() > 0.9]
    assert columns == [0, 50, 100, 150, 200, 250, 300, 350]
    assert rows == [50, 100, 150, 200, 250]
