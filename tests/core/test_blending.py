"""Seams: the exact membrane, no step at the boundary, the surroundings' grain."""

import cv2
import numpy as np
import pytest
import torch
from scipy.sparse import coo_matrix
from scipy.sparse.linalg import spsolve
from skimage import data

from inpaint_core import inpaint
from inpaint_core.inpainting.grain import noise_deviation
from inpaint_core.inpainting.poisson import solve_membrane


def photograph(name, height=256, width=320):
    values = getattr(data, name)()[:height, :width].astype(np.float32) / 255.0
    return torch.from_numpy(values).permute(2, 0, 1)[None]


def solve_exactly(values, hole):
    """Laplace's equation as a sparse linear system: `[C,H,W]`, bool `[H,W]`."""
    height, width = hole.shape
    number = np.full(hole.shape, -1)
    ys, xs = np.nonzero(hole)
    number[ys, xs] = np.arange(len(ys))
    rows, columns, entries = [], [], []
    neighbors = np.zeros(len(ys))
    right = np.zeros((len(ys), len(values)))
    for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0)):
        y, x = ys + dy, xs + dx
        inside = np.flatnonzero((y >= 0) & (y < height) & (x >= 0) & (x < width))
        neighbors[inside] += 1
        y, x = y[inside], x[inside]
        unknown = hole[y, x]
        rows += inside[unknown].tolist()
        columns += number[y[unknown], x[unknown]].tolist()
        entries += [-1.0] * int(unknown.sum())
        np.add.at(right, inside[~unknown], values[:, y[~unknown], x[~unknown]].T)
    diagonal = list(range(len(ys)))
    matrix = coo_matrix((entries + neighbors.tolist(), (rows + diagonal, columns + diagonal))).tocsr()
    result = values.astype(np.float64)
    result[:, ys, xs] = spsolve(matrix, right).T
    return result


def holes():
    y, x = np.mgrid[:256, :320]
    blocks = np.kron(np.random.default_rng(0).random((16, 20)) > 0.6, np.ones((16, 16))) > 0
    return {
        "rectangle": (y > 40) & (y < 200) & (x > 50) & (x < 280),
        "disc": (y - 120) ** 2 + (x - 160) ** 2 < 100**2,
        "at the frame": (y < 150) & (x < 90),
        "scratches": (y + 2 * x) % 23 < 4,
        "blocks": blocks,
        "outpainting": (y > 220) | (x < 40) | (x > 280),
        "an island": (y < 60) | (y > 196) | (x < 61) | (x > 250),
        "one known pixel": (y != 77) | (x != 200),
    }


@pytest.mark.parametrize("kind", holes())
def test_the_membrane_is_the_solution_of_laplaces_equation(kind):
    # The difference of two photographs is the hardest residual there can be; holes of blocks touch by corners.
    residual = photograph("astronaut") - photograph("coffee")
    hole = holes()[kind]
    expected = solve_exactly(residual[0].numpy(), hole)
    found = solve_membrane(residual, torch.from_numpy(hole)[None, None].float())[0].numpy()
    assert np.array_equal(found[:, ~hole], residual[0].numpy()[:, ~hole])
    error = np.abs(found - expected)[:, hole]
    assert error.max() < 0.1 / 255


