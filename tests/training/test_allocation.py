"""Training on a CPU does not return its memory to the kernel in every step."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from training.config import TrainConfig
from training.objectives.optimization import precision_dtype

PROGRAM = """
import resource, torch
from training.allocation import keep_freed_memory

def faults():
    torch.ones(2**24).add_(1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        torch.ones(2**24).add_(1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

print(faults())
assert keep_freed_memory()
print(faults())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc only")
def test_kept_memory_causes_few_page_faults() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], check=True, capture_output=True)
    before, kept = map(int, done.stdout.split())
    assert 2 * kept < before


def test_automatic_precision_is_reduced_only_where_the_device_is_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    config = TrainConfig(precision="auto")
    cpu = torch.device("cpu")
    for has_it, expected in ((True, torch.bfloat16), (False, torch.float32)):
        for check in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
            monkeypatch.setattr(torch.cpu, check, lambda answer=has_it: answer)
        assert precision_dtype(config.precision, cpu) == expected
    assert precision_dtype("float32", cpu) == torch.float32
