"""A private random state for code that can only use the global one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def isolated_randomness(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch's global generators for the code inside, and restore their states afterward.

    Dropout, constructors and third-party networks cannot use any other generator.

    Parameters
    ----------
    seed
        Seed of the CPU's generator, and of that of `device` if it is a CUDA device.
    device
        Device that the code runs on.
    """
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        # Not torch.manual_seed: it would also reseed every other device.
        torch.random.default_generator.manual_seed(seed)
        if device.type == "cuda":
            torch.cuda.default_generators[device.index or 0].manual_seed(seed)
        yield
