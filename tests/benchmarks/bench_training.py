"""Training speed: `pytest tests/benchmarks/bench_training.py --override-ini norecursedirs= -s`.

Our step compared with a typical loop, with the same network, loss, batch and machine, side by side: the plain loop
decodes PNG files in the main process at every step, works in float32, convolves masks densely and sends output,
composite and truth through VGG one after the other with a graph. Also the growth of memory over 500 steps.
"""

from __future__ import annotations

import random
import statistics
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from inpaint_core.checkpoints.card import ModelCard
from inpaint_core.checkpoints.inpainting_model import fill_hole, to_range, to_unit
from inpaint_core.losses.features import load_features
from inpaint_core.models import build_model
from training.config import TrainConfig, parse_config
from training.dataset.samples import Samples, prefetch
from training.dataset.scan import load_dataset
from training.engine.measurement import holes
from training.engine.session import run_training
from training.events import Event, StepDone
from training.objectives.composite import Composite
from training.placement import Placement, choose_device

from ..models.dense_mask_reference import DenseMaskUNet
from ..training.test_losses import vgg16_weights

CUDA = torch.cuda.is_available()
SIZE, BATCH = (256, 16) if CUDA else (128, 8)
ROUNDS, WARM_UP = (40, 5) if CUDA else (5, 1)
# Seconds of all cores on a CPU, so that other work on the machine does not count.
CLOCK = time.perf_counter if CUDA else time.process_time
MIN_RATIO = 2.0
NETWORK = {"depth": 7, "width": 64}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Tiles of the embedded photographs, and masks, as PNG files."""
    config = parse_config({"data": {"size": 256, "shorter_side": 512}, "steps": 1})
    dataset = load_dataset(config.data)
    samples = Samples(dataset.train, config.data, config.masks, seed=0, device=torch.device("cpu"))
    (tmp_path / "pictures").mkdir()
    (tmp_path / "masks").mkdir()
    for start in range(0, 48, 8):
        batch = samples.batch(start, 8)
        for offset in range(8):
            pixels = (batch.image[offset].permute(1, 2, 0).numpy() * 255.0).round().astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "pictures" / f"{start + offset}.png")
            hole = (batch.mask[offset, 0].numpy() * 255.0).astype(np.uint8)
            Image.fromarray(hole).save(tmp_path / "masks" / f"{start + offset}.png")
    save_file(vgg16_weights(), tmp_path / "vgg.safetensors")
    return tmp_path


def configure(folder: Path) -> TrainConfig:
    return parse_config(
        {
            "steps": 1000,
            "batch_size": BATCH,
            "precision": "bfloat16",
            "channels_last": True,
            "data": {"folder": str(folder / "pictures"), "size": SIZE, "shorter_side": 256, "held_out": 0.0},
            "model": {"architecture": "pconv_unet", "arguments": NETWORK},
            "objective": {"name": "partial_conv", "features": str(folder / "vgg.safetensors")},
            "optimizer": {"learning_rate": 2e-4},
        }
    )


class PlainLoop:
    """What public training scripts do in a step."""

    def __init__(self, folder: Path, device: torch.device) -> None:
        self.device = device
        self.pictures, self.masks = (sorted((folder / name).iterdir()) for name in ("pictures", "masks"))
        self.network = DenseMaskUNet(build_model("pconv_unet", **NETWORK)).to(device).train()
        self.features = load_features(folder / "vgg.safetensors").to(device)
        self.optimizer = torch.optim.Adam([p for p in self.network.parameters() if p.requires_grad], 2e-4)
        self.choice = random.Random(0)

    def read(self, path: Path, mode: str) -> Tensor:
        picture = Image.open(path).convert(mode).resize((SIZE, SIZE))
        values = torch.from_numpy(np.array(picture)).float() / 255.0
        return values.permute(2, 0, 1) if mode == "RGB" else values[None]

    def step(self) -> None:
        chosen = self.choice.choices(range(len(self.pictures)), k=BATCH)
        image = torch.stack([self.read(self.pictures[index], "RGB") for index in chosen]).to(self.device)
        mask = (torch.stack([self.read(self.masks[index], "L") for index in chosen]) > 0.5).float().to(self.device)
        given = to_range(fill_hole(image, mask, (0.5, 0.5, 0.5)), "imagenet")
        output = to_unit(self.network(given, mask), "imagenet")
        merged = mask * output + (1 - mask) * image
        loss = 6 * (mask * (output - image)).abs().mean() + ((1 - mask) * (output - image)).abs().mean()
        made, joined, truth = self.features(output), self.features(merged), self.features(image)
        for level in range(3):
            loss = loss + 0.05 * (
                (made[level] - truth[level]).abs().mean() + (joined[level] - truth[level]).abs().mean()
            )
            grams = [self.gram(features[level]) for features in (made, joined, truth)]
            loss = loss + 120 * ((grams[0] - grams[2]).abs().mean() + (grams[1] - grams[2]).abs().mean())
        loss = loss + 0.1 * (merged[..., 1:] - merged[..., :-1]).abs().mean()
        loss = loss + 0.1 * (merged[..., 1:, :] - merged[..., :-1, :]).abs().mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        loss.item()

    def gram(self, features: Tensor) -> Tensor:
        batch, channels, height, width = features.shape
        flat = features.view(batch, channels, height * width)
        return flat.bmm(flat.transpose(1, 2)) / (channels * height * width)


def test_a_step_takes_much_less_than_that_of_a_plain_loop(folder: Path) -> None:
    config = configure(folder)
    device = choose_device("auto")
    network = build_model("pconv_unet", **NETWORK)
    card = ModelCard(architecture="pconv_unet", arguments=NETWORK, value_range="imagenet")
    ours = Composite(config.objective, config, card, network, Placement(device))  # type: ignore[arg-type]
    samples = Samples(load_dataset(config.data).train, config.data, holes(config), seed=0, device=device)
    plain = PlainLoop(folder, device)
    times: dict[str, list[float]] = {"plain": [], "ours": [], "waiting": []}
    with prefetch(samples, 0, BATCH, 0, BATCH) as batches:
        for step in range(WARM_UP + ROUNDS):
            start = CLOCK()
            plain.step()
            middle = CLOCK()
            batch = next(batches)
            given = CLOCK()
            ours.step([batch], step)
            end = CLOCK()
            if step >= WARM_UP:
                times["plain"].append(middle - start)
                times["ours"].append(end - middle)
                times["waiting"].append(given - middle)
    medians = {name: statistics.median(values) for name, values in times.items()}
    print({name: f"{BATCH / medians[name]:.2f} images/s" for name in ("plain", "ours")}, end=" ")
    print(f"ratio {medians['plain'] / medians['ours']:.2f}, waiting {medians['waiting'] / medians['ours']:.1%}")
    assert medians["plain"] > MIN_RATIO * medians["ours"]
    assert medians["waiting"] < 0.05 * medians["ours"]


def test_memory_does_not_grow(folder: Path, tmp_path: Path) -> None:
    config = parse_config(
        {
            "steps": 600,
            "batch_size": 4,
            "device": "cpu",
            "data": {"folder": str(folder / "pictures"), "size": 32, "shorter_side": 64, "held_out": 0.1},
            "model": {"arguments": {"width": 8, "depth": 3, "norm": "batch"}},
            "validation": {"every": 100, "samples": 8},
            "preview_every": 50,
            "checkpoint_every": 50,
        }
    )
    megabytes: dict[int, float] = {}

    def watch(event: Event) -> None:
        if isinstance(event, StepDone):
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            megabytes[event.step] = pages * 4096 / 2**20

    run_training(config, out=tmp_path / "run", callbacks=[watch])
    steps = np.arange(100, 601)
    slope = np.polyfit(steps, [megabytes[int(step)] for step in steps], 1)[0] * 100
    print(f"memory grows by {slope:.3f} MB in 100 steps")
    assert slope < 1.0
