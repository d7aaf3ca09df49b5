"""The partial-convolution U-Net compared with the same network of plain convolutions and with the dense-mask
formulation.

`pytest tests/benchmarks/bench_partial_conv.py -s`: 512 x 512, batch 1, median of 12 rounds in which the networks take
turns, so that other work on the machine affects all of them. On a GPU, if there is one, timed by events.
"""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inpaint_core.checkpoints.card import ModelCard
from inpaint_core.checkpoints.inference_form import inference_form, optimize
from inpaint_core.checkpoints.inpainting_model import InpaintingModel
from inpaint_core.masks import generate
from inpaint_core.models import build_model

from ..models.dense_mask_reference import DenseMaskUNet

SIDE = 512
ROUNDS = 12
cuda = pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU"))


class PlainUNet(nn.Module):
    """The same layers with ordinary convolutions: no masks, nothing renormalized."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.encoder = nn.ModuleList(self.plain(block) for block in network.encoder)
        self.decoder = nn.ModuleList(self.plain(block) for block in network.decoder)

    @staticmethod
    def plain(block: nn.Module) -> nn.Sequential:
        partial = block.convolution
        convolution = nn.Conv2d(
            partial.in_channels,
            partial.out_channels,
            partial.kernel_size,
            partial.stride,
            partial.padding,
            bias=partial.bias is not None,
        )
        convolution.load_state_dict(partial.state_dict())
        return nn.Sequential(convolution, copy.deepcopy(block.norm), block.activation)

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        features, skips = image, []
        for block in self.encoder:
            skips.append(features)
            features = block(features)
        for block in self.decoder:
            features = block(torch.cat([F.interpolate(features, scale_factor=2.0), skips.pop()], 1))
        return features


def trained_looking_model(device: str) -> InpaintingModel:
    """Random weights, statistics measured on random pictures with holes, output of a picture's mean and contrast."""
    network = build_model("pconv_unet", depth=7)
    generator = torch.Generator().manual_seed(1)
    network.train()
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = None  # a plain average over the following pictures
            layer.reset_running_stats()
    for seed in range(3):
        coarse = torch.rand(2, 3, 16, 16, generator=generator)
        image = F.interpolate(coarse, (256, 256), mode="bicubic").clamp(0, 1)
        mask = generate("strokes", size=(256, 256), hole_ratio=(0.2, 0.3), seed=seed).expand(2, -1, -1, -1)
        output = network(image, mask)
    network.eval()
    last = network.decoder[-1].convolution
    last.weight.mul_(0.25 / output.std())
    last.bias.fill_(0.5)
    return InpaintingModel(ModelCard(architecture="pconv_unet", arguments={"depth": 7}), network.to(device))


def measure(calls: dict[str, Callable[[], object]], device: str) -> dict[str, float]:
    """Median milliseconds of every call, taking turns."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for round_number in range(ROUNDS + 2):
        for name, call in calls.items():
            if device == "cuda":
                start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
                start.record()
                call()
                end.record()
                end.synchronize()
                took = start.elapsed_time(end)
            else:
                begin = time.perf_counter()
                call()
                took = (time.perf_counter() - begin) * 1000
            if round_number >= 2:
                times[name].append(took)
    return {name: statistics.median(values) for name, values in times.items()}


@pytest.mark.parametrize("device", ["cpu", cuda])
@torch.no_grad()
def test_speed_and_agreement_with_plain_convolutions_and_with_dense_masks(device: str) -> None:
    model = trained_looking_model(device)
    network = model.network
    dense = DenseMaskUNet(network).eval()
    plain = PlainUNet(network).eval().to(device)
    fast = optimize(model)
    image = torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(2)).to(device)
    mask = generate("strokes", size=(SIDE, SIDE), hole_ratio=(0.2, 0.3), seed=7).to(device)

    expected = network(image, mask)
    assert torch.allclose(dense(image, mask), expected, atol=1e-4 * float(expected.abs().max()))
    difference = float((fast.complete(image, mask) - model.complete(image, mask)).abs().max())

    half = inference_form(network, torch.float16 if device == "cuda" else torch.bfloat16)
    single = inference_form(network, torch.float32)
    calls = {
        "plain convolutions": lambda: plain(image, mask),
        "dense masks": lambda: dense(image, mask),
        "partial convolutions": lambda: network(image, mask),
        "optimized": lambda: fast.network(image, mask),
        "optimized, float32 only": lambda: single(image, mask),
        "optimized, 16 bits throughout": lambda: half(image, mask),
    }
    times = measure(calls, device)
    print(f"\n{device}, {torch.get_num_threads()} threads, {SIDE} x {SIDE}, median of {ROUNDS}")
    for name, took in times.items():
        print(f"{name:30} {took:8.1f} ms   {times['dense masks'] / took:5.2f} x the dense masks' speed")
    print(f"optimized: largest difference {difference * 255:.3f}/255")

    stored, stored_dense = (sum(v.numel() for v in net.state_dict().values()) for net in (network, dense))
    assert stored / stored_dense == pytest.approx(0.5, abs=0.01)
    assert difference <= 2 / 255
    assert times["partial convolutions"] <= 1.10 * times["plain convolutions"]
    assert times["dense masks"] >= 2.0 * times["partial convolutions"]
    assert times["dense masks"] >= 3.5 * times["optimized"]
