"""Time and memory of inpaint(), beside its own `whole` and beside other programs.

    pytest tests/benchmarks/bench_inpaint.py -s

Times are processor seconds of one thread, measured in turns, the minimum of several rounds, so that other work on the
machine has little influence. The comparison runs the other programs' own code, from checkouts, on the same LaMa network
with random weights: COMFYUI_PATH (a ComfyUI), ACLY_PATH (Acly/comfyui-inpaint-nodes), IOPAINT_PATH (Sanster/IOPaint);
it needs spandrel.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import subprocess
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from inpaint_core import inpaint
from inpaint_core.checkpoints.card import ModelCard
from inpaint_core.checkpoints.inpainting_model import InpaintingModel
from inpaint_core.foreign.external_models import ExternalModel
from inpaint_core.models import build_model

HOLE = 256
SIZES = (512, 2048, 4096)
PEERS = ("COMFYUI_PATH", "ACLY_PATH", "IOPAINT_PATH")


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def picture(side: int) -> tuple[torch.Tensor, torch.Tensor]:
    image = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(0))
    mask = torch.zeros(1, 1, side, side)
    start = (side - HOLE) // 2
    mask[..., start : start + HOLE, start : start + HOLE] = 1
    return image, mask


def unet() -> InpaintingModel:
    arguments = {"width": 8, "max_width": 32, "depth": 4}
    return InpaintingModel(ModelCard(architecture="unet", arguments=arguments), build_model("unet", **arguments))


def seconds(
    calls: dict[str, Callable[[], object]], rounds: int, clock: Callable[[], float] = time.process_time
) -> dict[str, float]:
    """Least time of each call by a clock, such as the processor's; the calls take turns."""
    best = dict.fromkeys(calls, float("inf"))
    for call in calls.values():
        call()
    for _ in range(rounds):
        for name, call in calls.items():
            start = clock()
            call()
            best[name] = min(best[name], clock() - start)
    return best


def test_a_small_hole_in_a_large_picture_costs_a_twentieth_of_the_whole() -> None:
    model = unet()
    image, mask = picture(4096)
    times = seconds(
        {name: lambda name=name: inpaint(model, image, mask, name, detail="network") for name in ("auto", "whole")},  # type: ignore[misc]
        rounds=1,
    )
    print(f"\n4096x4096, 256-pixel hole: auto {times['auto']:.2f} s, whole {times['whole']:.2f} s")
    print(f"auto is {times['whole'] / times['auto']:.0f} times as fast")
    assert times["whole"] >= 20 * times["auto"]


def gibibytes(entry: str) -> float:
    """Resident memory of this process, now (VmRSS) or at most so far (VmHWM), as Linux counts it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(entry)) / 2**20


MEMORY = """
import sys, torch
sys.path.insert(0, sys.argv[1])
from bench_inpaint import gibibytes, picture, unet
from inpaint_core import inpaint
from inpaint_core.inpainting.classical import ClassicalFill
torch.set_num_threads(1)
model = ClassicalFill(sys.argv[2]) if sys.argv[2:] else unet()
inpaint(model, *picture(512), detail="network")
idle = gibibytes("VmRSS")
image, mask = picture(4096)
inpaint(model, image, mask, detail="network")
print(gibibytes("VmHWM") - idle)
"""

CLIP = """
import sys, torch
sys.path.insert(0, sys.argv[1])
from bench_inpaint import gibibytes, unet
from inpaint_core import inpaint
torch.set_num_threads(1)
image = torch.rand(300, 3, 512, 512, generator=torch.Generator().manual_seed(0))
mask = torch.zeros(1, 1, 512, 512)
mask[..., 150:250, 200:320] = 1
peaks = []
def note(done, total, picture):
    if done % 16 == 0:
        peaks.append(gibibytes("VmHWM"))
