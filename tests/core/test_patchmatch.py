"""The fill by PyPatchMatch: a clear error if the library is missing, and otherwise the promises of every fill."""

from __future__ import annotations

import sys

import pytest
import torch

from inpaint_core import inpaint
from inpaint_core.inpainting.classical import ClassicalFill

from .drawn import noise


@pytest.fixture
def fill():
    pytest.importorskip("patchmatch")
    return ClassicalFill("patchmatch")


def test_a_missing_library_is_a_one_line_error(monkeypatch):
    monkeypatch.delitem(sys.modules, "patchmatch", raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r'pip install "pypatchmatch>=2\.2"'):
        ClassicalFill("patchmatch")


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (5, 6), (7, 7), (30, 13), (64, 90)])
@pytest.mark.parametrize("share", [0.1, 0.7, 1.0])
def test_every_size_and_mask_is_filled_and_known_pixels_are_kept(fill, size, share):
    image, mask = noise(2, 3, *size), (noise(1, 1, *size, seed=1) < share).float()
    mask[..., : size[0] // 2, : size[1] // 3] = 1.0
    filled = inpaint(fill, image, mask)
    known = (mask < 0.5).expand_as(image)
    assert torch.equal(filled[known], image[known])
    assert torch.isfinite(filled).all()
    assert torch.equal(inpaint(fill, image, mask), filled)
    assert torch.equal(inpaint(fill, image[1:], mask), filled[1:])


def test_only_what_is_allowed_is_copied_and_other_pictures_are(fill):
    image = torch.full((1, 3, 48, 64), 51 / 255)
    image[..., 32:] = torch.tensor([1.0, 0.0, 0.0]).view(1, 3, 1, 1)
    mask = torch.zeros(1, 1, 48, 64)
    mask[..., 16:32, 24:40] = 1.0
    allowed = torch.zeros(48, 64)
    allowed[:, :24] = 1.0
    inside = inpaint(fill, image, mask, feather=0, allowed=allowed)[..., 16:32, 24:40]
    assert torch.equal(inside, torch.full((1, 3, 16, 16), 51 / 255))
    other = torch.full((3, 20, 90), 102 / 255)
    other[:, :, 40:] = float("nan")
    inside = inpaint(fill, image, mask, feather=0, allowed=torch.zeros(48, 64), sources=[other])[..., 16:32, 24:40]
    assert torch.equal(inside, torch.full((1, 3, 16, 16), 102 / 255))
