"""Time and memory of patch fills, beside PyPatchMatch on the same pictures and holes.

    pytest tests/benchmarks/bench_patches.py -s

Elapsed times with all cores, measured in turns, the minimum of several rounds. PyPatchMatch, which uses one core,
needs the extra `patchmatch`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from inpaint_core import inpaint, load_model
from inpaint_core.files.images import decode_image
from inpaint_core.inpainting.classical import ClassicalFill

from .bench_inpaint import fresh_process, picture

ROUNDS = 3


def elapsed(calls: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Minimum seconds of each call; the calls take turns."""
    best = dict.fromkeys(calls, float("inf"))
    for _ in range(ROUNDS):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            best[name] = min(best[name], time.perf_counter() - start)
    return best


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
    network = load_model("unet-natural")
    times = elapsed(
        {
            "patches": lambda: inpaint(ClassicalFill("patches"), image, mask),
            "PyPatchMatch": lambda: inpaint(ClassicalFill("patchmatch"), image, mask),
            "unet-natural, patches": lambda: inpaint(network, image, mask),
        }
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
        taken[side] = elapsed({"fill": lambda image=image, mask=mask: inpaint(fill, image, mask)})["fill"]  # type: ignore[misc]
        print(f"\n{side}x{side}, 256-pixel hole, {torch.get_num_threads()} threads: {taken[side]:.2f} s")
    assert taken[4096] <= 1.5 * taken[2048]


MEMORY = """
import sys, torch
sys.path.insert(0, sys.argv[1])
from bench_inpaint import gibibytes, picture
from inpaint_core import inpaint
from inpaint_core.inpainting.classical import ClassicalFill
fill = ClassicalFill("patches")
inpaint(fill, *picture(512))
idle = gibibytes("VmRSS")
image, mask = picture(4096)
inpaint(fill, image, mask)
print(gibibytes("VmHWM") - idle)
"""


def test_a_large_picture_needs_little_memory() -> None:
    (extra,) = fresh_process(MEMORY)
    print(f"\n4096x4096, 256-pixel hole: {extra:.2f} GiB above the idle process, the picture itself included")
    assert extra < 2.0
