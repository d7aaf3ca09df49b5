"""Randomness as a function of seed, purpose and position, so that no random state has to be saved.

Every random choice of a training run (order, crop, flip, mask, dropout) is drawn from its own generator, derived from
the run's seed, a word for the purpose and the number of the sample or step. A run that is resumed, distributed over
several processes or split into smaller batches therefore sees the same pictures with the same holes.
"""

from __future__ import annotations

import hashlib

import numpy as np
import torch


def derive_seed(seed: int, *path: int | str) -> int:
    """A 63-bit seed for one purpose: `derive_seed(7, "crop", 1234)`."""
    digest = hashlib.blake2b(repr((seed, *path)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def torch_generator(seed: int, *path: int | str) -> torch.Generator:
    """A CPU generator for one purpose."""
    return torch.Generator().manual_seed(derive_seed(seed, *path))


def numpy_generator(seed: int, *path: int | str) -> np.random.Generator:
    """A numpy generator for one purpose."""
    return np.random.default_rng(derive_seed(seed, *path))