inpaint(unet(), image, mask, detail="network", frames_per_batch=16, progress=note)
print(peaks[0], peaks[-1])
"""


def fresh_process(program: str, *arguments: str) -> list[float]:
    folder = Path(__file__).parent
    environment = {**os.environ, "PYTHONPATH": str(folder.parents[1])}
    output = subprocess.run(
        [sys.executable, "-c", program, str(folder), *arguments],
        check=True,
        capture_output=True,
        text=True,
        env=environment,
    )
    return [float(number) for number in output.stdout.split()]


def test_a_large_picture_needs_little_memory() -> None:
    (extra,) = fresh_process(MEMORY)
    print(f"\n4096x4096, 256-pixel hole: {extra:.2f} GiB above the idle process, the picture itself included")
    assert extra < 1.5


def test_a_clip_needs_no_more_memory_at_its_end_than_after_the_first_chunk() -> None:
    first, last = fresh_process(CLIP)
    print(f"\n300 frames of 512x512: peak {first:.3f} GiB after the first 16 frames, {last:.3f} GiB at the end")
    assert last <= 1.05 * first


def lama() -> Any:
    pytest.importorskip("spandrel")
    from spandrel import ModelLoader
    from spandrel.architectures.LaMa import LaMa as Network

    with torch.random.fork_rng():
        torch.manual_seed(0)
        weights = Network(in_nc=4, out_nc=3).state_dict()
    return ModelLoader().load_from_state_dict(weights).eval()


def acly_node() -> Any:
    """Acly's node, from its own files inside ComfyUI's."""
    comfy = os.environ["COMFYUI_PATH"]
    if comfy not in sys.path:
        sys.path.insert(0, comfy)
    options = importlib.import_module("comfy.options")
    options.args_parsing = True
    argv, sys.argv = sys.argv, ["main.py", "--cpu"]
    try:
        importlib.import_module("comfy.cli_args")
    finally:
        sys.argv = argv
    package = types.ModuleType("acly")
    package.__path__ = [os.environ["ACLY_PATH"]]
    sys.modules["acly"] = package
    sys.modules.setdefault("nodes", types.ModuleType("nodes"))  # ComfyUI's own nodes, which this node does not use
    return importlib.import_module("acly.nodes").InpaintWithModel


def iopaint_model(network: torch.nn.Module) -> Any:
    """IOPaint's LaMa, from its own files; without the other imports of its packages."""
    root = Path(os.environ["IOPAINT_PATH"], "iopaint")
    for name, folder in (("iopaint", root), ("iopaint.model", root / "model")):
        module = types.ModuleType(name)
        module.__path__ = [str(folder)]
        sys.modules[name] = module
    for name, missing in (("iopaint.model.utils", "get_scheduler"), ("imghdr", "what")):
        stub = types.ModuleType(name)
        setattr(stub, missing, None)
        sys.modules.setdefault(name, stub)
    model_class = importlib.import_module("iopaint.model.lama").LaMa
    model = model_class.__new__(model_class)
    model.model, model.device = network, torch.device("cpu")
    return model


@pytest.mark.skipif(any(name not in os.environ for name in PEERS), reason=f"needs {', '.join(PEERS)}")
@pytest.mark.parametrize("side", SIZES)
def test_no_slower_than_other_programs_with_the_same_network(side: int) -> None:
    descriptor = lama()
    ours = ExternalModel(lama(), "LaMa")
    node = acly_node()
    iopaint = iopaint_model(descriptor.model)
    loguru = importlib.import_module("loguru")
    loguru.logger.remove()
    schema = importlib.import_module("iopaint.schema")
    request = schema.InpaintRequest(hd_strategy=schema.HDStrategy.CROP)
    image, mask = picture(side)
    host_image = image.movedim(1, -1).contiguous()
    host_mask = mask[:, 0].contiguous()
    eight_bit = (host_image[0] * 255).round().byte().numpy()
    eight_bit_mask = (host_mask[0] * 255).byte().numpy()

    def run_acly() -> None:
        with torch.inference_mode():
            node.execute(descriptor, host_image, host_mask, 0)

    calls: dict[str, Callable[[], object]] = {
        "ours, auto": lambda: inpaint(ours, image, mask),
        "ours, auto, poisson": lambda: inpaint(ours, image, mask, blend="poisson"),
        "Acly": run_acly,
        "IOPaint, crop": lambda: iopaint(eight_bit.copy(), eight_bit_mask.copy(), request),
    }
    times = seconds(calls, rounds=5)
    print("\n" + ", ".join(f"{name} {value:.2f} s" for name, value in times.items()) + f" at {side}x{side}")
    assert times["ours, auto"] <= min(times["Acly"], times["IOPaint, crop"])
