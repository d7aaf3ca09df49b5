"""Time and memory of patch fills, beside PyPatchMatch on the same pictures and holes.

    pytest tests/benchmarks/bench_patches.py -s

Elapsed times with all cores, measured in turns, the minimum of several rounds. PyPatchMatch, which uses one core,
needs the extra `patchmatch`.
"""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from inpaint_core import inpaint, load_model
from inpaint_core.files.images import decode_image
from inpaint_core.inpainting.classical import ClassicalFill

from .bench_inpaint import MEMORY, fresh_process, picture, seconds

ROUNDS = 3


def photograph(side: int) -> Tensor:
    """`[1,3,side,side]`: scikit-image's astronaut."""
    import skimage

    image = decode_image(Path(skimage.data_dir) / "astronaut.png").image[None]
    return F.interpolate(image, size=(side, side), mode="bicubic").clamp(0.0, 1.0)


def ellipse(side: int, ratio: float) -> Tensor:
    """`[1,1,side,side]`: an ellipse in the middle that covers this fraction of the picture."""
    line = (torch.arange(side) + 0.5) / side - 0.5
    square = (line[:, None] / 1.2) ** 2 + (line * 1.2) ** 2
    return (square < ratio / torch.pi)[None, None].float()


@pytest.mark.parametrize("side", [512, 1024])
def test_patches_take_no_longer_than_pypatchmatch(side: int) -> None:
    pytest.importorskip("patchmatch")
    image, mask = photograph(side), ellipse(side, 0.2)
    network = load_model("glcic-natural")
    times = seconds(
        {
            "patches": lambda: inpaint(ClassicalFill("patches"), image, mask),
            "PyPatchMatch": lambda: inpaint(ClassicalFill("patchmatch"), image, mask),
            "glcic-natural, patches": lambda: inpaint(network, image, mask),
        },
        ROUNDS,
        time.perf_counter,
    )
    base = times["PyPatchMatch"]
    print(f"\n{side}x{side}, hole of {float(mask.mean()):.0%}, {torch.get_num_threads()} threads:")
    for name, taken in times.items():
        print(f"  {name}: {taken:.2f} s, {taken / base:.2f} of PyPatchMatch's")
    assert times["patches"] <= base


def test_a_hole_costs_the_same_in_a_larger_picture() -> None:
    fill = ClassicalFill("patches")
    photo = photograph(2048)
    taken = {}
    for side in (2048, 4096):
        image = photo if side == 2048 else photo.repeat(1, 1, 2, 2)
        _, mask = picture(side)
        call = partial(inpaint, fill, image, mask)
        taken[side] = seconds({"fill": call}, ROUNDS, time.perf_counter)["fill"]
        print(f"\n{side}x{side}, 256-pixel hole, {torch.get_num_threads()} threads: {taken[side]:.2f} s")
    assert taken[4096] <= 1.5 * taken[2048]


def test_a_large_picture_needs_little_memory() -> None:
    (extra,) = fresh_process(MEMORY, "patches")
    print(f"\n4096x4096, 256-pixel hole: {extra:.2f} GiB above the idle process, the picture itself included")
    assert extra < 2.0