@pytest.mark.parametrize("size", [(37, 53), (64, 1), (1, 9), (2, 2), (130, 7)])
def test_the_membrane_is_exact_at_odd_sizes_along_the_whole_frame(size):
    residual = photograph("astronaut", *size) - photograph("coffee", *size)
    hole = np.random.default_rng(3).random(size) > 0.2
    hole[: size[0] // 2, : size[1] // 3] = True
    hole[-1, -1] = False
    expected = solve_exactly(residual[0].numpy(), hole)
    found = solve_membrane(residual, torch.from_numpy(hole)[None, None].float())[0].numpy()
    assert np.abs(found - expected).max() < 0.1 / 255


def test_poisson_blending_is_more_exact_than_opencvs():
    source, target = photograph("coffee"), photograph("astronaut")
    hole = holes()["rectangle"]
    mask = torch.from_numpy(hole)[None, None].float()

    class Source:
        def complete(self, image, mask):
            return source

    exact = source[0].numpy() + solve_exactly((target - source)[0].numpy(), hole)
    exact = np.clip(np.where(hole, exact, target[0].numpy()), 0.0, 1.0)
    ours = inpaint(Source(), target, mask, "whole", blend="poisson")[0].numpy()

    def eight_bit(image):
        return np.round(image[0].permute(1, 2, 0).numpy() * 255).astype(np.uint8)

    y, x = np.nonzero(hole)
    center = (int(x.min() + x.max()) // 2, int(y.min() + y.max()) // 2)
    theirs = cv2.seamlessClone(
        eight_bit(source), eight_bit(target), hole.astype(np.uint8) * 255, center, cv2.NORMAL_CLONE
    )
    theirs = theirs.transpose(2, 0, 1) / 255.0
    # OpenCV works in 8 bits, shrinks the mask and solves on its bounding box: 7 steps of 1/255 off here, ours 0.003.
    ours_error, theirs_error = (np.abs(result - exact)[:, hole].mean() for result in (ours, theirs))
    assert ours_error < 0.2 / 255
    assert ours_error < theirs_error
    assert np.array_equal(ours[:, ~hole], target[0].numpy()[:, ~hole])


class ShiftedTruth:
    """Predicts the true picture brighter by a constant; optionally puts known pixels back."""

    def __init__(self, truth, shift, put_back):
        self.truth = truth
        self.shift = shift
        self.put_back = put_back

    def complete(self, image, mask):
        prediction = self.truth + self.shift
        return torch.where(mask > 0.5, prediction, image) if self.put_back else prediction


def step_across_the_rim(output, truth, mask):
    """Mean change of the error from hole pixels at the rim to their known neighbors, where it is 0."""
    rim = mask * torch.nn.functional.max_pool2d(1 - mask, 3, stride=1, padding=1)
    return float(((output - truth).mean(1, keepdim=True).abs() * rim).sum() / rim.sum())


def smooth_picture():
    y, x = torch.meshgrid(torch.linspace(0, 1, 256), torch.linspace(0, 1, 320), indexing="ij")
    return (0.3 + 0.2 * x + 0.2 * y * y).expand(1, 3, -1, -1)


@pytest.mark.parametrize("picture", ["smooth", "coffee", "astronaut"])
@pytest.mark.parametrize(
    "options", [{"feather": 16, "color_match": True}, {"feather": 8, "color_match": True}, {"blend": "poisson"}]
)
def test_a_constant_shift_leaves_at_most_a_tenth_of_its_step(picture, options):
    truth = smooth_picture() if picture == "smooth" else photograph(picture) * 0.85
    mask = torch.from_numpy(holes()["disc"])[None, None].float()
    model = ShiftedTruth(truth, 0.1, put_back=False)
    before = step_across_the_rim(inpaint(model, truth, mask, "whole", feather=0), truth, mask)
    assert before == pytest.approx(0.1, abs=1e-3)
    after = step_across_the_rim(inpaint(model, truth, mask, "whole", **options), truth, mask)
    assert after <= before / 10


@pytest.mark.parametrize("options", [{"feather": 16, "color_match": True}, {"blend": "poisson"}])
def test_a_model_that_puts_known_pixels_back_itself_is_joined_as_well(options):
    truth = smooth_picture()
    mask = torch.from_numpy(holes()["disc"])[None, None].float()
    model = ShiftedTruth(truth, 0.1, put_back=True)
    after = step_across_the_rim(inpaint(model, truth, mask, "whole", **options), truth, mask)
    assert after <= 0.01


def test_noise_is_measured_through_slopes_and_edges():
    generator = torch.Generator().manual_seed(0)
    picture = smooth_picture()[0].clone()
    picture[:, 100:140, 100:140] = 0.9
    everywhere = torch.ones(256, 320, dtype=torch.bool)
    assert float(noise_deviation(picture, everywhere).max()) < 0.001
    noisy = picture + 0.03 * torch.randn(picture.shape, generator=generator)
    assert noise_deviation(noisy, everywhere).tolist() == pytest.approx([0.03] * 3, rel=0.05)


def test_the_fill_gets_the_grain_of_its_surroundings_and_a_seed_repeats_it():
    generator = torch.Generator().manual_seed(1)
    smooth = smooth_picture()
    noisy = (smooth + 0.02 * torch.randn(smooth.shape, generator=generator)).clamp(0, 1)
    mask = torch.from_numpy(holes()["disc"])[None, None].float()

    class Smooth:
        def complete(self, image, mask):
            return smooth

    hole = mask[0, 0] > 0.5
    plain = inpaint(Smooth(), noisy, mask, "whole")
    grainy = inpaint(Smooth(), noisy, mask, "whole", grain=1.0, seed=5)
    assert float(noise_deviation(plain[0], hole).mean()) < 0.002
    assert float(noise_deviation(grainy[0], hole).mean()) == pytest.approx(0.02, rel=0.1)
    assert torch.equal(grainy, inpaint(Smooth(), noisy, mask, "whole", grain=1.0, seed=5))
    assert not torch.equal(grainy, inpaint(Smooth(), noisy, mask, "whole", grain=1.0, seed=6))
