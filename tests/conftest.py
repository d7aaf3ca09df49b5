"""Environment of the tests and of the commands that they start."""

from __future__ import annotations

import os

# With `pytest -n`, every process computes on one thread: more would wait for each other.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ["OMP_NUM_THREADS"] = "1"  # read when torch is imported, here and in the commands that tests start

# Commands keep their compiled modules: to compile them again costs a fifth of the time.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
