"""One window, several ways: none of them loses what the model knows."""

import numpy as np
import pytest
import torch

from inpaint_core.inpainting.multiscale import fill, hole_depth, reduce


def case(height=300, width=420):
    y, x = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij")
    truth = torch.stack([0.2 + 0.5 * x, 0.8 - 0.6 * y, 0.5 + 0.4 * (x - 0.5) * y])[None]
    hole = torch.zeros(1, 1, height, width)
    hole[..., 60:240, 50:350] = 1
    return truth, hole


class Plane:
    """Fills each hole with the plane that fits the known pixels best: exact for linear pictures, at any size."""

    def complete(self, image, mask):
        return torch.stack([self._fit(picture, hole[0] < 0.5) for picture, hole in zip(image, mask, strict=True)])

    @staticmethod
    def _fit(picture, known):
        y, x = np.mgrid[: known.shape[0], : known.shape[1]]
        terms = np.stack([np.ones_like(x), x, y], -1).astype(np.float64)
        found = np.linalg.lstsq(terms[known.numpy()], picture[:, known].T.numpy(), rcond=None)[0]
        return torch.from_numpy((terms @ found).astype(np.float32)).permute(2, 0, 1)


@pytest.mark.parametrize("method", ["direct", "reduced", "tiles", "coarse-to-fine"])
@pytest.mark.parametrize("batch", [1, 3])
def test_a_linear_picture_is_continued_exactly_by_every_method(method, batch):
    y, x = torch.meshgrid(torch.arange(300.0), torch.arange(420.0), indexing="ij")
    truth = torch.stack([0.2 + x / 900, 0.9 - y / 500, 0.1 + x / 1000 + y / 1000])[None]
    _, hole = case()
    hole[..., 100:200, 100:150] = 0  # no tile lies in the hole entirely
    hole[..., 100:200, 240:290] = 0
    output = fill(Plane().complete, truth * (1 - hole), hole, method, 150, batch)
    inside = hole.expand_as(truth) > 0
    assert (output - truth)[inside].abs().max() < 0.004


def test_between_tiles_there_is_no_seam():
    class EveryTileAnotherShade:
        """The worst case for tiles: no two agree."""

        def __init__(self):
            self.generator = torch.Generator().manual_seed(0)

        def complete(self, image, mask):
            return torch.rand(len(image), 1, 1, 1, generator=self.generator).expand(-1, 3, *image.shape[-2:]).clone()

    hole = torch.ones(1, 1, 300, 420)
    hole[..., ::16, :] = 0
    output = fill(EveryTileAnotherShade().complete, torch.zeros(1, 3, 300, 420), hole, "tiles", 128, 1)
    steps = (output[..., 1:] - output[..., :-1]).abs()
    assert steps.max() < 2.0 / 16  # shades differ by at most 1, over an overlap of 16 pixels
    assert output.std() > 0.05


def test_coarse_to_fine_keeps_the_colors_of_the_coarse_fill():
    _, hole = case()
    image = torch.zeros(1, 3, 300, 420)

    class TwoFaced:
        """Red when it sees the whole hole, blue detail in tiles."""

        def __init__(self):
            self.calls = 0

        def complete(self, image, mask):
            self.calls += 1
            colors = torch.tensor([0.6, 0.2, 0.2] if self.calls == 1 else [0.2, 0.2, 0.6]).view(1, 3, 1, 1)
            return colors.expand(len(image), 3, *image.shape[-2:]).clone()

    output = fill(TwoFaced().complete, image, hole, "coarse-to-fine", 128, 1)
    center = output[0, :, 100:200, 100:300].mean((1, 2))
    assert center.tolist() == pytest.approx([0.6, 0.2, 0.2], abs=0.01)


def test_the_reduced_picture_is_the_mean_of_known_pixels_only():
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    hole = torch.zeros(1, 1, 64, 64)
    hole[..., 16:40, 20:44] = 1
    one, small_hole = reduce(image * (1 - hole), hole, 16, 16)
    other, _ = reduce(torch.where(hole > 0, torch.full_like(image, 1e6), image), hole, 16, 16)
    assert torch.equal(one, other)
    assert small_hole[0, 0, 4:10, 5:11].all()
    assert small_hole.sum() == 36
    flat, _ = reduce(torch.full_like(image, 0.3) * (1 - hole), hole, 16, 16)
    assert torch.allclose(flat[small_hole.expand_as(flat) == 0], torch.tensor(0.3), atol=1e-6)


def test_the_depth_of_a_hole_is_its_largest_distance_to_what_is_known():
    hole = torch.zeros(100, 100)
    hole[20:61, 10:90] = 1
    assert hole_depth(hole) == pytest.approx(21, abs=0.1)
    hole = torch.zeros(100, 100)
    hole[:30] = 1  # nothing is known beyond the frame
    assert hole_depth(hole) == pytest.approx(30, abs=0.1)
    assert hole_depth(torch.ones(5, 5)) == float("inf")
